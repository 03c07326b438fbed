//! What becomes of incoming tokens that the authorization server refuses, and of everybody else.

use std::time::Duration;

use reqwest_bearer::{ErrorKind, TestClock};

use serde_json::json;

use crate::server::{Exchange, api, assert_kind, client, error_of, refusal, subject};
use crate::support::http_server::Reply;

#[tokio::test]
async fn a_dead_incoming_token_is_an_error_for_its_own_caller_alone() {
    // I1, B6, A8: more of them than open a breaker.
    let (clock, server, api) = (TestClock::new(), Exchange::start().await, api().await);
    let orders = client(&api, &server.tokens(&clock));
    let call = async |name: &str| {
        let caller = subject(name);
        orders.for_subject_token(&caller).get("x").send().await
    };
    let dead = ["dead-1", "dead-2", "dead-3", "dead-4", "dead-5"];
    for token in dead {
        server.kill(token);
    }
    call("healthy-0").await.unwrap();
    // In a row, by owners of their own: so a breaker counts.
    for token in dead {
        let error = error_of(call(token).await);
        assert_kind(&error, ErrorKind::InvalidSubjectToken);
        assert_eq!(error.oauth_code(), Some("invalid_request"));
        assert!(!error.is_transient() && error.retry_at().is_some());
        assert!(!format!("{error} {error:?}").contains(token));
    }
    for number in 1..5 {
        call(&format!("healthy-{number}")).await.unwrap();
    }
    assert_eq!(server.count(), 10);
    // The refusal is remembered: for a second at first, and for that caller.
    for token in dead {
        assert_kind(&error_of(call(token).await), ErrorKind::InvalidSubjectToken);
    }
    assert_eq!(server.count(), 10);
    clock.advance(Duration::from_secs(1));
    assert_kind(
        &error_of(call("dead-1").await),
        ErrorKind::InvalidSubjectToken,
    );
    assert_eq!(server.count(), 11);
    assert_eq!(api.seen().len(), 5);
}

#[tokio::test]
async fn what_a_refusal_is_about_is_told_by_its_kind() {
    // I1: whoever brings the token, the settings, or the user in person.
    let (server, api) = (Exchange::start().await, api().await);
    let tokens = reqwest_bearer::ExchangedTokens::new(server.grant()).unwrap();
    let orders = client(&api, &tokens);
    for (number, (code, kind)) in [
        ("invalid_request", ErrorKind::InvalidSubjectToken),
        ("invalid_grant", ErrorKind::InvalidSubjectToken),
        ("invalid_token", ErrorKind::InvalidSubjectToken),
        ("invalid_target", ErrorKind::Rejected),
        ("invalid_scope", ErrorKind::Rejected),
        ("invalid_client", ErrorKind::Rejected),
        ("unsupported_grant_type", ErrorKind::Rejected),
        ("interaction_required", ErrorKind::SignInRequired),
    ]
    .into_iter()
    .enumerate()
    {
        server.then(refusal(code));
        let caller = subject(&format!("caller-{number}"));
        let outcome = orders.for_subject_token(&caller).get("x").send().await;
        let error = error_of(outcome);
        assert_eq!(error.kind(), kind, "{code}");
        assert_eq!(error.oauth_code(), Some(code));
    }
    assert_eq!(server.count(), 8, "a refusal is not repeated");
    // And the next caller is served.
    let caller = subject("next");
    orders
        .for_subject_token(&caller)
        .get("x")
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_token_that_the_api_refuses_is_exchanged_anew_and_the_request_sent_once_more() {
    // I1, C1
    let (server, api) = (Exchange::start().await, api().await);
    let tokens = reqwest_bearer::ExchangedTokens::new(server.grant()).unwrap();
    let orders = client(&api, &tokens).for_subject_token(&subject("a"));
    api.then(crate::support::api::refusal());
    assert_eq!(orders.get("x").send().await.unwrap().status(), 200);
    assert_eq!(api.tokens(), ["1~a", "2~a"]);
    // Of one that is dead by then, the caller gets the API's own answer, and the reason beside it.
    server.kill("a");
    api.then(crate::support::api::refusal());
    let answer = orders.get("x").send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let reason = reqwest_bearer::Error::find_in_response(&answer).unwrap();
    assert_kind(reason, ErrorKind::InvalidSubjectToken);
}

#[tokio::test]
async fn a_server_in_trouble_is_a_failure_and_no_fault_of_the_caller() {
    // I1, E3
    let (server, api) = (Exchange::start().await, api().await);
    let tokens = reqwest_bearer::ExchangedTokens::new(server.grant()).unwrap();
    let orders = client(&api, &tokens).for_subject_token(&subject("a"));
    server.differ(json!({ "refresh_token": "never-kept" }));
    server.then(Reply::new(503)).then(Reply::new(500));
    orders.get("x").send().await.unwrap();
    assert_eq!(server.count(), 3);
    // An exchange spends nothing, whatever came before: a 500 is repeated at once (E3).
    server.then(Reply::new(500));
    api.then(crate::support::api::refusal());
    assert_eq!(orders.get("x").send().await.unwrap().status(), 200);
    assert_eq!(server.count(), 5);
}
