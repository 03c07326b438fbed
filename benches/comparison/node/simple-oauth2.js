// simple-oauth2, which keeps nothing: the lines of its README around it, and Node's fetch for the call.

import { inspect } from 'node:util';
import { AuthorizationCode, ClientCredentials } from 'simple-oauth2';
import { isDead, serve } from './adapter.js';

// Its README's.
const EXPIRATION_WINDOW_IN_SECONDS = 300;

serve(async (setup) => {
  const { origin, pathname } = new URL(setup.token_url);
  const config = {
    client: { id: setup.client_id, secret: setup.client_secret },
    auth: { tokenHost: origin, tokenPath: pathname },
  };
  const application = new ClientCredentials(config);
  let token = setup.refresh_token
    ? new AuthorizationCode(config).createToken({ access_token: 'old', expires_in: -1, refresh_token: setup.refresh_token })
    : undefined;
  const present = async () => {
    if (token === undefined || token.expired(EXPIRATION_WINDOW_IN_SECONDS)) {
      token = setup.refresh_token ? await token.refresh() : await application.getToken({});
    }
    return token.token.access_token;
  };
  return {
    async call({ method, url, body, signal }) {
      const headers = { authorization: `Bearer ${await present()}` };
      return (await fetch(url, { method, body, signal, headers })).status;
    },
    debug: () => inspect([application, token], { depth: 5 }),
    ended: (error) => isDead(error.data?.payload?.error),
  };
});
