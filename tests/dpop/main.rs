//! H5 to H7: tokens that are bound to a key, at servers on real sockets that read each proof.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

mod api_nonces;
mod application;
mod clock_skew;
mod exchanged;
mod first_nonce;
mod proof;
mod resend_count;
mod server;
mod sessions;
mod settings;
mod signed_in;
mod spent_first;
mod token_nonces;
