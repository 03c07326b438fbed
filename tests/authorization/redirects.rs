//! I4: what comes to the redirect URI, and what becomes of the code in it.

use std::sync::Arc;
use std::time::Duration;

use reqwest_bearer::{
    AuthorizationRequest, ClientAuthentication, DpopKey, ErrorKind, MemoryStore, Subject,
    UserSessions,
};
use serde_json::{Value, json};

use crate::server::{REDIRECT_URI, Server, fields};

#[tokio::test]
async fn a_code_becomes_tokens_that_a_session_begins_with() {
    // I4
    let server = Server::start().await;
    let endpoint = server.endpoint();
    let (url, pending) = server.begin("openid offline_access").await;
    let redirect = format!("{REDIRECT_URI}?{}", server.authorize(&url));
    let tokens = pending.finish(&endpoint, redirect).await.unwrap();
    let users = UserSessions::builder(&endpoint)
        .store(Arc::new(MemoryStore::new()))
        .clock(&server.clock)
        .build()
        .unwrap();
    let session = Subject::new("session-1").unwrap();
    users.sign_in(&session, tokens).await.unwrap();
    let token = users.for_subject(&session).token().await.unwrap();
    assert_eq!(token.authorization(), "Bearer access-1");
    assert_eq!(server.book().token_requests.len(), 1);
}

#[tokio::test]
async fn a_session_with_a_key_is_bound_to_the_key_that_travelled_with_what_was_kept() {
    // I4, H5
    let server = Server::start().await;
    let endpoint = server.endpoint();
    let key = DpopKey::generate().unwrap();
    let request = AuthorizationRequest::new(REDIRECT_URI).dpop(&key);
    let (url, pending) = request.start(&endpoint).await.unwrap();
    let redirect = server.authorize(&url);
    let tokens = pending.finish(&endpoint, redirect).await.unwrap();
    assert_eq!(tokens.dpop_key(), Some(&key));
}

#[tokio::test]
async fn one_resource_is_asked_for_with_the_code_too_and_several_are_not() {
    // I4
    let server = Server::start().await;
    let endpoint = server.endpoint();
    let request = AuthorizationRequest::new(REDIRECT_URI)
        .scope("read")
        .audience("orders")
        .extra("prompt", "login")
        .resource("https://one.example.com/");
    let (url, pending) = request.start(&endpoint).await.unwrap();
    let redirect = server.authorize(&url);
    pending.finish(&endpoint, redirect).await.unwrap();
    let sent = fields(&server.book().token_requests[0]);
    let names: Vec<_> = sent.keys().map(String::as_str).collect();
    let expected = [
        "code",
        "code_verifier",
        "grant_type",
        "redirect_uri",
        "resource",
    ];
    assert_eq!(names, expected);
    assert_eq!(sent["resource"], "https://one.example.com/");
    let request = request.resource("https://two.example.com/");
    let (url, pending) = request.start(&endpoint).await.unwrap();
    let code = url.query_pairs().filter(|(name, _)| name == "resource");
    assert_eq!(code.count(), 2);
    let redirect = format!("code=x&state={}", pending.state());
    let error = pending.finish(&endpoint, redirect).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert!(!fields(&server.book().token_requests[1]).contains_key("resource"));
}

#[tokio::test]
async fn what_is_no_answer_sends_nothing_and_the_user_may_still_come() {
    // I4
    let server = Server::start().await;
    let endpoint = server.endpoint();
    let (url, pending) = server.begin("openid").await;
    let (of_another, _) = server.begin("openid").await;
    let good = server.authorize(&url);
    for bad in [
        String::new(),
        server.authorize(&of_another),
        good.replace("iss=http", "iss=https"),
        format!("{good}&code=x"),
        format!("code=x&state={}x", pending.state()),
    ] {
        let error = pending.finish(&endpoint, &bad).await.unwrap_err();
        assert_eq!(
            error.kind(),
            ErrorKind::InvalidAuthorizationResponse,
            "{bad}"
        );
    }
    assert_eq!(server.book().token_requests.len(), 0);
    pending.finish(&endpoint, good).await.unwrap();
}

#[tokio::test]
async fn an_issuer_that_the_document_promises_in_each_redirect_has_to_be_there() {
    // I4
    let server = Server::start().await;
    server.document(json!({ "authorization_response_iss_parameter_supported": true }));
    let endpoint = server.endpoint();
    let (url, pending) = server.begin("openid").await;
    let good = server.authorize(&url);
    let (without, _) = good.split_once("&iss=").unwrap();
    let error = pending.finish(&endpoint, without).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidAuthorizationResponse);
    pending.finish(&endpoint, good).await.unwrap();
}

#[tokio::test]
async fn the_issuer_is_compared_with_the_document_where_the_settings_have_a_slash_more() {
    // I4, E7
    let server = Server::start().await;
    let client = Server::client();
    let setting = server.builder(client).issuer(server.url("/"));
    let endpoint = setting.build().unwrap();
    let request = AuthorizationRequest::new(REDIRECT_URI);
    let (url, pending) = request.start(&endpoint).await.unwrap();
    let good = server.authorize(&url);
    let error = pending.finish(&endpoint, format!("{good}%2F")).await;
    let kind = error.unwrap_err().kind();
    assert_eq!(kind, ErrorKind::InvalidAuthorizationResponse);
    pending.finish(&endpoint, good).await.unwrap();
}

#[tokio::test]
async fn who_comes_too_late_begins_anew() {
    // I4
    let server = Server::start().await;
    let endpoint = server.endpoint();
    let ten_minutes = Duration::from_secs(600);
    for (late, is_good) in [(Duration::ZERO, false), (Duration::from_secs(1), true)] {
        let (url, pending) = server.begin("openid").await;
        let redirect = server.authorize(&url);
        server.clock.advance(ten_minutes - late);
        let came = pending.finish(&endpoint, redirect).await;
        assert_eq!(came.is_ok(), is_good);
        let kind = came.err().map(|error| error.kind());
        assert!(kind.is_none_or(|kind| kind == ErrorKind::SignInRequired));
    }
    assert_eq!(server.book().token_requests.len(), 1);
}

#[tokio::test]
async fn a_code_goes_to_the_server_and_the_client_that_it_was_asked_for_and_to_no_other() {
    // I4, D8
    let (server, other) = (Server::start().await, Server::start().await);
    let (url, pending) = server.begin("openid").await;
    let redirect = server.authorize(&url);
    let stranger = ClientAuthentication::client_secret_basic("stranger", "s3cr3t");
    for endpoint in [other.endpoint(), server.endpoint_of(stranger)] {
        let error = pending.finish(&endpoint, &redirect).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings);
    }
    let asked = [&server, &other].map(|server| server.book().token_requests.len());
    assert_eq!(asked, [0, 0]);
}

#[tokio::test]
async fn an_id_token_of_another_sign_in_is_none() {
    // I4
    for nonce in [json!("of-another"), json!(""), Value::Null, json!(7)] {
        let server = Server::start().await;
        let (url, pending) = server.begin("openid").await;
        server.book().other_nonce = Some(nonce.clone());
        let redirect = server.authorize(&url);
        let error = pending.finish(&server.endpoint(), redirect).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Protocol, "{nonce}");
    }
    let server = Server::start().await;
    server.book().leaves_out_id_token = true;
    let (url, pending) = server.begin("openid").await;
    let redirect = server.authorize(&url);
    let error = pending.finish(&server.endpoint(), redirect).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Protocol);
    let (url, pending) = server.begin("read").await;
    let redirect = server.authorize(&url);
    pending.finish(&server.endpoint(), redirect).await.unwrap();
}

#[tokio::test]
async fn what_the_server_says_in_a_redirect_reaches_the_caller_as_an_error() {
    // I4
    let server = Server::start().await;
    let (_, pending) = server.begin("openid").await;
    let redirect = format!(
        "{REDIRECT_URI}?error=access_denied&error_description=no&state={}",
        pending.state()
    );
    let error = pending.finish(&server.endpoint(), redirect).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert_eq!(error.oauth_code(), Some("access_denied"));
    assert_eq!(server.book().token_requests.len(), 0);
}
