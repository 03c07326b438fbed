// Two grants that the library does not bring along, for tokens of its own: token exchange (RFC 8693) and JWT
// bearer (RFC 7523 section 2.1).

import { createLocalJWKSet, jwtVerify } from 'jose';
import { errors } from 'oidc-provider';
// What its own grants bind their tokens with.
import validateDpop, { checkDpopReplay } from 'oidc-provider/lib/helpers/validate_dpop.js';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer';

const AUDIENCES = ['orders', 'stock'];

const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

/** Lets this provider know both. */
export function registerExchange(provider) {
  // Each assertion is good for one use.
  const seen = new Set();

  provider.registerGrantType(
    TOKEN_EXCHANGE,
    async (ctx) => {
      const { params, client } = ctx.oidc;
      const proof = await validateDpop(provider, ctx);
      const subject = await provider.AccessToken.find(params.subject_token);
      // RFC 8693 section 2.2.2: a dead subject token is an invalid request, and so is a dead actor's.
      if (!subject || params.subject_token_type !== ACCESS_TOKEN) throw new errors.InvalidRequest('dead or unknown');
      const actor = params.actor_token && (await provider.ClientCredentials.find(params.actor_token));
      if (params.actor_token && !actor) throw new errors.InvalidRequest('the actor is dead or unknown');
      const scope = params.scope ?? subject.scope;
      const more = scope.split(' ').filter((name) => !subject.scopes.has(name));
      if (more.length > 0) throw new errors.InvalidScope('the subject token has less', more.join(' '));
      const { audience } = params;
      if (audience && !AUDIENCES.includes(audience)) throw new errors.InvalidTarget('unknown audience');
      const token = new provider.AccessToken({
        accountId: subject.accountId,
        client,
        grantId: subject.grantId,
        gty: 'token_exchange',
        scope,
        // RFC 8693 section 4.1.
        extra: actor ? { act: { client_id: actor.clientId } } : undefined,
      });
      if (audience) token.aud = audience;
      if (proof) {
        await checkDpopReplay(provider, ctx, proof, client.clientId, errors.InvalidGrant);
        token.setThumbprint('jkt', proof.thumbprint);
      }
      const access_token = await token.save();
      ctx.body = {
        access_token,
        issued_token_type: ACCESS_TOKEN,
        token_type: token.tokenType,
        expires_in: token.expiration,
        scope: token.scope,
      };
    },
    ['subject_token', 'subject_token_type', 'actor_token', 'actor_token_type', 'audience', 'scope'],
  );

  provider.registerGrantType(
    JWT_BEARER,
    async (ctx) => {
      const { params, client } = ctx.oidc;
      const keys = createLocalJWKSet(client.jwks);
      const expected = { audience: provider.issuer, issuer: client.clientId, requiredClaims: ['sub', 'exp', 'iat', 'jti'] };
      const verified = await jwtVerify(params.assertion, keys, expected).catch((error) => {
        throw new errors.InvalidGrant(error.message);
      });
      const { jti } = verified.payload;
      if (seen.has(jti)) throw new errors.InvalidGrant('the assertion was used before');
      seen.add(jti);
      const token = new provider.ClientCredentials({ client, scope: params.scope });
      const access_token = await token.save();
      ctx.body = { access_token, token_type: token.tokenType, expires_in: token.expiration, scope: token.scope };
    },
    ['assertion', 'scope'],
  );
}
