//! D8: two sources share nothing.

use std::path::PathBuf;

use reqwest_bearer::{ConstantToken, Grant, MemoryStore, TokenFile, TokenOptions, TokenSource};

use crate::support::api::Api;
use crate::support::authorization_server::AuthorizationServer;

#[tokio::test]
async fn two_sources_of_one_grant_share_nothing() {
    // D8
    let server = AuthorizationServer::start().await;
    let api = Api::start(&server).await;
    let grant = server.client_credentials();
    let (one, other) = (TokenSource::from(grant.clone()), TokenSource::from(grant));
    let clients = [api.client(&one), api.client(&other)];
    for client in &clients {
        assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    }
    assert_eq!(api.tokens(), ["access-1", "access-2"]);
    // What happens to one does not happen to the other.
    server.revoke("access-1");
    for client in &clients {
        assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    }
    let tokens = api.tokens().split_off(2);
    assert_eq!(tokens, ["access-1", "access-3", "access-2"]);
    one.shutdown().await.unwrap();
    let options = TokenOptions::new().scope("new");
    assert!(one.token_with(&options).await.is_err());
    assert!(other.token_with(&options).await.is_ok());
}

#[tokio::test]
async fn a_token_of_one_source_says_nothing_to_another() {
    // D8: both tokens have the same number in their sources.
    let server = AuthorizationServer::start().await;
    let (one, other) = (
        TokenSource::from(server.client_credentials()),
        TokenSource::from(server.client_credentials()),
    );
    let token = one.token().await.unwrap();
    other.warm_up().await.unwrap();
    other.invalidate(&token);
    assert!(!other.status().is_refused());
    assert!(!one.status().is_refused());
}

#[tokio::test]
async fn a_request_gets_the_token_of_its_own_scope_also_after_a_refusal() {
    // D8
    let server = AuthorizationServer::start().await;
    let api = Api::start(&server).await;
    let client = api.client(server.client_credentials());
    for _ in 0..2 {
        for scope in ["a", "b"] {
            let request = client
                .get("x")
                .with_extension(TokenOptions::new().scope(scope));
            assert_eq!(request.send().await.unwrap().status(), 200);
            let token = api.tokens().pop().unwrap();
            assert_eq!(server.scope_of(&token).as_deref(), Some(scope));
        }
        server.revoke_all();
    }
    // One of each at first, and one more of each in place of a refused one.
    assert_eq!(server.token_requests(), 4);
}

/// The text of a source's token, once it has one.
async fn text(grant: impl Grant, store: &MemoryStore) -> String {
    let source = TokenSource::builder(grant).store(store.clone()).build();
    source.unwrap().token().await.unwrap().expose().to_owned()
}

#[tokio::test]
async fn two_token_files_share_nothing_also_in_one_store() {
    // D8
    let store = MemoryStore::new();
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    for name in ["separate-one", "separate-other"] {
        let file = folder.join(name);
        std::fs::write(&file, name).unwrap();
        assert_eq!(text(TokenFile::new(file), &store).await, name);
    }
}

#[tokio::test]
async fn two_constant_tokens_share_nothing_also_in_one_store() {
    // D8
    let store = MemoryStore::new();
    for token in ["one", "other"] {
        let grant = ConstantToken::new(token).unwrap();
        assert_eq!(text(grant, &store).await, token);
    }
}
