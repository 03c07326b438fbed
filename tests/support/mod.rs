//! What the tests share: an issuer in this process, and servers on real sockets.

#![allow(dead_code, reason = "each test binary uses another part of it")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what cannot go on in a test may end it"
)]

use std::future::Future;
use std::time::Duration;

pub(crate) mod api;
pub(crate) mod authorization_server;
pub(crate) mod http_server;
pub(crate) mod issuer;
pub(crate) mod login;
pub(crate) mod store;
pub(crate) mod unfinished_api;

/// Awaits what happens only as time passes by the clock that the test sets.
pub(crate) async fn while_time_passes<T>(
    clock: &reqwest_bearer::TestClock,
    happens: impl Future<Output = T>,
) -> T {
    soon(async {
        let mut happens = std::pin::pin!(happens);
        loop {
            tokio::select! {
                biased;
                happened = &mut happens => return happened,
                () = tokio::task::yield_now() => clock.advance(Duration::from_millis(10)),
            }
        }
    })
    .await
}

/// What should happen at once, or fails the test: not by the clock that a test sets, and far longer
/// than anything takes that does happen.
pub(crate) async fn soon<T>(happens: impl Future<Output = T>) -> T {
    let within = Duration::from_secs(20);
    #[expect(clippy::disallowed_methods, reason = "real time bounds what hangs")]
    let happened = tokio::time::timeout(within, happens).await;
    happened.expect("what should happen at once does not happen")
}
