//! I1: tokens for the tokens of callers, at servers on real sockets that keep what they were sent.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod assertions;
mod callers;
mod chain;
mod ends;
mod mixing;
mod on_behalf_of;
mod refusals;
mod server;
mod sessions;
mod settings;
mod workload;
