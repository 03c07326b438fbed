//! Which authorization server it is, and that what was made for one goes to no other.

use reqwest_bearer::{
    AuthorizationRequest, ClientAuthentication, ErrorKind, MemoryStore, RegistrationRequest,
    Subject, TestClock, TokenSet, UserSessions,
};
use serde_json::json;

use crate::server::Server;
use crate::support::http_server::Reply;

#[tokio::test]
async fn of_several_servers_the_program_chooses_one() {
    // I5
    let (server, other) = (Server::start().await, Server::both().await);
    server.is_api_of(&["https://login.example.com".to_owned(), other.url("")]);
    let api = server.api();
    let error = api.authorization_server().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    let message = error.to_string();
    assert!(message.contains("`https://login.example.com`"), "{message}");
    assert!(
        message.contains(&format!("`{}`", other.url(""))),
        "{message}"
    );
    // One slash at the end is forgiven, as in any setting of an issuer.
    for issuer in [other.url(""), other.url("/")] {
        let chosen = api.authorization_server_named(&issuer).await.unwrap();
        assert_eq!(chosen.issuer(), other.url(""));
    }
    let chosen = api.authorization_server_named(other.url("")).await.unwrap();
    let client = ClientAuthentication::none("me");
    let endpoint = chosen.client(client).unwrap();
    let request = AuthorizationRequest::new("http://127.0.0.1/callback");
    assert!(request.start(&endpoint).await.is_ok());
    for issuer in [
        "https://evil.example.com",
        "https://login.example.com//",
        "",
    ] {
        let error = api.authorization_server_named(issuer).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings, "{issuer}");
    }
}

#[tokio::test]
async fn metadata_without_a_server_and_one_with_what_is_no_issuer_say_so() {
    // I5
    let server = Server::start().await;
    server.is_api_of(&[]);
    let error = server.api().authorization_server().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    for issuer in [
        "",
        "login",
        "http://login.example.com",
        "https://u:p@login.example.com",
    ] {
        server.is_api_of(&[issuer.to_owned()]);
        let error = server.api().authorization_server().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{issuer}");
    }
}

#[tokio::test]
async fn a_server_s_document_is_fetched_once_for_all_its_clients() {
    // I5, E7
    let server = Server::both().await;
    let api = server.api();
    for id in ["one", "other"] {
        let found = api.authorization_server().await.unwrap();
        assert!(found.metadata().await.unwrap().registers_clients());
        let endpoint = found.client(ClientAuthentication::none(id)).unwrap();
        let request = AuthorizationRequest::new("http://127.0.0.1/callback");
        request.start(&endpoint).await.unwrap();
    }
    let documents = server.seen("/.well-known/oauth-authorization-server");
    assert_eq!(documents.len(), 1);
}

#[tokio::test]
async fn what_a_server_offers_is_read_of_its_document() {
    // I5
    let server = Server::both().await;
    let says = async || {
        let found = server.api().authorization_server().await.unwrap();
        found.metadata().await.unwrap()
    };
    let plain = says().await;
    assert_eq!(plain.issuer(), server.url(""));
    assert!(plain.registers_clients() && !plain.takes_client_id_urls());
    assert!(plain.scopes_supported().is_empty() && plain.dpop_algorithms().is_empty());
    server.is_issuer_with(&json!({
        "registration_endpoint": "http://register.example.com",
        "client_id_metadata_document_supported": true,
        "scopes_supported": ["openid", 7],
        "dpop_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["none"],
    }));
    let rich = says().await;
    assert!(!rich.registers_clients() && rich.takes_client_id_urls());
    assert_eq!(rich.scopes_supported(), ["openid"]);
    assert_eq!(rich.dpop_algorithms(), ["ES256"]);
    assert_eq!(rich.client_authentication_methods(), ["none"]);
}

/// An API that goes over from one server to another.
struct Moving {
    api: Server,
    old: Server,
    new: Server,
}

impl Moving {
    async fn start() -> Self {
        let (api, old, new) = (
            Server::start().await,
            Server::both().await,
            Server::both().await,
        );
        for (server, id) in [(&old, "old-client"), (&new, "new-client")] {
            let client = json!({ "client_id": id, "client_secret": "canary" });
            server.reply("/register", Reply::new(201).json(&client));
        }
        api.is_api_of(&[old.url("")]);
        Self { api, old, new }
    }

    fn moves(&self) {
        self.api.is_api_of(&[self.new.url("")]);
    }
}

#[tokio::test]
async fn a_client_that_is_registered_at_one_server_is_used_at_no_other() {
    // I5
    let moving = Moving::start().await;
    let api = moving.api.api();
    let found = api.authorization_server().await.unwrap();
    let registered = found.register(&RegistrationRequest::new()).await.unwrap();
    assert!(api.registered(&registered).await.is_ok());
    moving.moves();
    api.renew().await.unwrap();
    let error = api.registered(&registered).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    let message = error.to_string();
    for server in [&moving.old, &moving.new] {
        assert!(
            message.contains(&format!("`{}`", server.url(""))),
            "{message}"
        );
    }
    let found = api.authorization_server().await.unwrap();
    assert_eq!(found.issuer(), moving.new.url(""));
    let error = found.registered(&registered).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert_eq!(moving.new.connections(), 0);
}

#[tokio::test]
async fn a_code_and_a_session_of_one_server_go_to_no_other() {
    // I5
    let moving = Moving::start().await;
    let api = moving.api.api();
    // The worst case: the same client id at both.
    let endpoint = async || {
        let found = api.authorization_server().await.unwrap();
        found.client(ClientAuthentication::none("me")).unwrap()
    };
    let at_old = endpoint().await;
    let request = AuthorizationRequest::new("http://127.0.0.1/callback");
    let (_, pending) = request.start(&at_old).await.unwrap();
    let (store, clock) = (MemoryStore::new(), TestClock::new());
    let sessions = |endpoint| {
        let users = UserSessions::builder(endpoint).store(store.clone());
        users.clock(&clock).build().unwrap()
    };
    let user = Subject::new("alice").unwrap();
    let tokens = TokenSet::from_refresh_token("of-the-old-server");
    sessions(&at_old).sign_in(&user, tokens).await.unwrap();

    moving.moves();
    api.renew().await.unwrap();
    let at_new = endpoint().await;
    let redirect = format!("code=canary&state={}", pending.state());
    let error = pending.finish(&at_new, redirect).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    let error = sessions(&at_new)
        .for_subject(&user)
        .token()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert!(moving.new.seen("/token").is_empty());
    // It goes on where it was made.
    assert!(sessions(&at_old).for_subject(&user).token().await.is_ok());
    let refresh = &moving.old.seen("/token")[0];
    assert_eq!(
        refresh.field("refresh_token").as_deref(),
        Some("of-the-old-server")
    );
}
