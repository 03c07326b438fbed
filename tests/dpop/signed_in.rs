//! H5, H7: what a sign-in brings, by this crate or by another one, and what becomes of its type.

use reqwest_bearer::{
    AuthorizationCode, DpopKey, GrantFn, MemoryStore, TokenResponse, UserSessions,
};
#[cfg(feature = "oauth2")]
use reqwest_bearer::{ErrorKind, RefreshTokenGrant, TokenSet, TokenSource, UserSessionsBuilder};

use crate::server::Servers;
#[cfg(feature = "oauth2")]
use crate::server::token;
use crate::sessions::subject;
use crate::support::http_server::Reply;

#[tokio::test]
async fn a_code_for_which_binding_is_offered_brings_what_the_server_issues() {
    // H7
    let servers = Servers::start().await;
    let key = DpopKey::generate().unwrap();
    let users = servers.users(MemoryStore::new()).offer_dpop();
    let users = users.build().unwrap();
    let client = servers.user_client(&users);
    for (user, token_type, scheme) in [("alice", "Bearer", "Bearer "), ("bob", "DPoP", "DPoP ")] {
        servers.token_type(token_type);
        let code = AuthorizationCode::new(servers.code(key.thumbprint())).offer_dpop(&key);
        let tokens = code.exchange(&servers.endpoint()).await.unwrap();
        assert_eq!(tokens.dpop_key().is_some(), token_type == "DPoP");
        users.sign_in(&subject(user), tokens).await.unwrap();
        if token_type == "Bearer" {
            servers.api.then(Reply::new(200));
        }
        let call = client.for_subject(&subject(user)).get("x").send();
        assert_eq!(call.await.unwrap().status(), 200);
        let seen = servers.api.seen().pop().unwrap();
        let sent = seen.headers["authorization"].to_str().unwrap();
        assert!(sent.starts_with(scheme), "{token_type}: {sent}");
        assert_eq!(seen.headers.contains_key("dpop"), token_type == "DPoP");
    }
    servers.assert_no_faults();
}

#[tokio::test]
async fn users_of_a_grant_that_asks_no_endpoint_share_the_nonces_of_apis() {
    // H6: a nonce is of a server, and of no user.
    let servers = Servers::start().await;
    let grant = GrantFn::new("elsewhere", |_| async {
        Ok(TokenResponse::bearer("unused"))
    });
    let users = UserSessions::with_grant(grant).clock(&servers.clock).dpop();
    let users = users.build().unwrap();
    let client = servers.user_client(&users);
    servers.api.demand("n-1");
    for (user, requests) in [("alice", 2), ("bob", 3)] {
        let tokens = servers.tokens(&DpopKey::generate().unwrap()).await;
        users.sign_in(&subject(user), tokens).await.unwrap();
        let call = client.for_subject(&subject(user)).get("x").send();
        assert_eq!(call.await.unwrap().status(), 200);
        assert_eq!(servers.api.requests(), requests);
    }
    servers.assert_no_faults();
}

/// What another library got: a token of this type.
#[cfg(feature = "oauth2")]
fn from_elsewhere(servers: &Servers, token_type: &str) -> TokenSet {
    let answer = serde_json::json!({
        "access_token": "elsewhere", "token_type": token_type, "refresh_token": "refresh-0",
    });
    let answer: oauth2::basic::BasicTokenResponse = serde_json::from_value(answer).unwrap();
    TokenSet::from_oauth2(&answer, servers.clock.system_time()).unwrap()
}

#[cfg(feature = "oauth2")]
#[tokio::test]
async fn a_bound_token_that_another_library_got_wants_its_key() {
    // H5, H7
    let servers = Servers::start().await;
    let sessions = [
        |builder: UserSessionsBuilder| builder.dpop(),
        |builder: UserSessionsBuilder| builder.offer_dpop(),
        |builder: UserSessionsBuilder| builder,
    ];
    for token_type in ["DPoP", "dpop"] {
        let tokens = from_elsewhere(&servers, token_type);
        assert_eq!(tokens.dpop_key(), None);
        for (number, set) in sessions.into_iter().enumerate() {
            let users = set(servers.users(MemoryStore::new())).build().unwrap();
            let error = users
                .sign_in(&subject("alice"), tokens.clone())
                .await
                .unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Settings);
            assert!(error.to_string().contains("with_dpop_key"), "{error}");
            let status = users.status_of(&subject("alice")).await.unwrap();
            assert!(status.is_none(), "nothing of it is stored");
            if number == 2 {
                continue;
            }
            let bound = tokens.clone().with_dpop_key(&servers.key);
            assert_eq!(bound.dpop_key(), Some(&servers.key));
            users.sign_in(&subject("alice"), bound).await.unwrap();
            let client = servers.user_client(&users).for_subject(&subject("alice"));
            servers.api.then(Reply::new(200));
            client.get("x").send().await.unwrap();
            let seen = servers.api.seen().pop().unwrap();
            assert_eq!(token(&seen).as_deref(), Some("elsewhere"));
            assert!(seen.headers.contains_key("dpop"));
        }
        // An application's own start is judged alike.
        for set in [
            |set: TokenSet, _: &DpopKey| set,
            |set: TokenSet, key: &DpopKey| set.with_dpop_key(key),
        ] {
            let set = set(tokens.clone(), &servers.key);
            let has_key = set.dpop_key().is_some();
            let grant = RefreshTokenGrant::from_token_set(servers.endpoint(), set);
            let source = TokenSource::builder(grant).dpop(&servers.key).build();
            assert_eq!(source.is_ok(), has_key, "{source:?}");
        }
    }
}

#[cfg(feature = "oauth2")]
#[tokio::test]
async fn a_bearer_token_that_another_library_got_stays_one() {
    // H7
    let servers = Servers::start().await;
    let tokens = from_elsewhere(&servers, "bearer").with_dpop_key(&servers.key);
    assert_eq!(tokens.dpop_key(), None);
    let required = servers.users(MemoryStore::new()).dpop().build().unwrap();
    let error = required.sign_in(&subject("alice"), tokens.clone()).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Settings);
    let offered = servers.users(MemoryStore::new()).offer_dpop();
    let offered = offered.build().unwrap();
    offered.sign_in(&subject("alice"), tokens).await.unwrap();
    let client = servers.user_client(&offered).for_subject(&subject("alice"));
    servers.api.then(Reply::new(200));
    client.get("x").send().await.unwrap();
    let seen = servers.api.seen().remove(0);
    assert_eq!(seen.token().as_deref(), Some("elsewhere"));
    assert!(!seen.headers.contains_key("dpop"));
}
