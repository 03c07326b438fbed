//! I5: an API whose authorization servers are found by its metadata (RFC 9728), and the clients that register
//! themselves there (RFC 7591).

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

mod addresses;
mod application;
mod metadata;
mod registration;
mod server;
mod servers;
