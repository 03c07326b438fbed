//! C7, C8: what the caller gets when a refusal cannot be healed.

use reqwest_bearer::{Error, ErrorKind, Event, TestClock, Timeouts, TokenResponse, TokenSource};
use serde_json::json;

use crate::support::api::{Api, refusal};
use crate::support::authorization_server::Answer;
use crate::support::http_server::Reply;
use crate::support::issuer::Issuer;
use crate::support::{soon, time_passes};
use crate::{Parts, call, reason, secs, stream_body, until};

/// More than comes along with the head.
fn long_refusal() -> Reply {
    refusal()
        .header("x-request-id", "42")
        .body("who? ".repeat(10_000))
}

async fn is_untouched(response: reqwest::Response) -> bool {
    response.status() == 401
        && response.headers()["x-request-id"] == "42"
        && response.text().await.unwrap() == long_refusal().body
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_twice_brings_the_refusal_back_and_the_next_call_works() {
    // C7
    let parts = Parts::new().await;
    parts.api.then(long_refusal());
    let client = parts.api.client(&parts.source);
    let send = || client.post("x").body(stream_body()).send();
    let refused = send().await.unwrap();
    assert!(is_untouched(refused).await);
    assert_eq!(parts.server.token_requests(), 1);
    assert_eq!(send().await.unwrap().status(), 200);
    assert_eq!(parts.api.tokens(), ["access-1", "access-2"]);
    assert_eq!(parts.api.seen()[1].body, "something");
    assert_eq!(parts.server.token_requests(), 2);
}

#[tokio::test]
async fn a_refresh_that_fails_leaves_the_api_s_answer_and_says_why() {
    // C8
    for (answer, why) in [
        (
            Reply::new(400).json(&json!({ "error": "invalid_client" })),
            ErrorKind::Rejected,
        ),
        (Reply::new(200).body("<html>"), ErrorKind::Protocol),
        (
            Reply::new(503).header("retry-after", "60"),
            ErrorKind::Unavailable,
        ),
        (
            Reply::new(200).json(&json!({ "access_token": "a\r\nb", "token_type": "Bearer" })),
            ErrorKind::Protocol,
        ),
    ] {
        let parts = Parts::new().await;
        parts.source.warm_up().await.unwrap();
        parts.server.always(Answer::Reply(answer));
        parts.api.then(long_refusal());
        let refused = parts.call().await;
        assert_eq!(reason(&refused), Some(why));
        assert!(
            refused
                .extensions()
                .get::<Error>()
                .unwrap()
                .retry_at()
                .is_some()
        );
        assert!(is_untouched(refused).await, "{why:?}");
        assert_eq!(parts.api.tokens(), ["access-1"], "{why:?}");
    }
}

#[tokio::test]
async fn a_refresh_that_brings_the_refused_token_again_leaves_the_api_s_answer() {
    // C8
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    issuer.always(TokenResponse::bearer("same").with_expires_in(secs(600.0)));
    let source = issuer.source(&clock);
    let api = Api::that_takes(|_| true).await;
    assert_eq!(call(&api, &source).await.status(), 200);
    api.then(long_refusal());
    // It comes again with a later expiry, which does not make it another token.
    clock.advance(secs(2.0));
    let refused = call(&api, &source).await;
    assert_eq!(reason(&refused), Some(ErrorKind::Protocol));
    assert!(is_untouched(refused).await);
    assert!(source.status().is_refused());
    assert_eq!(api.tokens(), ["same", "same"]);
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn a_source_that_was_shut_down_leaves_the_api_s_answer() {
    // C8
    let parts = Parts::new().await;
    parts.source.warm_up().await.unwrap();
    parts.source.shutdown().await.unwrap();
    parts.api.then(long_refusal());
    let refused = parts.call().await;
    assert_eq!(reason(&refused), Some(ErrorKind::ShutDown));
    assert!(is_untouched(refused).await);
}

#[tokio::test]
async fn a_refresh_that_takes_too_long_leaves_the_api_s_answer() {
    // C8, B13: too long for the source, or for the caller.
    for timeout in [None, Some(secs(2.0))] {
        let (clock, issuer) = (TestClock::new(), Issuer::new());
        let builder = issuer.builder(&clock);
        let source = builder
            .timeouts(Timeouts::new().wait(secs(3.0)))
            .build()
            .unwrap();
        let api = Api::that_takes(|_| true).await;
        source.warm_up().await.unwrap();
        issuer.hold();
        api.then(long_refusal());
        let mut request = api.client(&source).get("x");
        if let Some(timeout) = timeout {
            request = request.timeout(timeout);
        }
        let mut refused = tokio::spawn(request.send());
        until(issuer.until_requests(2), &mut refused).await;
        clock.advance(timeout.unwrap_or(secs(3.0)));
        let refused = soon(refused).await.unwrap().unwrap();
        assert_eq!(reason(&refused), Some(ErrorKind::Timeout), "{timeout:?}");
        assert!(is_untouched(refused).await);
        assert_eq!(api.tokens(), ["token-1"]);
    }
}

#[tokio::test]
async fn a_new_token_that_comes_with_the_end_of_the_time_out_leaves_the_api_s_answer() {
    // C8, B13: the clock strikes while the flight lands.
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let striking = clock.clone();
    let source: TokenSource = issuer
        .builder(&clock)
        .on_event(move |event| {
            if matches!(event, Event::TokenRequest { .. }) {
                striking.advance(secs(5.0));
            }
        })
        .build()
        .unwrap();
    let api = Api::that_takes(|_| true).await;
    source.warm_up().await.unwrap();
    api.then(long_refusal());
    let request = api.client(&source).get("x").timeout(secs(5.0));
    let refused = request.send().await.unwrap();
    assert_eq!(reason(&refused), Some(ErrorKind::Timeout));
    assert!(is_untouched(refused).await);
    assert_eq!(api.tokens(), ["token-1"]);
}

#[tokio::test]
async fn the_answer_is_kept_until_the_new_token_is_there() {
    // C9: it is what the caller gets if none comes.
    let parts = Parts::new().await;
    parts.source.warm_up().await.unwrap();
    parts.server.hold();
    let wrong = Reply::new(400).json(&json!({ "error": "invalid_client" }));
    parts.server.then(Answer::Reply(wrong));
    parts.api.then(long_refusal());
    let mut refused = tokio::spawn(parts.api.client(&parts.source).get("x").send());
    until(parts.server.until_held(1), &mut refused).await;
    // Longer than a draining takes, which would leave nothing of the body.
    time_passes(&parts.clock, secs(1.0)).await;
    parts.server.release();
    assert!(is_untouched(soon(refused).await.unwrap().unwrap()).await);
}
