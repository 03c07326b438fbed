// @badgateway/oauth2-client: its wrapper around fetch, as its README has it.

import { inspect } from 'node:util';
import { OAuth2Client, OAuth2Fetch } from '@badgateway/oauth2-client';
import { isDead, serve } from './adapter.js';

serve(async (setup) => {
  const client = new OAuth2Client({
    server: setup.token_url,
    clientId: setup.client_id,
    clientSecret: setup.client_secret,
    tokenEndpoint: setup.token_url,
  });
  // A stored token that has expired, with the refresh token of the user's.
  const stored = { accessToken: 'old', expiresAt: 1, refreshToken: setup.refresh_token };
  const wrapper = new OAuth2Fetch({
    client,
    getNewToken: () => (setup.refresh_token ? null : client.clientCredentials()),
    getStoredToken: () => (setup.refresh_token ? stored : null),
  });
  return {
    call: async ({ method, url, body, signal }) => (await wrapper.fetch(url, { method, body, signal })).status,
    debug: () => inspect(wrapper, { depth: 5 }),
    ended: (error) => isDead(error.oauth2Code ?? error.code),
  };
});
