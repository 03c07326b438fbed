//! Tokens that are bound to a key at real authorization servers, which want a nonce in each proof, and at their
//! userinfo: npm's `oidc-provider` and Debian's `glewlwyd`. What both have to do is one function, and each server
//! has a test that calls it.

use real_parts::{AuthorizationServer, BASIC, Glewlwyd, IssuerUnderTest, PUBLIC};
use reqwest::StatusCode;
use reqwest_bearer::{
    AuthorizationCode, ClientAuthentication, ClientCredentials, DpopKey, Error, MemoryStore,
    NamedUserClient, Subject, TokenEndpoint, TokenOptions, TokenSet, TokenSource, UserSessions,
};
use serde_json::{Value, json};

async fn oidc_provider() -> AuthorizationServer {
    AuthorizationServer::start_with(json!({ "dpopNonces": true })).await
}

fn endpoint(issuer: &impl IssuerUnderTest) -> TokenEndpoint {
    let client = ClientAuthentication::none(PUBLIC.id);
    TokenEndpoint::discover(issuer.url(), client).expect("an issuer")
}

async fn exchange(
    issuer: &impl IssuerUnderTest,
    named: &DpopKey,
    proven: &DpopKey,
) -> Result<TokenSet, Error> {
    let jkt = named.thumbprint();
    let signed_in = issuer.sign_in_at(PUBLIC.id, "alice", Some(jkt)).await;
    AuthorizationCode::new(signed_in.code)
        .redirect_uri(signed_in.redirect_uri)
        .code_verifier(signed_in.code_verifier)
        .dpop(proven)
        .exchange(&endpoint(issuer))
        .await
}

async fn userinfo(
    issuer: &impl IssuerUnderTest,
    users: &UserSessions,
    subject: &Subject,
) -> (StatusCode, Value) {
    let base_url = issuer.userinfo_base();
    let client = NamedUserClient::new("userinfo", base_url, users).expect("a base URL");
    let request = client.for_subject(subject).get(issuer.userinfo_path());
    let answer = request.send().await.expect("userinfo answers");
    (
        answer.status(),
        answer.json().await.expect("userinfo answers in JSON"),
    )
}

fn is_bound(token: &reqwest_bearer::AccessToken) -> bool {
    let header = token.authorization().to_str();
    header.is_ok_and(|text| text.starts_with("DPoP "))
}

/// Two processes share a session's store and make `rounds` refreshes each, one after the other.
async fn a_session_is_bound_to_its_key(issuer: &impl IssuerUnderTest, rounds: usize) {
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
    for users in [&one, &other].into_iter().cycle().take(2 * rounds) {
        let (status, claims) = userinfo(issuer, users, &alice).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(claims["email"], "alice@example.com");
        let anew = TokenOptions::new().force_refresh();
        let token = users.for_subject(&alice).token_with(&anew).await;
        assert!(is_bound(&token.expect("the refresh token is good")));
    }
}

#[tokio::test]
async fn a_session_is_bound_to_its_key_in_each_process_of_a_fleet() {
    // H5, H6
    let server = oidc_provider().await;
    let issuer = &server.tenant_a;
    a_session_is_bound_to_its_key(issuer, 2).await;
    // Each process has learnt the nonce by one answer, and none of them has cost a refresh token.
    assert_eq!(issuer.revoked().await, []);
    let refreshed = issuer.token_requests().await;
    let refreshed = refreshed.iter().filter(|request| {
        request.grant_type.as_deref() == Some("refresh_token") && request.status == 200
    });
    assert_eq!(refreshed.count(), 4);
}

#[tokio::test]
async fn glewlwyd_s_nonces_are_followed_from_answer_to_answer() {
    // H5, H6: the nonce is another one after three proofs of either process, and a refresh token works once.
    let server = Glewlwyd::start(&[]).await;
    a_session_is_bound_to_its_key(&server, 8).await;
}

async fn what_is_stolen_is_worth_nothing<I: IssuerUnderTest>(issuer: &I) {
    let key = DpopKey::generate().expect("a key");
    let thief = DpopKey::generate().expect("another key");
    let error = exchange(issuer, &key, &thief)
        .await
        .expect_err("a stolen code");
    assert_eq!(error.kind(), I::STOLEN_CODE, "{error}");
    let tokens = exchange(issuer, &key, &key).await.expect("its own code");
    let token = tokens.access_token().expect("an access token").expose();
    for scheme in ["Bearer", "DPoP"] {
        let place = format!("{}/{}", issuer.userinfo_base(), issuer.userinfo_path());
        let request = reqwest::Client::new().get(place);
        let request = request.header("authorization", format!("{scheme} {token}"));
        let answer = request.send().await.expect("userinfo answers");
        assert!(answer.status().is_client_error(), "{scheme}");
    }
}

#[tokio::test]
async fn what_is_stolen_without_the_key_is_worth_nothing() {
    // H5
    what_is_stolen_is_worth_nothing(&oidc_provider().await.tenant_b).await;
}

#[tokio::test]
async fn what_is_stolen_without_the_key_is_worth_nothing_at_glewlwyd() {
    // H5
    what_is_stolen_is_worth_nothing(&Glewlwyd::start(&[]).await).await;
}

async fn an_application_s_token_is_bound<I: IssuerUnderTest>(issuer: &I) {
    let client = ClientAuthentication::client_secret_basic(BASIC.id, BASIC.secret);
    let endpoint = TokenEndpoint::discover(issuer.url(), client).expect("an issuer");
    let key = DpopKey::generate().expect("a key");
    let grant = ClientCredentials::new(endpoint).scope(I::APPLICATION_SCOPE);
    let source = TokenSource::builder(grant).dpop(&key);
    let source = source.build().expect("settings that work");
    assert!(is_bound(&source.token().await.expect("a bound token")));
}

#[tokio::test]
async fn an_application_s_token_is_bound_with_one_more_request_for_the_nonce() {
    // H5, H6
    let server = oidc_provider().await;
    let issuer = &server.root;
    an_application_s_token_is_bound(issuer).await;
    let requests = issuer.token_requests().await;
    let seen: Vec<_> = requests
        .iter()
        .map(|request| (request.status, request.error.as_deref()))
        .collect();
    assert_eq!(seen, [(400, Some("use_dpop_nonce")), (200, None)]);
}

#[tokio::test]
async fn an_application_s_token_is_bound_at_glewlwyd() {
    // H5, H6
    an_application_s_token_is_bound(&Glewlwyd::start(&[]).await).await;
}
