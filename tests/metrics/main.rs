//! J1: what is measured, under which names and labels.

#![cfg(feature = "metrics")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test may fail it"
)]

#[path = "../support/mod.rs"]
mod support;

mod breakers;
mod calls;
mod names;
mod page;
mod stores;
mod unsaved;

use std::time::Duration;

use reqwest_bearer::{TestClock, TokenSource};
use support::recorder::Recorder;

const TOKEN_REQUEST: &str = "reqwest_bearer_token_request_duration_seconds";
const TOKEN_WAIT: &str = "reqwest_bearer_token_wait_duration_seconds";
const REFUSED: &str = "reqwest_bearer_tokens_refused_total";
const REFRESH_FAILED: &str = "reqwest_bearer_refreshes_failed_total";
const LEASE_WAIT: &str = "reqwest_bearer_lease_wait_duration_seconds";
const STORE_CALL: &str = "reqwest_bearer_store_call_duration_seconds";
const BREAKERS_OPEN: &str = "reqwest_bearer_breakers_open";
const UNSAVED: &str = "reqwest_bearer_unsaved_refresh_tokens";

/// Runs a test whose measurements come to a recorder of its own: flights and calls are on this thread. What it
/// has measured is as the page says.
async fn measured(test: impl AsyncFnOnce(Recorder)) {
    let recorder = Recorder::default();
    let listening = metrics::set_default_local_recorder(&recorder);
    test(recorder.clone()).await;
    drop(listening);
    page::expect_as_written(&recorder);
}

/// A call that has begun to wait.
async fn waiting(source: &TokenSource) -> tokio::task::JoinHandle<bool> {
    let source = source.clone();
    support::under_way(async move { source.token().await.is_ok() }).await
}

fn advance(clock: &TestClock, seconds: f64) {
    clock.advance(Duration::from_secs_f64(seconds));
}
