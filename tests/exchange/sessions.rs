//! Our own users' sessions as the subject.

use reqwest_bearer::{
    ErrorKind, ExchangedTokens, Subject, SubjectToken, TestClock, TokenSet, UserSessions,
};
use std::time::Duration;

use crate::server::{Exchange, api, assert_kind, client};
use crate::support::authorization_server::AuthorizationServer;

#[tokio::test]
async fn the_token_of_a_session_is_exchanged_and_its_successor_anew() {
    // I1
    let clock = TestClock::new();
    let (login, server, api) = (
        AuthorizationServer::start().await,
        Exchange::start().await,
        api().await,
    );
    let users = UserSessions::builder(&login.endpoint()).clock(&clock);
    let users = users.jitter(0.0).build().unwrap();
    let session = Subject::new("session").unwrap();
    let tokens = TokenSet::new("first")
        .with_refresh_token("refresh-0")
        .with_expires_at(clock.system_time() + Duration::from_secs(100));
    users.sign_in(&session, tokens).await.unwrap();
    let orders = client(&api, &server.tokens(&clock));
    let call = async || {
        let token = users.for_subject(&session).token().await.unwrap();
        let caller = SubjectToken::from_access_token(&token).unwrap();
        let exchanged = orders.tokens().for_subject_token(&caller).token().await;
        let end = exchanged.unwrap().expires_at().unwrap();
        assert!(
            end <= token.expires_at().unwrap(),
            "it ends with the session's"
        );
        orders
            .for_subject_token(&caller)
            .get("x")
            .send()
            .await
            .unwrap();
    };
    call().await;
    call().await;
    clock.advance(Duration::from_secs(100));
    call().await;
    assert_eq!(api.tokens(), ["1~first", "1~first", "1~access-1"]);
    assert_eq!(server.count(), 2);
    // Whoever signs in next under that id has a token of his own.
    users.sign_in(&session, TokenSet::new("bob")).await.unwrap();
    let token = users.for_subject(&session).token().await.unwrap();
    let caller = SubjectToken::from_access_token(&token).unwrap();
    orders
        .for_subject_token(&caller)
        .get("x")
        .send()
        .await
        .unwrap();
    assert_eq!(api.tokens().last().map(String::as_str), Some("1~bob"));
}

#[tokio::test]
async fn a_session_without_a_token_has_nothing_to_exchange() {
    // I1
    let (login, server) = (AuthorizationServer::start().await, Exchange::start().await);
    let users = UserSessions::new(&login.endpoint());
    let nobody = Subject::new("nobody").unwrap();
    let error = users.for_subject(&nobody).token().await.unwrap_err();
    assert_kind(&error, ErrorKind::SignInRequired);
    drop(ExchangedTokens::new(server.grant()).unwrap());
    assert_eq!(server.count(), 0);
}
