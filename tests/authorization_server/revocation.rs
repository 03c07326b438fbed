//! Tokens are given back (RFC 7009).

use std::time::Duration;

use reqwest_bearer::{
    ClientAuthentication, ErrorKind, Secret, TestClock, TokenEndpoint, TokenKind,
};
use serde_json::json;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::support::{soon, time_passes, until};
use crate::{only_request, received};

async fn revoking_server(answer: ResponseTemplate) -> (MockServer, TokenEndpoint) {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/revoke"))
        .respond_with(answer)
        .mount(&server)
        .await;
    let endpoint = TokenEndpoint::builder(ClientAuthentication::client_secret_post("me", "s"))
        .token_url(format!("{}/token", server.uri()))
        .revocation_url(format!("{}/revoke", server.uri()))
        .build()
        .expect("settings");
    (server, endpoint)
}

#[tokio::test]
async fn a_token_is_revoked_with_a_hint_and_our_authentication() {
    // F10
    for (kind, hint) in [
        (TokenKind::AccessToken, "access_token"),
        (TokenKind::RefreshToken, "refresh_token"),
    ] {
        let (server, endpoint) = revoking_server(ResponseTemplate::new(200)).await;
        endpoint
            .revoke(&Secret::new("t+k"), kind)
            .await
            .expect("success");
        let form = format!("token=t%2Bk&token_type_hint={hint}&client_id=me&client_secret=s");
        assert_eq!(only_request(&server).await, (form, None));
    }
}

#[tokio::test]
async fn a_200_is_success_whatever_the_body() {
    // F10
    let answer = ResponseTemplate::new(200).set_body_raw("<html>", "text/html");
    let (_server, endpoint) = revoking_server(answer).await;
    let revoked = endpoint
        .revoke(&Secret::new("t"), TokenKind::AccessToken)
        .await;
    assert!(revoked.is_ok());
}

#[tokio::test]
async fn a_refused_revocation_is_an_error() {
    // F10
    let body = json!({"error": "unsupported_token_type"});
    for (answer, kind) in [
        (
            ResponseTemplate::new(400).set_body_json(body),
            ErrorKind::Rejected,
        ),
        (ResponseTemplate::new(503), ErrorKind::Unavailable),
        (ResponseTemplate::new(404), ErrorKind::Protocol),
    ] {
        let (_server, endpoint) = revoking_server(answer).await;
        let revoked = endpoint
            .revoke(&Secret::new("t"), TokenKind::AccessToken)
            .await;
        assert_eq!(revoked.expect_err("refused").kind(), kind);
    }
}

#[tokio::test]
async fn a_redirected_revocation_takes_no_token_along() {
    // D5
    let elsewhere = MockServer::start().await;
    let redirect = ResponseTemplate::new(307).insert_header("location", elsewhere.uri());
    let (_server, endpoint) = revoking_server(redirect).await;
    let revoked = endpoint
        .revoke(&Secret::new("t"), TokenKind::RefreshToken)
        .await;
    assert_eq!(revoked.expect_err("a redirect").kind(), ErrorKind::Protocol);
    assert!(received(&elsewhere).await.is_empty());
}

#[tokio::test]
async fn without_a_revocation_endpoint_the_setting_is_named() {
    // E8
    let url = "https://as.example.com/token";
    let endpoint = TokenEndpoint::new(url, ClientAuthentication::none("me")).expect("settings");
    let revoked = endpoint
        .revoke(&Secret::new("t"), TokenKind::RefreshToken)
        .await;
    let error = revoked.expect_err("no endpoint");
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(error.to_string().contains("`revocation_url`"), "{error}");
}

#[tokio::test]
async fn a_discovery_that_hangs_costs_a_revocation_no_more_than_one_attempt() {
    // F10, E7
    let server = MockServer::start().await;
    let never = ResponseTemplate::new(200).set_delay(Duration::from_secs(24 * 3600));
    Mock::given(method("GET"))
        .respond_with(never)
        .mount(&server)
        .await;
    let clock = TestClock::new();
    let attempt = Duration::from_secs(3600);
    let endpoint = TokenEndpoint::builder(ClientAuthentication::none("me"))
        .issuer(server.uri())
        .attempt_timeout(attempt)
        .clock(&clock)
        .build()
        .expect("settings");
    let revoking = tokio::spawn(async move { endpoint.revoke("t", TokenKind::RefreshToken).await });
    until(async || !received(&server).await.is_empty()).await;
    time_passes(&clock, attempt - Duration::from_millis(1)).await;
    assert!(!revoking.is_finished());
    clock.advance(Duration::from_millis(1));
    let error = soon(revoking).await.expect("a task").expect_err("hangs");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.server(), Some(server.uri().as_str()));
}
