//! What is measured, under which names and labels: the one file that knows of `metrics`.
//!
//! Each measurement asks the recorder anew, and keeps no handle: a program may install its recorder after
//! its sources are made, and a handle from before would measure for nobody. No warm call comes here.

use std::sync::Arc;
use std::time::Duration;

use ::metrics::{Label, SharedString, Unit};

use crate::error::ErrorKind;
use crate::telemetry::{BreakerScope, RefreshReason, StoreCall, Telemetry};

const TOKEN_REQUEST: &str = "reqwest_bearer_token_request_duration_seconds";
const TOKEN_WAIT: &str = "reqwest_bearer_token_wait_duration_seconds";
const REFUSED: &str = "reqwest_bearer_tokens_refused_total";
const REFRESH_FAILED: &str = "reqwest_bearer_refreshes_failed_total";
const LEASE_WAIT: &str = "reqwest_bearer_lease_wait_duration_seconds";
const STORE_CALL: &str = "reqwest_bearer_store_call_duration_seconds";
const BREAKERS_OPEN: &str = "reqwest_bearer_breakers_open";
const UNSAVED: &str = "reqwest_bearer_unsaved_refresh_tokens";

/// Tells the recorder what each metric of this crate is: its unit, and a sentence that Prometheus shows
/// beside it. Once, when the recorder is installed; without it the metrics are the same, and unexplained.
///
/// Which metrics there are is in [the page on monitoring](crate::guide::monitoring).
pub fn describe_metrics() {
    for (name, help) in [
        (
            TOKEN_REQUEST,
            "How long a token request took, from sending to the whole answer.",
        ),
        (TOKEN_WAIT, "How long a call waited for its token."),
        (
            LEASE_WAIT,
            "How long a refresh waited for another process that had the lease.",
        ),
        (STORE_CALL, "How long a call of the store took."),
    ] {
        ::metrics::describe_histogram!(name, Unit::Seconds, help);
    }
    for (name, help) in [
        (
            REFUSED,
            "Tokens that an API has refused although they were thought to be good.",
        ),
        (
            REFRESH_FAILED,
            "Refreshes that brought no token, all their attempts included.",
        ),
    ] {
        ::metrics::describe_counter!(name, Unit::Count, help);
    }
    for (name, help) in [
        (
            BREAKERS_OPEN,
            "Breakers that are open: the authorization server is left alone, for all clients or for one.",
        ),
        (
            UNSAVED,
            "New refresh tokens that are in memory only, since a store or a hook failed to take them.",
        ),
    ] {
        ::metrics::describe_gauge!(name, Unit::Count, help);
    }
}

pub(super) fn token_request(
    telemetry: &Telemetry,
    reason: RefreshReason,
    error: Option<ErrorKind>,
    duration: Duration,
) {
    let labels = vec![
        source(telemetry),
        grant(telemetry),
        label("reason", reason.as_str()),
        outcome(error),
    ];
    ::metrics::histogram!(TOKEN_REQUEST, labels).record(duration);
}

pub(super) fn token_wait(
    telemetry: &Telemetry,
    client: Option<&Arc<str>>,
    outcome: &'static str,
    duration: Duration,
) {
    let labels = vec![
        source(telemetry),
        name_of(client),
        label("outcome", outcome),
    ];
    ::metrics::histogram!(TOKEN_WAIT, labels).record(duration);
}

pub(super) fn token_refused(telemetry: &Telemetry, client: Option<&Arc<str>>) {
    let labels = vec![source(telemetry), name_of(client)];
    ::metrics::counter!(REFUSED, labels).increment(1);
}

pub(super) fn refresh_failed(telemetry: &Telemetry, reason: RefreshReason, error: ErrorKind) {
    let labels = vec![
        source(telemetry),
        grant(telemetry),
        label("reason", reason.as_str()),
        outcome(Some(error)),
    ];
    ::metrics::counter!(REFRESH_FAILED, labels).increment(1);
}

pub(super) fn lease_wait(telemetry: &Telemetry, outcome: &'static str, duration: Duration) {
    let labels = vec![source(telemetry), label("outcome", outcome)];
    ::metrics::histogram!(LEASE_WAIT, labels).record(duration);
}

pub(super) fn store_call(
    telemetry: &Telemetry,
    call: StoreCall,
    error: Option<ErrorKind>,
    duration: Duration,
) {
    let labels = vec![
        source(telemetry),
        label("call", call.as_str()),
        outcome(error),
    ];
    ::metrics::histogram!(STORE_CALL, labels).record(duration);
}

pub(super) fn breakers_open(telemetry: &Telemetry, scope: BreakerScope, by: f64) {
    let labels = vec![source(telemetry), label("scope", scope.as_str())];
    ::metrics::gauge!(BREAKERS_OPEN, labels).increment(by);
}

pub(super) fn unsaved(telemetry: &Telemetry, by: f64) {
    ::metrics::gauge!(UNSAVED, vec![source(telemetry)]).increment(by);
}

fn source(telemetry: &Telemetry) -> Label {
    label("source", telemetry.source.clone())
}

fn grant(telemetry: &Telemetry) -> Label {
    label("grant", telemetry.grant.clone())
}

/// Of a call without a named client it is empty, which to Prometheus is the same as none.
fn name_of(client: Option<&Arc<str>>) -> Label {
    match client {
        Some(name) => label("client", name.clone()),
        None => label("client", ""),
    }
}

fn outcome(error: Option<ErrorKind>) -> Label {
    label("outcome", error.map_or("ok", ErrorKind::as_str))
}

fn label(name: &'static str, value: impl Into<SharedString>) -> Label {
    Label::new(name, value)
}
