// A real authorization server for the tests: oidc-provider, and a small API that checks its tokens.
//
//   node server.js ['{"accessTokenTtl": 60, "rotateRefreshToken": true}']
//
// When it listens it prints one line of JSON with its addresses. It ends when its standard input is
// closed, so it never outlives the test that started it, however that test ends.
//
// Three issuers live in the process, each with its own memory, so a token of one is nothing to the
// others:
//
//   /           the issuer without a path
//   /tenant/a   an issuer with a path, whose OIDC discovery document stands below the path
//   /tenant/b   an issuer with a path that knows RFC 8414 only: its document stands before the path
//
// Below each of them:
//
//   /api/...             the protected API: 200 for a live token, 401 for any other; its header
//                        `Token-Expires-At` says until when the token lives, in seconds since 1970.
//                        A token that is bound to a key needs a proof. The API has a second origin,
//                        as most have one apart from their authorization server's
//   /admin/token-requests what the token endpoint was asked, in order
//   /admin/api-requests   what the API was sent, in order
//   /admin/rotations      each use of a refresh token: whose it was, by whom, and what came of it
//   /admin/revoked        whose refresh token families have ended, in order
//   /admin/revoke         POST a token as the body: that access token dies, and nothing else
//   /admin/issued-tokens  every access, refresh and id token so far, in order
//   /admin/client        POST a client's metadata as the body: it is known, or as it says, from then on;
//                        not for those that the server was started with
//   /admin/access-token-ttl  POST seconds as the body: how long new tokens live, for all issuers
//
// With the setting `mtls` the same is served at a port with TLS, where a token that is bound to a certificate
// is good by that one alone.
//
// With the setting `pages` people sign in and agree on the library's own pages, as in a browser.
// Without it nobody has to, and the account is whoever `login_hint` named.

import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { once } from 'node:events';

import Provider from 'oidc-provider';
// Its own nonces change too seldom for a test, and it has no setting for that.
import internals from 'oidc-provider/lib/helpers/weak_cache.js';

import { registerExchange } from './exchange.js';
import { ChangingNonce } from './nonces.js';
import { Proofs, keyOf } from './proofs.js';
import { memory } from './store.js';

// Standard output is the one line that says it is ready. Whoever has read that reads on no more, and a notice of
// the library's would end the process.
console.info = console.error;

const settings = {
  accessTokenTtl: 60,
  clockTolerance: 0,
  deviceCodeTtl: 600,
  refreshTokenTtl: 3600,
  rotateRefreshToken: true,
  pages: false,
  // Clients besides those below, as the library has them.
  clients: [],
  dpopNonces: false,
  // `{ certificate, key, authority }` as PEM: a second port speaks TLS by this certificate, and asks clients
  // for one of their own. The documents name it for them (RFC 8705 section 5).
  mtls: null,
  // With a number both sides want nonces, each one of its own, which changes each so many seconds.
  dpopNonceSeconds: 0,
  ...JSON.parse(process.argv[2] ?? '{}'),
};

/** Nobody listens here: the test reads the code out of the `Location` header. */
const REDIRECT_URI = 'http://127.0.0.1:9/callback';

const wantsNonces = settings.dpopNonces || settings.dpopNonceSeconds > 0;

const USER_GRANTS = ['authorization_code', 'refresh_token'];
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const SCOPES = 'openid offline_access email api:read api:write';

const CLIENTS = [
  {
    client_id: 'basic-client',
    client_secret: 'basic-secret',
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['client_credentials', DEVICE_GRANT, ...USER_GRANTS],
    response_types: ['code'],
    redirect_uris: [REDIRECT_URI],
    scope: SCOPES,
  },
  {
    client_id: 'post-client',
    client_secret: 'post-secret',
    token_endpoint_auth_method: 'client_secret_post',
    grant_types: ['client_credentials', ...USER_GRANTS],
    response_types: ['code'],
    redirect_uris: [REDIRECT_URI],
    scope: SCOPES,
  },
  {
    client_id: 'public-client',
    token_endpoint_auth_method: 'none',
    // A web client without a secret would get refresh tokens whose life is never renewed.
    application_type: 'native',
    grant_types: [DEVICE_GRANT, ...USER_GRANTS],
    response_types: ['code'],
    redirect_uris: [REDIRECT_URI],
    scope: SCOPES,
  },
  {
    // A web application on a port that nobody knows beforehand. Only for native clients are all
    // ports of loopback the same (RFC 8252 section 7.3).
    client_id: 'web-client',
    client_secret: 'web-secret',
    token_endpoint_auth_method: 'client_secret_basic',
    application_type: 'native',
    grant_types: USER_GRANTS,
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/signed-in'],
    scope: SCOPES,
  },
  {
    // Most characters here mean something else in a URL, in a form or in Basic credentials.
    client_id: 'special:client/+%',
    client_secret: 'p:a+s s%2F&=w?/rd',
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['client_credentials'],
    response_types: [],
    redirect_uris: [],
    scope: 'api:read',
  },
];

const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const signingKey = { ...privateKey.export({ format: 'jwk' }), alg: 'ES256', use: 'sig', kid: 'test' };

/** The certificate that the client of a connection has shown, if it has. */
function certificateOf(request) {
  return request.socket.getPeerX509Certificate?.();
}

/** `x5t#S256` of a certificate (RFC 8705 section 3.1). */
function thumbprint(certificate) {
  return certificate && createHash('sha256').update(certificate.raw).digest('base64url');
}

function mutualTls() {
  return {
    enabled: settings.mtls !== null,
    certificateBoundAccessTokens: true,
    tlsClientAuth: true,
    selfSignedTlsClientAuth: true,
    getCertificate: (ctx) => certificateOf(ctx.req)?.toString(),
    certificateAuthorized: (ctx) => ctx.socket.authorized,
    certificateSubjectMatches: (ctx, property, expected) =>
      property === 'tls_client_auth_subject_dn' && certificateOf(ctx.req).subject === expected,
  };
}

function mtlsAliases(mount) {
  if (settings.mtls === null) return {};
  const [token, revocation, userinfo] = ['/token', '/token/revocation', '/me'].map((path) => mtlsOrigin + mount + path);
  return { mtls_endpoint_aliases: { token_endpoint: token, revocation_endpoint: revocation, userinfo_endpoint: userinfo } };
}

function configuration(mount) {
  return {
    discovery: mtlsAliases(mount),
    clientAuthMethods: [
      'none', 'client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt',
      ...(settings.mtls ? ['tls_client_auth', 'self_signed_tls_client_auth'] : []),
    ],
    adapter: memory(),
    clients: [...CLIENTS, ...settings.clients],
    enabledJWA: {
      clientAuthSigningAlgValues: ['HS256', 'RS256', 'PS256', 'PS512', 'ES256', 'ES384', 'EdDSA'],
    },
    // The library's own default lets a token live 15 s longer than its `expires_in` says. With none
    // it dies up to a second earlier, because its times are whole seconds.
    clockTolerance: settings.clockTolerance,
    // Whoever acts for a user, as an exchange has noted it.
    extraTokenClaims: (_, token) => token.extra,
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    jwks: { keys: [signingKey] },
    cookies: { keys: [randomBytes(16).toString('hex')] },
    scopes: SCOPES.split(' '),
    claims: { openid: ['sub'], email: ['email'] },
    rotateRefreshToken: settings.rotateRefreshToken,
    ttl: {
      AccessToken: () => settings.accessTokenTtl,
      DeviceCode: settings.deviceCodeTtl,
      ClientCredentials: settings.accessTokenTtl,
      RefreshToken: settings.refreshTokenTtl,
      Grant: 24 * 3600,
      IdToken: 3600,
      Interaction: 600,
      Session: 3600,
    },
    features: {
      devInteractions: { enabled: settings.pages },
      clientCredentials: { enabled: true },
      deviceFlow: { enabled: true },
      // With nonces each proof needs one, at the token endpoint and at userinfo.
      dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => wantsNonces },
      mTLS: mutualTls(),
      revocation: { enabled: true, allowedPolicy: (_, client, token) => token.clientId === client.clientId },
      introspection: { enabled: true, allowedPolicy: (_, client, token) => token.clientId === client.clientId },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, audience) => ({
          audience,
          scope: 'api:read api:write',
          accessTokenFormat: 'opaque',
          accessTokenTTL: settings.accessTokenTtl,
        }),
      },
    },
    // The library's own pages have URLs of their own.
    ...(settings.pages ? {} : { interactions: { url: (_, interaction) => `${mount}/interaction/${interaction.uid}` } }),
    findAccount: (_, sub) => ({
      accountId: sub,
      claims: () => ({ sub, email: `${sub}@example.com` }),
    }),
  };
}

/** One issuer: the provider, and what the tests ask about it. */
class Issuer {
  constructor(origin, mount) {
    this.mount = mount;
    this.url = origin + mount;
    this.tokenRequests = [];
    this.apiRequests = [];
    this.rotations = [];
    this.revoked = [];
    this.issuedTokens = [];
    this.provider = new Provider(this.url, configuration(mount));
    const seconds = settings.dpopNonceSeconds;
    if (seconds) internals(this.provider).DPoPNonces = new ChangingNonce(seconds);
    this.proofs = new Proofs(seconds ? new ChangingNonce(seconds, 0.5) : undefined);
    registerExchange(this.provider);
    this.provider.on('grant.revoked', (ctx) => this.revoked.push(ctx.oidc.entities.Account?.accountId ?? null));
    this.provider.use(async (ctx, next) => {
      // Not `performance.now()`, which has fractions but drifts away from the clock of the processes.
      const cameAt = Date.now();
      await next();
      if (ctx.oidc?.route !== 'token') return;
      await this.note(ctx, cameAt);
      this.tokenRequests.push({
        grant_type: ctx.oidc.params?.grant_type ?? null,
        status: ctx.status,
        error: ctx.body?.error ?? null,
      });
      const { access_token, refresh_token, id_token } = ctx.body ?? {};
      this.issuedTokens.push(...[access_token, refresh_token, id_token].filter(Boolean));
    });
    this.answerByProvider = this.provider.callback();
  }

  /** Writes down what a refresh token was used for, and when: the clock is that of the machine. */
  async note(ctx, cameAt) {
    const { params, entities } = ctx.oidc;
    if (params?.grant_type !== 'refresh_token') return;
    const answeredAt = Date.now();
    const proof = ctx.get('dpop');
    this.rotations.push({
      account: entities.Account?.accountId ?? null,
      user_agent: ctx.get('user-agent'),
      sent: params.refresh_token ?? null,
      issued: ctx.body?.refresh_token ?? null,
      came_at: cameAt,
      answered_at: answeredAt,
      status: ctx.status,
      error: ctx.body?.error ?? null,
      key: proof ? await keyOf(proof) : null,
    });
  }

  /** Takes the request if it is below this issuer's mount; says whether it did. */
  async answer(request, response) {
    const path = this.pathOf(request);
    if (path === undefined) return false;

    if (path === '/api' || path.startsWith('/api/')) await this.answerAsApi(request, response, path);
    else if (!settings.pages && path.startsWith('/interaction/')) await this.logIn(request, response);
    else if (path === '/admin/token-requests') json(response, 200, this.tokenRequests);
    else if (path === '/admin/api-requests') json(response, 200, this.apiRequests);
    else if (path === '/admin/rotations') json(response, 200, this.rotations);
    else if (path === '/admin/revoked') json(response, 200, this.revoked);
    else if (path === '/admin/issued-tokens') json(response, 200, this.issuedTokens);
    else if (path === '/admin/access-token-ttl') {
      settings.accessTokenTtl = Number(await read(request));
      json(response, 200, {});
    } else if (path === '/admin/client') {
      const client = JSON.parse(await read(request));
      await this.provider.Client.adapter.upsert(client.client_id, client);
      json(response, 200, {});
    } else if (path === '/admin/revoke') await this.revoke(request, response);
    else {
      // As express and koa-mount do it: the provider finds its mount by comparing the two.
      request.originalUrl = request.url;
      request.url = request.url.slice(this.mount.length) || '/';
      this.answerByProvider(request, response);
    }
    return true;
  }

  pathOf(request) {
    const path = request.url.split('?')[0];
    return path === this.mount || path.startsWith(`${this.mount}/`) ? path.slice(this.mount.length) : undefined;
  }

  async findLive(token) {
    // Both kinds answer `undefined` for what is expired, revoked or of another issuer.
    return (await this.provider.AccessToken.find(token)) ?? (await this.provider.ClientCredentials.find(token));
  }

  async answerAsApi(request, response, path) {
    const { authorization = null, dpop = null } = request.headers;
    const [, scheme, value] = /^(Bearer|DPoP) ([^ ]+)$/.exec(authorization ?? '') ?? [];
    const body = await read(request);
    const token = value && (await this.findLive(value));
    const error = await this.apiError(request, scheme, value, token);
    const status = error ? 401 : 200;
    this.apiRequests.push({
      method: request.method,
      path,
      authorization,
      status,
      sub: token?.accountId ?? null,
      error,
      key: dpop && (await keyOf(dpop)),
    });

    if (!error) {
      response.setHeader('Token-Expires-At', token.exp);
      json(response, 200, {
        path,
        body,
        client_id: token.clientId,
        sub: token.accountId ?? null,
        scope: token.scope ?? null,
        audience: token.aud ?? null,
        actor: token.extra?.act ?? null,
      });
      return;
    }
    if (scheme === 'DPoP') this.proofs.refuse(response, error);
    else {
      // RFC 6750 section 3.1: no error code for a request that brought no credentials at all.
      const challenge = authorization === null ? '' : `, error="${error}", error_description="dead or unknown"`;
      response.setHeader('WWW-Authenticate', `Bearer realm="api"${challenge}`);
    }
    json(response, 401, { error });
  }

  /** What the API has against a request; `null` for nothing. */
  async apiError(request, scheme, value, token) {
    // RFC 9449 section 7.1: neither goes in place of the other.
    if (!token || (scheme === 'DPoP') !== Boolean(token.jkt)) return 'invalid_token';
    // RFC 8705 section 3.
    const certificate = token['x5t#S256'];
    if (certificate && certificate !== thumbprint(certificateOf(request))) return 'invalid_token';
    return token.jkt ? this.proofs.fault(request, value, token) : null;
  }

  /** Stands in for the sign-in and consent pages: says yes to everything for `login_hint`. */
  async logIn(request, response) {
    const interaction = await this.provider.interactionDetails(request, response);
    const { prompt, params, session, grantId } = interaction;
    if (prompt.name === 'login') {
      await this.provider.interactionFinished(request, response, { login: { accountId: params.login_hint } });
      return;
    }
    const grant = grantId
      ? await this.provider.Grant.find(grantId)
      : new this.provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    for (const resource of [params.resource ?? []].flat()) grant.addResourceScope(resource, params.scope);
    await this.provider.interactionFinished(request, response, { consent: { grantId: await grant.save() } });
  }

  async revoke(request, response) {
    const token = await this.findLive(await read(request));
    await token?.destroy();
    json(response, token ? 200 : 404, {});
  }
}

async function read(request) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  return Buffer.concat(chunks).toString('utf8');
}

function json(response, status, value) {
  response.writeHead(status, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(value));
}

/** Starts to listen on a free port, and says which. */
async function listen(server) {
  // Whoever ends idle connections ends one now and then under a request that is just coming, and a call
  // that no test is about fails by chance.
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return `127.0.0.1:${server.address().port}`;
}

const servers = [createServer(), createServer()];
const origin = `http://${await listen(servers[0])}`;
const apiOrigin = `http://${await listen(servers[1])}`;
let mtlsOrigin;
if (settings.mtls) {
  const { certificate: cert, key, authority: ca } = settings.mtls;
  servers.push(createTlsServer({ cert, key, ca, requestCert: true, rejectUnauthorized: false }));
  mtlsOrigin = `https://${await listen(servers[2])}`;
}

const tenantA = new Issuer(origin, '/tenant/a');
const tenantB = new Issuer(origin, '/tenant/b');
// The one without a path is asked last, because every path is below it.
const issuers = [tenantA, tenantB, new Issuer(origin, '')];

async function answer(request, response) {
  try {
    if (request.url === '/tenant/b/.well-known/openid-configuration') {
      json(response, 404, { error: 'not_found' });
      return;
    }
    if (request.url === '/.well-known/oauth-authorization-server/tenant/b') {
      request.url = '/tenant/b/.well-known/oauth-authorization-server';
    }
    for (const issuer of issuers) {
      if (await issuer.answer(request, response)) return;
    }
  } catch (error) {
    console.error(error);
    if (!response.headersSent) json(response, 500, { error: 'server_error' });
  }
}

for (const server of servers) server.on('request', answer);

process.stdin.resume();
process.stdin.on('end', () => process.exit(0));

console.log(JSON.stringify({
  issuer: origin,
  tenant_a: tenantA.url,
  tenant_b: tenantB.url,
  api_origin: apiOrigin,
  redirect_uri: REDIRECT_URI,
  mtls: mtlsOrigin ?? null,
}));
