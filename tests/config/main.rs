//! J3: clients from a configuration are the clients from code, and what is wrong with one is told with its key.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test may fail it"
)]

#[path = "../support/mod.rs"]
mod support;

mod additions;
mod any_input;
mod kinds;
mod mistakes;
mod readers;
mod same_as_code;
mod secrets;
mod server;
