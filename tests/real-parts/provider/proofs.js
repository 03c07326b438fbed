// What the API asks of a request with a token that is bound to a key (RFC 9449 section 7).

import { createHash } from 'node:crypto';

import { EmbeddedJWK, calculateJwkThumbprint, decodeProtectedHeader, jwtVerify } from 'jose';

/** How far the clocks of an API and its clients may be apart, in seconds. */
const SKEW = 10;

/** The thumbprint of the key that a proof names, whether or not it is signed with that. */
export async function keyOf(proof) {
  try {
    return await calculateJwkThumbprint(decodeProtectedHeader(proof).jwk);
  } catch {
    return null;
  }
}

/** The proofs that an API has seen. */
export class Proofs {
  #nonce;
  #seen = new Set();

  /** Without a nonce none is asked for. */
  constructor(nonce) {
    this.#nonce = nonce;
  }

  /** What is wrong with the request, as the code of an error; `null` for one that is as it should be. */
  async fault(request, value, token) {
    let claims;
    try {
      const options = { typ: 'dpop+jwt', algorithms: ['ES256'] };
      const proof = await jwtVerify(request.headers.dpop, EmbeddedJWK, options);
      claims = proof.payload;
      // Section 6.1: without this anybody's key would do.
      if ((await calculateJwkThumbprint(proof.protectedHeader.jwk)) !== token.jkt) return 'invalid_token';
    } catch {
      return 'invalid_dpop_proof';
    }
    const url = new URL(request.url, `http://${request.headers.host}`);
    const isOfRequest =
      claims.htm === request.method &&
      claims.htu === url.origin + url.pathname &&
      claims.ath === createHash('sha256').update(value).digest('base64url') &&
      Math.abs(Date.now() / 1000 - claims.iat) < SKEW;
    if (!isOfRequest || this.#seen.has(claims.jti)) return 'invalid_dpop_proof';
    this.#seen.add(claims.jti);
    return this.#nonce && !this.#nonce.checkChallenge(claims.nonce) ? 'use_dpop_nonce' : null;
  }

  /** The answer to a request that has this fault. */
  refuse(response, fault) {
    // With the demand alone: so each client of a fleet meets each change.
    if (fault === 'use_dpop_nonce') response.setHeader('DPoP-Nonce', this.#nonce.nextChallenge());
    response.setHeader('WWW-Authenticate', `DPoP realm="api", error="${fault}", algs="ES256"`);
  }
}
