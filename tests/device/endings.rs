//! I3: what ends the wait, and what the caller hears.

use reqwest_bearer::{ClientAuthentication, DeviceAuthorizationRequest, ErrorKind, TokenEndpoint};
use serde_json::json;

use crate::server::{DEVICE_CODE, Say, Server, error, seconds};
use crate::support::http_server::Reply;
use crate::support::{soon, time_passes, under_way, until, while_time_passes};

#[tokio::test]
async fn a_verdict_ends_the_wait_with_a_kind_and_a_code_for_the_program() {
    // I3, D6
    let sign_in = ErrorKind::SignInRequired;
    for (status, said, kind, code) in [
        (400, "access_denied", sign_in, Some("access_denied")),
        (403, "access_denied", sign_in, Some("access_denied")),
        // Entra.
        (
            400,
            "authorization_declined",
            sign_in,
            Some("access_denied"),
        ),
        (400, "bad_verification_code", sign_in, Some("invalid_grant")),
        (400, "code_expired", sign_in, Some("expired_token")),
        // GitHub.
        (200, "token_expired", sign_in, Some("expired_token")),
        (200, "incorrect_device_code", sign_in, Some("invalid_grant")),
        (400, "expired_token", sign_in, Some("expired_token")),
        (400, "invalid_grant", sign_in, Some("invalid_grant")),
        (
            401,
            "invalid_client",
            ErrorKind::Rejected,
            Some("invalid_client"),
        ),
        (
            400,
            "unsupported_grant_type",
            ErrorKind::Rejected,
            Some("unsupported_grant_type"),
        ),
        (400, "canary", ErrorKind::Rejected, None),
    ] {
        let server = Server::start().await;
        let mut pending = server.begin().await;
        server.then_error("authorization_pending");
        server.then(error(status, said)).agree();
        let error = server.finish(&mut pending).await.unwrap_err();
        assert_eq!((error.kind(), error.oauth_code()), (kind, code), "{said}");
        assert_eq!(error.server(), Some(&*server.url("")));
        let response = error.error_response().unwrap();
        assert_eq!(response.error(), Some(said));
        assert_eq!(response.error_description(), Some("canary words"));
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert_eq!(server.polls(), 2, "{said}");
    }
}

#[tokio::test]
async fn the_wait_ends_with_the_life_of_the_code() {
    // I3
    let server = Server::start().await;
    server.codes(json!({ "expires_in": 60, "interval": 20 }));
    let mut pending = server.begin().await;
    let error = server.finish(&mut pending).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert!(error.to_string().contains("has not finished"), "{error}");
    assert_eq!(pending.time_left(&server.endpoint()), seconds(0));
    let polls = server.polls();
    assert!((1..=2).contains(&polls), "{polls}");
    // Nothing more is asked, however often it is called.
    server.agree();
    let error = soon(pending.finish(&server.endpoint())).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert_eq!(server.polls(), polls);
}

#[tokio::test]
async fn a_server_that_is_down_until_the_code_has_expired_is_named_as_the_cause() {
    // I3
    let server = Server::start().await;
    server.codes(json!({ "expires_in": 120 }));
    let mut pending = server.begin().await;
    for _ in 0..20 {
        server.then(Reply::new(503));
    }
    let error = server.finish(&mut pending).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert!(error.to_string().contains("could not be asked"), "{error}");
    let cause = std::error::Error::source(&error).unwrap();
    assert!(cause.to_string().contains("status 503"), "{cause}");
    // 5.5 s, then 10.5, 20.5 and 40.5 s: the next one would come after the end.
    assert!((3..=4).contains(&server.polls()), "{}", server.polls());
}

#[tokio::test]
async fn a_code_that_died_after_a_lost_answer_is_told_apart_from_one_that_just_died() {
    // I3
    for (before, is_lost) in [
        (Say::Cut, true),
        (Reply::new(504).into(), true),
        (Reply::new(500).into(), true),
        (Reply::new(503).into(), false),
        (error(400, "authorization_pending").into(), false),
        (error(400, "slow_down").into(), false),
    ] {
        let server = Server::start().await;
        let mut pending = server.begin().await;
        server.then(before.clone()).then_error("invalid_grant");
        let error = server.finish(&mut pending).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignInRequired);
        assert_eq!(error.oauth_code(), Some("invalid_grant"));
        assert_eq!(
            error.to_string().contains("was lost"),
            is_lost,
            "{before:?}: {error}"
        );
    }
}

#[tokio::test]
async fn what_is_no_oauth_answer_ends_the_wait_and_the_value_stays_good() {
    // I3
    let server = Server::start().await;
    let mut pending = server.begin().await;
    server
        .then(Reply::new(200).body("<html>"))
        .then(Reply::new(302).header("location", server.url("/device")))
        .agree();
    for _ in 0..2 {
        let error = server.finish(&mut pending).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    }
    server.finish(&mut pending).await.unwrap();
    assert_eq!(server.polls(), 3);
    assert_eq!(server.book().device_requests.len(), 1);
}

#[tokio::test]
async fn the_code_goes_to_the_server_and_the_client_that_it_was_made_for() {
    // I3
    let (server, other) = (Server::start().await, Server::start().await);
    let mut pending = server.begin().await;
    let endpoints = [
        other.endpoint(),
        server.endpoint_of(ClientAuthentication::none("other")),
        TokenEndpoint::new(server.url("/token"), Server::client()).unwrap(),
    ];
    for endpoint in endpoints {
        let error = soon(pending.finish(&endpoint)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains(DEVICE_CODE), "{shown}");
    }
    assert_eq!((server.polls(), other.polls()), (0, 0));
    server.agree();
    server.finish(&mut pending).await.unwrap();
}

#[tokio::test]
async fn a_poll_takes_its_turn_and_waits_for_it_no_longer_than_the_code_lives() {
    // I3, A7
    let server = Server::start().await;
    let endpoint = server
        .builder(Server::client())
        .issuer(server.url(""))
        .requests_at_once(1)
        .build()
        .unwrap();
    let begin = async |life: u64| {
        server.codes(json!({ "expires_in": life }));
        let request = DeviceAuthorizationRequest::new();
        request.start(&endpoint).await.unwrap()
    };
    let (mut first, mut second) = (begin(6_000).await, begin(60).await);
    server.answered.send_replace(0);
    server.agree();
    let own = endpoint.clone();
    let first = under_way(async move { first.finish(&own).await }).await;
    time_passes(&server.clock, seconds(6)).await;
    until(async || server.polls() == 1).await;
    let error = while_time_passes(&server.clock, second.finish(&endpoint)).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert!(error.to_string().contains("could not be asked"), "{error}");
    assert_eq!(server.polls(), 1);
    server.answered.send_replace(usize::MAX);
    soon(first).await.unwrap().unwrap();
}
