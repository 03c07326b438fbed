// openid-client, which keeps nothing: one pending promise for all who wait, by hand, and its own call of an API.

import { inspect } from 'node:util';
import * as client from 'openid-client';
import { isDead, serve } from './adapter.js';

serve(async (setup) => {
  const server = { issuer: 'https://login.example.com', token_endpoint: setup.token_url };
  const authentication = client.ClientSecretBasic(setup.client_secret);
  const config = new client.Configuration(server, setup.client_id, undefined, authentication);
  client.allowInsecureRequests(config);
  let refreshToken = setup.refresh_token;
  let tokens;
  let pending;
  const ask = async () => {
    tokens = refreshToken
      ? await client.refreshTokenGrant(config, refreshToken)
      : await client.clientCredentialsGrant(config);
    refreshToken = tokens.refresh_token ?? refreshToken;
  };
  const present = async () => {
    if (tokens === undefined || tokens.expiresIn() === 0) {
      pending ??= ask().finally(() => {
        pending = undefined;
      });
      await pending;
    }
    return tokens.access_token;
  };
  return {
    async call({ method, url, body }) {
      const token = await present();
      try {
        return (await client.fetchProtectedResource(config, token, new URL(url), method, body)).status;
      } catch (error) {
        // A 401 with a challenge is an error here; it has the answer.
        if (error instanceof client.WWWAuthenticateChallengeError) return error.status;
        throw error;
      }
    },
    debug: () => inspect([config, tokens], { depth: 5 }),
    ended: (error) => isDead(error.error),
  };
});
