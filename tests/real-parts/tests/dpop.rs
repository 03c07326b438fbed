//! Tokens that are bound to a key at a real authorization server, which wants a nonce in each proof, and at its
//! userinfo.

use real_parts::{AuthorizationServer, BASIC, Issuer, PUBLIC};
use reqwest::StatusCode;
use reqwest_bearer::{
    AuthorizationCode, ClientAuthentication, ClientCredentials, DpopKey, Error, ErrorKind,
    MemoryStore, NamedUserClient, Subject, TokenEndpoint, TokenOptions, TokenSet, TokenSource,
    UserSessions,
};
use serde_json::{Value, json};

const USER_SCOPE: &str = "openid offline_access email";

async fn server_with_nonces() -> AuthorizationServer {
    AuthorizationServer::start_with(json!({ "dpopNonces": true })).await
}

fn endpoint(issuer: &Issuer) -> TokenEndpoint {
    let client = ClientAuthentication::none(PUBLIC.id);
    TokenEndpoint::discover(issuer.url(), client).expect("an issuer")
}

async fn exchange(issuer: &Issuer, named: &DpopKey, proven: &DpopKey) -> Result<TokenSet, Error> {
    let jkt = named.thumbprint();
    let signed_in = issuer.sign_in_bound(PUBLIC.id, "alice", USER_SCOPE, jkt);
    let signed_in = signed_in.await;
    AuthorizationCode::new(signed_in.code)
        .redirect_uri(signed_in.redirect_uri)
        .code_verifier(signed_in.code_verifier)
        .dpop(proven)
        .exchange(&endpoint(issuer))
        .await
}

async fn userinfo(issuer: &Issuer, users: &UserSessions, subject: &Subject) -> (StatusCode, Value) {
    let client = NamedUserClient::new("userinfo", issuer.url(), users).expect("a base URL");
    let answer = client.for_subject(subject).get("me").send().await;
    let answer = answer.expect("userinfo answers");
    (
        answer.status(),
        answer.json().await.expect("userinfo answers in JSON"),
    )
}

#[tokio::test]
async fn a_session_is_bound_to_its_key_in_each_process_of_a_fleet() {
    // H5, H6
    let server = server_with_nonces().await;
    let issuer = &server.tenant_a;
    let key = DpopKey::generate().expect("a key");
    let tokens = exchange(issuer, &key, &key).await.expect("its own code");
    let store = std::sync::Arc::new(MemoryStore::new());
    let process = || {
        let users = UserSessions::builder(&endpoint(issuer)).store(store.clone());
        users.dpop().build().expect("settings that work")
    };
    let (one, other) = (process(), process());
    let alice = Subject::new("session-1").expect("a subject");
    one.sign_in(&alice, tokens).await.expect("a store");
    for users in [&one, &other, &one, &other] {
        let (status, claims) = userinfo(issuer, users, &alice).await;
        assert_eq!((status, &claims["sub"]), (StatusCode::OK, &json!("alice")));
        let anew = TokenOptions::new().force_refresh();
        let token = users.for_subject(&alice).token_with(&anew).await;
        let token = token.expect("the refresh token is good");
        assert!(
            token
                .authorization()
                .to_str()
                .is_ok_and(|text| text.starts_with("DPoP "))
        );
    }
    // Each process has learnt the nonce by one answer, and none of them has cost a refresh token.
    assert_eq!(issuer.revoked().await, []);
    let refreshed = issuer.token_requests().await;
    let refreshed = refreshed.iter().filter(|request| {
        request.grant_type.as_deref() == Some("refresh_token") && request.status == 200
    });
    assert_eq!(refreshed.count(), 4);
}

#[tokio::test]
async fn what_is_stolen_without_the_key_is_worth_nothing() {
    // H5
    let server = server_with_nonces().await;
    let issuer = &server.tenant_b;
    let key = DpopKey::generate().expect("a key");
    let thief = DpopKey::generate().expect("another key");
    let error = exchange(issuer, &key, &thief)
        .await
        .expect_err("a stolen code");
    assert_eq!(error.kind(), ErrorKind::SignInRequired, "{error}");
    let tokens = exchange(issuer, &key, &key).await.expect("its own code");
    let token = tokens.access_token().expect("an access token").expose();
    for scheme in ["Bearer", "DPoP"] {
        let request = reqwest::Client::new().get(issuer.at("/me"));
        let request = request.header("authorization", format!("{scheme} {token}"));
        let answer = request.send().await.expect("userinfo answers");
        assert!(answer.status().is_client_error(), "{scheme}");
    }
}

#[tokio::test]
async fn an_application_s_token_is_bound_with_one_more_request_for_the_nonce() {
    // H5, H6
    let server = server_with_nonces().await;
    let issuer = &server.root;
    let client = ClientAuthentication::client_secret_basic(BASIC.id, BASIC.secret);
    let endpoint = TokenEndpoint::discover(issuer.url(), client).expect("an issuer");
    let key = DpopKey::generate().expect("a key");
    let source = TokenSource::builder(ClientCredentials::new(endpoint)).dpop(&key);
    let source = source.build().expect("settings that work");
    let token = source.token().await.expect("a bound token");
    assert!(
        token
            .authorization()
            .to_str()
            .is_ok_and(|text| text.starts_with("DPoP "))
    );
    let requests = issuer.token_requests().await;
    let seen: Vec<_> = requests
        .iter()
        .map(|request| (request.status, request.error.as_deref()))
        .collect();
    assert_eq!(seen, [(400, Some("use_dpop_nonce")), (200, None)]);
}
