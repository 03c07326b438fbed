//! Exchanges that cannot work are errors when they are built, or before anything is sent.

use reqwest_bearer::{
    ErrorKind, ExchangedTokens, MemoryStore, NamedClient, SubjectToken, TokenParameters,
    TokenSource,
};

use crate::server::{Exchange, assert_kind, subject};

#[tokio::test]
async fn an_exchange_that_cannot_work_says_so_when_it_is_built() {
    // I1, D8
    let server = Exchange::start().await;
    let own = server.grant().subject_token("own");
    assert_kind(
        &ExchangedTokens::new(own.clone()).unwrap_err(),
        ErrorKind::Settings,
    );
    for wrong in [
        server.grant().on_behalf_of().actor_token("actor"),
        server
            .grant()
            .on_behalf_of()
            .then_jwt_bearer(server.endpoint()),
        server
            .grant()
            .parameters(TokenParameters::new().extra("subject_token", "canary")),
    ] {
        let error = ExchangedTokens::new(wrong.clone()).unwrap_err();
        assert_kind(&error, ErrorKind::Settings);
        assert!(!format!("{error:?} {wrong:?}").contains("canary"));
        let error = TokenSource::builder(wrong.subject_token("own"))
            .build()
            .unwrap_err();
        assert_kind(&error, ErrorKind::Settings);
    }
    // Without a caller there is nothing to exchange, by whichever way the source is made.
    let error = TokenSource::builder(server.grant()).build().unwrap_err();
    assert_kind(&error, ErrorKind::Settings);
    let error = NamedClient::new("api", "https://api.example.com", server.grant()).unwrap_err();
    assert_kind(&error, ErrorKind::Settings);
    let error = TokenSource::from(server.grant()).token().await.unwrap_err();
    assert_kind(&error, ErrorKind::Settings);
    // What outlives the token that it was exchanged for belongs nowhere.
    let stored = TokenSource::builder(own).store(MemoryStore::new());
    assert_kind(&stored.build().unwrap_err(), ErrorKind::Settings);
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_caller_with_an_actor_is_an_error_where_there_can_be_none() {
    // I1
    let server = Exchange::start().await;
    let tokens = ExchangedTokens::new(server.grant().on_behalf_of()).unwrap();
    let caller = subject("a").actor("b").unwrap();
    let error = tokens.for_subject_token(&caller).token().await.unwrap_err();
    assert_kind(&error, ErrorKind::Settings);
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn nothing_that_is_printed_has_a_token_in_it() {
    // I1, D6
    let server = Exchange::start().await;
    let exchange = server.grant().actor_token("canary-actor");
    let tokens = ExchangedTokens::new(exchange.clone()).unwrap();
    let caller = subject("canary-subject").actor("canary-other").unwrap();
    let source = tokens.for_subject_token(&caller);
    server.differ(serde_json::json!({ "access_token": "canary-access" }));
    let token = source.token().await.unwrap();
    let builder = ExchangedTokens::builder(exchange.clone());
    let printed = format!("{exchange:?} {tokens:?} {caller:?} {source:?} {token:?} {builder:?}");
    assert!(!printed.contains("canary"), "{printed}");
    let own = exchange
        .subject_token("canary-own")
        .subject_token_type(SubjectToken::JWT);
    assert!(!format!("{own:?}").contains("canary"));
}
