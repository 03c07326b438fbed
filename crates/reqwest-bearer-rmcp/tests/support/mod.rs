//! What the tests share: the authorization servers of the crate's own tests, and a real MCP server.

#![allow(dead_code, reason = "each test binary uses another part of it")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "what cannot go on in a test may end it"
)]

use std::future::Future;
use std::time::Duration;

#[path = "../../../../tests/support/authorization_server.rs"]
pub(crate) mod authorization_server;
#[path = "../../../../tests/support/http_server.rs"]
pub(crate) mod http_server;
#[path = "../../../../tests/support/login.rs"]
pub(crate) mod login;
pub(crate) mod mcp_server;
pub(crate) mod notes;

/// What should happen at once, or fails the test: far longer than anything takes that does happen.
pub(crate) async fn soon<T>(happens: impl Future<Output = T>) -> T {
    let within = Duration::from_secs(20);
    #[expect(clippy::disallowed_methods, reason = "real time bounds what hangs")]
    let happened = tokio::time::timeout(within, happens).await;
    happened.expect("what should happen at once does not happen")
}
