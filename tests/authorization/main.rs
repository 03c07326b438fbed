//! I4: the first half of a sign-in, at a server on real sockets that reads each request as RFCs 6749, 7636,
//! 9126 and 9449 have it.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

#[path = "../dpop/proof.rs"]
mod proof;
#[path = "../support/mod.rs"]
mod support;

mod loopback;
mod pushed;
mod redirects;
mod requests;
mod server;
