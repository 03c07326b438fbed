//! C1, C2, C3, C9, C10: one refresh, one resend, over the same connection.

use std::time::Duration;

use async_trait::async_trait;
use http::Extensions;
use reqwest::{Request, Response};
use reqwest_bearer::{
    Error, ErrorKind, NamedClient, TestClock, TokenOptions, TokenResponse, TokenSource,
};
use reqwest_middleware::{Middleware, Next};
use tokio::task::JoinSet;

use crate::support::api::{Api, refusal};
use crate::support::authorization_server::{Answer, AuthorizationServer};
use crate::support::http_server::Reply;
use crate::support::issuer::Issuer;
use crate::support::unfinished_api::{Body, UnfinishedApi};
use crate::support::witness::Witness;
use crate::support::{soon, time_passes, under_way};
use crate::{Parts, call, secs, source, until};

/// Two hundred calls that the API has seen with the token that it no longer takes.
async fn two_hundred_refused(parts: &Parts) -> JoinSet<u16> {
    parts.source.warm_up().await.unwrap();
    parts.server.revoke_all();
    parts.api.hold();
    let client = parts.api.client(&parts.source);
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        let client = client.clone();
        calls.spawn(async move { client.get("x").send().await.unwrap().status().as_u16() });
    }
    parts.api.until_held(200).await;
    calls
}

/// Returns when the present token has been refused: the refused call waits for the next one then.
async fn is_refused(source: &TokenSource) {
    crate::support::until(async || source.status().is_refused()).await;
}

async fn all_healed_by_one_refresh(parts: &Parts, calls: JoinSet<u16>) {
    assert_eq!(calls.join_all().await, [200; 200]);
    assert_eq!(parts.server.token_requests(), 2);
    let tokens = parts.api.tokens();
    let (old, new) = tokens.split_at(200);
    assert!(old.iter().all(|token| token == "access-1"));
    assert!(new.iter().all(|token| token == "access-2"));
    assert_eq!(new.len(), 200);
}

#[tokio::test]
async fn two_hundred_calls_refused_together_cost_one_refresh() {
    // C1
    let parts = Parts::new().await;
    let calls = two_hundred_refused(&parts).await;
    parts.api.release();
    all_healed_by_one_refresh(&parts, calls).await;
}

#[tokio::test]
async fn two_hundred_calls_refused_one_after_another_cost_one_refresh() {
    // C1: each refusal arrives after the resend of the call before it was sent.
    let parts = Parts::new().await;
    let mut calls = two_hundred_refused(&parts).await;
    for resends in 1..=200 {
        parts.api.release_one();
        tokio::select! {
            () = parts.api.until_seen(200 + resends) => {}
            // All resends are held back.
            call = calls.join_next() => panic!("not sent again: {call:?}"),
        }
    }
    parts.api.release();
    all_healed_by_one_refresh(&parts, calls).await;
}

#[tokio::test]
async fn while_the_guard_holds_a_refused_token_is_sent_on_and_a_success_lifts_the_refusal() {
    // C1
    let parts = Parts::new().await;
    parts.api.then(refusal()).then(refusal());
    assert_eq!(parts.call().await.status(), 401);
    assert!(parts.source.status().is_refused());
    parts.clock.advance(secs(0.5));
    assert_eq!(parts.call().await.status(), 200);
    assert!(!parts.source.status().is_refused());
    // Nothing is refused any more, so nothing is refreshed when the guard lets go.
    parts.clock.advance(secs(10.0));
    assert_eq!(parts.call().await.status(), 200);
    assert_eq!(parts.server.token_requests(), 2);
    let tokens = ["access-1", "access-2", "access-2", "access-2"];
    assert_eq!(parts.api.tokens(), tokens);
}

#[tokio::test]
async fn while_a_back_off_holds_a_refused_token_is_sent_on_and_only_a_later_success_counts() {
    // C1
    let parts = Parts::new().await;
    parts.source.warm_up().await.unwrap();
    let slow = Api::start(&parts.server).await;
    slow.hold();
    let mut early = tokio::spawn({
        let request = slow.client(&parts.source).get("x");
        async move { request.send().await.unwrap().status() }
    });
    until(slow.until_held(1), &mut early).await;
    parts.clock.advance(secs(0.1));
    let wrong = Reply::new(400).json(&serde_json::json!({ "error": "invalid_client" }));
    parts.server.then(Answer::Reply(wrong));
    parts.api.then(refusal());
    assert_eq!(parts.call().await.status(), 401);
    slow.release();
    assert_eq!(early.await.unwrap(), 200);
    assert!(
        parts.source.status().is_refused(),
        "a success that was sent before the refusal says nothing about it"
    );
    parts.clock.advance(secs(0.1));
    assert_eq!(parts.call().await.status(), 200);
    assert!(!parts.source.status().is_refused());
    parts.clock.advance(secs(10.0));
    assert_eq!(parts.call().await.status(), 200);
    assert_eq!(parts.api.tokens(), ["access-1"; 3]);
    assert_eq!(parts.server.token_requests(), 2);
}

#[tokio::test]
async fn what_was_asked_for_before_a_refusal_is_never_used() {
    // C2: some servers answer with the same token, others with one that dies with the refused one.
    for brought in ["token-1", "token-2"] {
        let (clock, issuer) = (TestClock::new(), Issuer::new());
        let source = issuer.source(&clock);
        let api = Api::that_takes(|token| token == "token-1").await;
        assert_eq!(call(&api, &source).await.status(), 200);
        clock.advance(secs(480.0));
        issuer
            .hold()
            .then(TokenResponse::bearer(brought).with_expires_in(secs(600.0)));
        assert_eq!(call(&api, &source).await.status(), 200);
        issuer.until_requests(2).await;
        // The request of the soft flight is on its way. Now the token is refused.
        clock.advance(secs(1.0));
        api.then(refusal());
        api.then(Reply::new(200));
        let mut refused = tokio::spawn({
            let request = api.client(&source).get("x");
            async move { request.send().await.unwrap().status() }
        });
        until(is_refused(&source), &mut refused).await;
        issuer.release();
        assert_eq!(soon(refused).await.unwrap(), 200);
        assert_eq!(issuer.requests(), 3, "{brought}");
        let tokens = ["token-1", "token-1", "token-1", "token-3"];
        assert_eq!(api.tokens(), tokens, "{brought}");
    }
}

#[tokio::test]
async fn what_was_asked_for_before_a_refusal_is_used_if_nothing_later_comes() {
    // C2, B7
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.source(&clock);
    let api = Api::that_takes(|token| token != "token-2").await;
    assert_eq!(call(&api, &source).await.status(), 200);
    clock.advance(secs(480.0));
    let busy = Error::unavailable("the server asks for a pause").with_retry_after(secs(60.0));
    issuer
        .hold()
        .then(TokenResponse::bearer("token-2").with_expires_in(secs(600.0)))
        .then(busy);
    assert_eq!(call(&api, &source).await.status(), 200);
    issuer.until_requests(2).await;
    clock.advance(secs(1.0));
    source.invalidate_all().unwrap();
    let waiting = under_way({
        let source = source.clone();
        async move { source.token().await.unwrap().expose().to_owned() }
    })
    .await;
    issuer.release();
    assert_eq!(soon(waiting).await.unwrap(), "token-2");
    assert_eq!(issuer.requests(), 3);
    // The server's pause holds all the same.
    clock.advance(secs(59.0));
    assert_eq!(call(&api, &source).await.status(), 401);
    assert_eq!(issuer.requests(), 3);
    clock.advance(secs(1.0));
    assert_eq!(call(&api, &source).await.status(), 200);
    assert_eq!(issuer.requests(), 4);
}

#[tokio::test]
async fn a_flight_that_asks_after_the_refusal_asks_once() {
    // C2: it began before the refusal, and waited for its turn.
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    issuer.then(
        TokenResponse::bearer("token-1")
            .with_expires_in(secs(600.0))
            .with_refresh_token("refresh-1"),
    );
    let source = issuer.source(&clock);
    let api = Api::that_takes(|_| true).await;
    assert_eq!(call(&api, &source).await.status(), 200);
    clock.advance(secs(480.0));
    issuer.hold();
    let other = tokio::spawn({
        let source = source.clone();
        async move {
            let options = TokenOptions::new().scope("other");
            source.token_with(&options).await.map(drop)
        }
    });
    issuer.until_requests(2).await;
    assert_eq!(call(&api, &source).await.status(), 200);
    assert!(source.status().is_refreshing());
    clock.advance(secs(1.0));
    api.then(refusal());
    let mut refused = tokio::spawn({
        let request = api.client(&source).get("x");
        async move { request.send().await.unwrap().status() }
    });
    until(is_refused(&source), &mut refused).await;
    issuer.release();
    assert_eq!(soon(refused).await.unwrap(), 200);
    assert!(soon(other).await.unwrap().is_ok());
    assert_eq!(issuer.requests(), 3);
    assert_eq!(api.tokens().pop().unwrap(), "token-3");
}

#[tokio::test]
async fn a_request_is_sent_again_once() {
    // C3
    let parts = Parts::new().await;
    parts.api.always(refusal());
    assert_eq!(parts.call().await.status(), 401);
    assert_eq!(parts.api.tokens(), ["access-1", "access-2"]);
    assert_eq!(parts.server.token_requests(), 2);
}

#[tokio::test]
async fn the_resend_is_the_same_request_with_another_token() {
    // C3
    let parts = Parts::new().await;
    parts.api.then(refusal());
    let request = parts.api.client(&parts.source).post("x?a=b");
    let answer = request.header("x-own", "1").body("something").send().await;
    assert_eq!(answer.unwrap().status(), 200);
    let seen = parts.api.seen();
    assert_eq!(seen.len(), 2);
    for request in seen {
        assert_eq!(
            (request.method.as_str(), &*request.path),
            ("POST", "/x?a=b")
        );
        assert_eq!(request.headers["x-own"], "1");
        assert_eq!(request.headers.get_all("authorization").iter().count(), 1);
        assert_eq!(request.body, "something");
    }
}

#[tokio::test]
async fn five_healed_refusals_use_one_connection() {
    // C9: with bodies that do not come along with the head.
    let parts = Parts::new().await;
    let client = parts.api.client(&parts.source);
    for _ in 0..5 {
        parts.api.then(refusal().body("x".repeat(60 * 1024)));
        let answer = client.get("x").send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "fine");
        parts.clock.advance(secs(2.0));
    }
    assert_eq!(parts.api.seen().len(), 10);
    assert_eq!(parts.api.connections(), 1);
}

#[tokio::test]
async fn a_refusal_whose_body_never_ends_does_not_hold_the_resend_up() {
    // C9: by its size, since the clock stands still.
    let server = AuthorizationServer::start().await;
    let clock = TestClock::new();
    let source = source(&server, &clock);
    let api = UnfinishedApi::start("access-1", Body::Endless).await;
    api.answer();
    let answer = api.get(&source).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(api.tokens(), ["access-1", "access-2"]);
}

#[tokio::test]
async fn a_refusal_whose_body_does_not_come_holds_the_resend_up_for_a_quarter_of_a_second() {
    // C9: by its time. The newer token is there already, so the only wait is that for the draining.
    let server = AuthorizationServer::start().await;
    let clock = TestClock::new();
    let source = source(&server, &clock);
    let api = UnfinishedApi::start("access-1", Body::Missing).await;
    let witness = Witness::new();
    let client = NamedClient::builder("api", api.url(), &source)
        .after(witness.clone())
        .build()
        .unwrap();
    let mut answer = tokio::spawn(async move { client.get("x").send().await.unwrap().status() });
    until(api.until_seen(1), &mut answer).await;
    source.invalidate(&source.token().await.unwrap());
    source.warm_up().await.unwrap();
    api.answer();
    until(witness.until_answers(1), &mut answer).await;
    time_passes(&clock, Duration::from_millis(249)).await;
    assert!(!source.status().is_refreshing());
    assert_eq!(api.tokens(), ["access-1"]);
    time_passes(&clock, Duration::from_millis(50)).await;
    assert_eq!(soon(answer).await.unwrap(), 200);
    assert_eq!(api.tokens(), ["access-1", "access-2"]);
}

#[tokio::test]
async fn a_refusal_by_another_origin_after_a_redirect_refreshes_nothing() {
    // C10: the token did not go there.
    let parts = Parts::new().await;
    let elsewhere = Api::that_takes(|_| false).await;
    let there = format!("{}/y", elsewhere.url());
    parts.api.then(Reply::new(302).header("location", there));
    assert_eq!(parts.call().await.status(), 401);
    assert_eq!(elsewhere.seen()[0].token(), None);
    assert_eq!((elsewhere.seen().len(), parts.api.seen().len()), (1, 1));
    assert_eq!(parts.server.token_requests(), 1);
    assert!(!parts.source.status().is_refused());
}

#[tokio::test]
async fn a_refusal_by_another_origin_says_why_it_was_passed_on() {
    // K20, also where both origins may have the token.
    let parts = Parts::new().await;
    let elsewhere = Api::that_takes(|_| false).await;
    for status in [401, 403] {
        elsewhere.always(Reply::new(status));
        let there = format!("{}/y?key=canary", elsewhere.url());
        parts.api.then(Reply::new(302).header("location", there));
        let client = NamedClient::builder("api", parts.api.url(), &parts.source)
            .origin(elsewhere.url())
            .build()
            .unwrap();
        let answer = client.get("x").send().await.unwrap();
        let reason = reqwest_bearer::Error::find_in_response(&answer);
        assert_eq!(reason.is_some(), status == 401);
        if let Some(reason) = reason {
            assert_eq!(reason.kind(), ErrorKind::OriginNotAllowed);
            let message = reason.to_string();
            assert!(message.contains(elsewhere.url()), "{message}");
            assert!(!message.contains("canary"), "{message}");
        }
    }
    assert_eq!(parts.server.token_requests(), 1);
}

#[tokio::test]
async fn a_refusal_by_the_same_origin_after_a_redirect_is_healed_from_the_start() {
    // C10: the other side of it.
    let parts = Parts::new().await;
    parts.api.then(Reply::new(302).header("location", "/y"));
    parts.api.then(refusal());
    assert_eq!(parts.call().await.status(), 200);
    let paths: Vec<_> = parts.api.seen().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/x", "/y", "/x"]);
    assert_eq!(parts.server.token_requests(), 2);
}

/// Reads each body and makes the answer anew, without the URL that it came from.
struct BodyReader;

#[async_trait]
impl Middleware for BodyReader {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let answer = next.run(request, extensions).await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut anew = http::Response::new(answer.bytes().await?);
        *anew.status_mut() = status;
        *anew.headers_mut() = headers;
        Ok(anew.into())
    }
}

#[tokio::test]
async fn a_refusal_that_inner_middleware_has_made_anew_is_healed_too() {
    // C1, C10: it does not say where it came from, which is not the same as from elsewhere.
    let parts = Parts::new().await;
    let client = NamedClient::builder("api", parts.api.url(), &parts.source)
        .after(BodyReader)
        .build()
        .unwrap();
    parts.api.then(refusal());
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    assert_eq!(parts.api.tokens(), ["access-1", "access-2"]);
}
