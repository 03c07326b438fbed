// Nonces that change (RFC 9449 sections 8 and 9).
//
// oidc-provider's own change each minute, and it takes those of five minutes: no test waits for that.

import { createHmac, randomBytes } from 'node:crypto';

/**
 * The one before is taken for so many milliseconds more: a request may be on its way when the nonce changes,
 * and no client can mend that.
 */
const GRACE = 1000;

/** A nonce that changes each so many seconds. Its methods have the names that oidc-provider calls. */
export class ChangingNonce {
  #milliseconds;
  #begin;
  #secret = randomBytes(32);

  /** `late` is the share of that time by which it changes later than those that are not late. */
  constructor(seconds, late = 0) {
    this.#milliseconds = seconds * 1000;
    this.#begin = late * this.#milliseconds;
  }

  nextChallenge() {
    return this.#at(Date.now());
  }

  checkChallenge(nonce) {
    const now = Date.now();
    return nonce === this.#at(now) || nonce === this.#at(now - GRACE);
  }

  #at(time) {
    const number = Math.floor((time - this.#begin) / this.#milliseconds);
    return createHmac('sha256', this.#secret).update(String(number)).digest('base64url');
  }
}
