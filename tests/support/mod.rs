//! What the tests share: an issuer in this process, and servers on real sockets.

#![allow(dead_code, reason = "each test binary uses another part of it")]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "what cannot go on in a test may end it"
)]

use std::future::Future;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use futures_util::poll;
use reqwest_bearer::{TestClock, TokenSource};
use tokio::task::{JoinHandle, unconstrained};

pub(crate) mod api;
pub(crate) mod authorization_server;
pub(crate) mod http_server;
pub(crate) mod issuer;
pub(crate) mod login;
pub(crate) mod recorder;
pub(crate) mod sendings;
pub(crate) mod store;
pub(crate) mod unfinished_api;
pub(crate) mod witness;

/// A call that has begun when this returns: it has joined a flight or started one, and its wait
/// counts from now.
pub(crate) async fn under_way<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
) -> JoinHandle<T> {
    let mut call = Box::pin(call);
    // However many calls a test begins, none is put off because the runtime has had enough of it.
    match poll!(unconstrained(call.as_mut())) {
        Poll::Ready(at_once) => tokio::spawn(std::future::ready(at_once)),
        Poll::Pending => tokio::spawn(call),
    }
}

/// Returns when what can be seen from outside is so.
pub(crate) async fn until(mut is_so: impl AsyncFnMut() -> bool) {
    soon(async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// Returns when the flight under way has landed.
pub(crate) async fn landed(source: &TokenSource) {
    until(async || !source.status().is_refreshing()).await;
}

/// Awaits what happens only as time passes by the clock that the test sets: not what a socket
/// brings, for which the time would pass too fast.
pub(crate) async fn while_time_passes<T>(clock: &TestClock, happens: impl Future<Output = T>) -> T {
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

/// How long it takes by the clock that the test sets, to a hundredth of a second or a few.
pub(crate) async fn time_until<T>(clock: &TestClock, happens: impl Future<Output = T>) -> Duration {
    let began = clock.system_time();
    while_time_passes(clock, happens).await;
    since(began, clock)
}

/// So much time passes, and whoever waits for a moment in it is woken at that moment: for what
/// should not happen meanwhile, and to get past a pause before a socket is waited for.
pub(crate) async fn time_passes(clock: &TestClock, by: Duration) {
    let (began, step) = (clock.system_time(), by / 100);
    while since(began, clock) + step < by {
        clock.advance(step);
        tokio::task::yield_now().await;
    }
    clock.advance(by - since(began, clock));
    tokio::task::yield_now().await;
}

fn since(began: SystemTime, clock: &TestClock) -> Duration {
    clock.system_time().duration_since(began).unwrap()
}

/// What should happen at once, or fails the test: not by the clock that a test sets, and far longer
/// than anything takes that does happen.
pub(crate) async fn soon<T>(happens: impl Future<Output = T>) -> T {
    let within = Duration::from_secs(20);
    #[expect(clippy::disallowed_methods, reason = "real time bounds what hangs")]
    let happened = tokio::time::timeout(within, happens).await;
    happened.expect("what should happen at once does not happen")
}
