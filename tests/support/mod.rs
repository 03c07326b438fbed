//! What the tests share: an issuer in this process, and servers on real sockets.

#![allow(dead_code, reason = "each test binary uses another part of it")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what cannot go on in a test may end it"
)]

pub(crate) mod api;
pub(crate) mod authorization_server;
pub(crate) mod http_server;
pub(crate) mod issuer;
pub(crate) mod unfinished_api;
