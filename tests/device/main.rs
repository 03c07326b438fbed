//! I3: a sign-in on another device, at a server on real sockets that reads each request as RFC 8628 has it, and
//! whose clock is the test's.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

#[path = "../dpop/proof.rs"]
mod proof;
#[path = "../support/mod.rs"]
mod support;

mod dpop;
mod endings;
mod polls;
mod requests;
mod resumed;
mod server;
