//! Answers that are not what an exchange should bring, and incoming tokens that are none.

use reqwest_bearer::{ErrorKind, ExchangedTokens, SubjectToken, TestClock};
use serde_json::json;

use crate::server::{Exchange, assert_kind, subject};

#[tokio::test]
async fn an_answer_without_the_kind_of_its_token_is_an_error_unless_the_server_is_known_for_that() {
    // I1
    let server = Exchange::start().await;
    server.differ(json!({ "issued_token_type": null }));
    let strict = ExchangedTokens::new(server.grant()).unwrap();
    let error = strict
        .for_subject_token(&subject("a"))
        .token()
        .await
        .unwrap_err();
    assert_kind(&error, ErrorKind::Protocol);
    assert!(error.to_string().contains("issued_token_type"), "{error}");
    let forgiving = server.grant().without_issued_token_type();
    let forgiving = ExchangedTokens::new(forgiving).unwrap();
    forgiving
        .for_subject_token(&subject("a"))
        .token()
        .await
        .unwrap();
}

#[tokio::test]
async fn a_token_of_another_kind_than_was_asked_for_is_not_used() {
    // I1
    let server = Exchange::start().await;
    server.differ(json!({ "issued_token_type": SubjectToken::ID_TOKEN }));
    let none = ExchangedTokens::new(server.grant()).unwrap();
    let wrong = server.grant().requested_token_type(SubjectToken::SAML2);
    let wrong = ExchangedTokens::new(wrong).unwrap();
    for tokens in [none, wrong] {
        let error = tokens
            .for_subject_token(&subject("a"))
            .token()
            .await
            .unwrap_err();
        assert_kind(&error, ErrorKind::Protocol);
    }
    let right = server.grant().requested_token_type(SubjectToken::ID_TOKEN);
    let right = ExchangedTokens::new(right).unwrap();
    right
        .for_subject_token(&subject("a"))
        .token()
        .await
        .unwrap();
    let asked = server
        .requests()
        .pop()
        .unwrap()
        .field("requested_token_type");
    assert_eq!(asked.as_deref(), Some(SubjectToken::ID_TOKEN));
}

#[tokio::test]
async fn a_token_that_is_none_to_use_at_an_api_is_said_to_be_that() {
    // I1
    let server = Exchange::start().await;
    server.differ(json!({ "token_type": "N_A" }));
    let tokens = ExchangedTokens::new(server.grant()).unwrap();
    let error = tokens
        .for_subject_token(&subject("a"))
        .token()
        .await
        .unwrap_err();
    assert_kind(&error, ErrorKind::Protocol);
    assert!(error.to_string().contains("N_A"), "{error}");
}

#[tokio::test]
async fn a_long_incoming_token_is_exchanged_and_one_that_is_too_long_is_an_error_before_that() {
    // I1
    let (clock, server) = (TestClock::new(), Exchange::start().await);
    let long = "x".repeat(64 * 1024);
    let caller = subject(&long);
    server.differ(json!({ "access_token": "short" }));
    server
        .tokens(&clock)
        .for_subject_token(&caller)
        .token()
        .await
        .unwrap();
    assert_eq!(server.requests()[0].field("subject_token"), Some(long));
    let error = SubjectToken::new("x".repeat(100 * 1024)).unwrap_err();
    assert_kind(&error, ErrorKind::InvalidSubjectToken);
}
