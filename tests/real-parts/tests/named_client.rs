//! A named client against a real authorization server and two real protected APIs: one that checks
//! its tokens in the server's own records, and the server's userinfo.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use real_parts::{AuthorizationServer, BASIC, Issuer, PUBLIC};
use reqwest::StatusCode;
use reqwest_bearer::{
    AuthorizationCode, ClientAuthentication, ClientCredentials, Error, ErrorKind, NamedClient,
    RefreshTokenGrant, TokenEndpoint, TokenOptions, TokenSet, TokenSource,
};
use serde_json::{Value, json};
use tokio::task::JoinSet;

const USER_SCOPE: &str = "openid offline_access email";

/// A client of the checking API, for the application itself.
fn service(issuer: &Issuer) -> NamedClient {
    let client = ClientAuthentication::client_secret_basic(BASIC.id, BASIC.secret);
    let endpoint = TokenEndpoint::discover(issuer.url(), client).expect("an issuer");
    let grant = ClientCredentials::new(endpoint);
    NamedClient::new("service", issuer.api(), grant).expect("a base URL")
}

fn public_endpoint(issuer: &Issuer) -> TokenEndpoint {
    let client = ClientAuthentication::none(PUBLIC.id);
    TokenEndpoint::discover(issuer.url(), client).expect("an issuer")
}

async fn sign_in(issuer: &Issuer) -> TokenSet {
    let signed_in = issuer.sign_in(PUBLIC.id, "alice", USER_SCOPE).await;
    AuthorizationCode::new(signed_in.code)
        .redirect_uri(signed_in.redirect_uri)
        .code_verifier(signed_in.code_verifier)
        .exchange(&public_endpoint(issuer))
        .await
        .expect("the server takes its own code")
}

/// A client of userinfo, for Alice.
fn alice(issuer: &Issuer, tokens: TokenSet) -> NamedClient {
    let grant = RefreshTokenGrant::from_token_set(public_endpoint(issuer), tokens);
    NamedClient::new("alice", issuer.url(), grant).expect("a base URL")
}

async fn get(client: &NamedClient, path: &str) -> (StatusCode, Value) {
    let answer = client.get(path).send().await.expect("the API answers");
    (
        answer.status(),
        answer.json().await.expect("both APIs answer in JSON"),
    )
}

async fn get_at_once(client: &NamedClient, path: &'static str, count: usize) -> Vec<StatusCode> {
    let mut calls = JoinSet::new();
    for _ in 0..count {
        let client = client.clone();
        calls.spawn(async move { get(&client, path).await.0 });
    }
    calls.join_all().await
}

async fn present_token(client: &NamedClient) -> String {
    client
        .source()
        .token()
        .await
        .expect("a token")
        .expose()
        .to_owned()
}

#[tokio::test]
async fn a_crowd_on_an_empty_cache_makes_one_token_request() {
    // A1
    let server = AuthorizationServer::start().await;
    let issuer = &server.tenant_a;
    let client = service(issuer);
    let statuses = get_at_once(&client, "echo", 300).await;
    assert_eq!(statuses, [StatusCode::OK; 300]);

    assert_eq!(issuer.token_requests().await.len(), 1);
    let header = format!("Bearer {}", present_token(&client).await);
    for request in issuer.api_requests().await {
        assert_eq!(request.authorization.as_deref(), Some(header.as_str()));
    }
}

#[tokio::test]
async fn a_killed_token_is_healed_by_one_refresh_and_one_resend() {
    // C1, C3
    let server = AuthorizationServer::start().await;
    let issuer = &server.tenant_b;
    let client = service(issuer);
    assert_eq!(get(&client, "echo").await.0, StatusCode::OK);
    issuer
        .kill_access_token(&present_token(&client).await)
        .await;
    assert_eq!(get(&client, "echo").await.0, StatusCode::OK);

    let statuses: Vec<_> = issuer
        .api_requests()
        .await
        .iter()
        .map(|r| r.status)
        .collect();
    assert_eq!(statuses, [200, 401, 200]);
    assert_eq!(issuer.token_requests().await.len(), 2);
}

#[tokio::test]
async fn a_body_goes_along_when_the_request_is_sent_again() {
    // C3
    let server = AuthorizationServer::start().await;
    let client = service(&server.root);
    server
        .root
        .kill_access_token(&present_token(&client).await)
        .await;
    let answer = client
        .post("orders")
        .body("three apples")
        .send()
        .await
        .expect("an answer");
    let echo: Value = answer.json().await.expect("JSON");
    assert_eq!(
        (&echo["path"], &echo["body"]),
        (&json!("/api/orders"), &json!("three apples"))
    );
}

#[tokio::test]
async fn a_crowd_that_is_refused_together_costs_one_refresh() {
    // C1
    let server = AuthorizationServer::start().await;
    let issuer = &server.root;
    let client = service(issuer);
    assert_eq!(get(&client, "echo").await.0, StatusCode::OK);
    issuer
        .kill_access_token(&present_token(&client).await)
        .await;
    assert_eq!(
        get_at_once(&client, "echo", 200).await,
        [StatusCode::OK; 200]
    );
    assert_eq!(issuer.token_requests().await.len(), 2);
}

#[tokio::test]
async fn each_scope_and_resource_has_a_token_of_its_own() {
    // A6, D8
    let server = AuthorizationServer::start().await;
    let issuer = &server.tenant_a;
    let client = service(issuer);
    let echo = async |options: TokenOptions| {
        let request = client.get("echo").with_extension(options);
        let answer = request.send().await.expect("the API answers");
        let echo: Value = answer.json().await.expect("JSON");
        (echo["scope"].clone(), echo["audience"].clone())
    };
    for _ in 0..2 {
        let read = TokenOptions::new().scope("api:read");
        assert_eq!(echo(read).await, (json!("api:read"), Value::Null));
        let both = TokenOptions::new().scope("api:write api:read");
        assert_eq!(
            echo(both).await.0.as_str().map(str::len),
            Some("api:write api:read".len())
        );
        let narrowed = TokenOptions::new()
            .scope("api:read")
            .resource("https://api.example.com/");
        assert_eq!(
            echo(narrowed).await,
            (json!("api:read"), json!("https://api.example.com/"))
        );
    }
    assert_eq!(issuer.token_requests().await.len(), 3);
}

#[tokio::test]
async fn an_unmet_issuer_gets_no_token_of_another() {
    // D8
    let server = AuthorizationServer::start().await;
    let (a, b) = (service(&server.tenant_a), service(&server.tenant_b));
    assert_eq!(get(&a, "echo").await.0, StatusCode::OK);
    assert_eq!(get(&b, "echo").await.0, StatusCode::OK);
    assert_ne!(present_token(&a).await, present_token(&b).await);
}

#[tokio::test]
async fn what_a_sign_in_brought_serves_until_it_is_refused() {
    let server = AuthorizationServer::start().await;
    let issuer = &server.tenant_a;
    let client = alice(issuer, sign_in(issuer).await);
    let userinfo = json!({ "sub": "alice", "email": "alice@example.com" });
    assert_eq!(get(&client, "me").await, (StatusCode::OK, userinfo));
    assert_eq!(issuer.count_token_requests("refresh_token").await, 0);
}

#[tokio::test]
async fn a_token_that_took_the_place_of_a_killed_one_is_healed_when_it_is_killed_too() {
    // C4
    let server = AuthorizationServer::start().await;
    let issuer = &server.root;
    let client = service(issuer);
    for _ in 0..3 {
        issuer
            .kill_access_token(&present_token(&client).await)
            .await;
        assert_eq!(get(&client, "echo").await.0, StatusCode::OK);
    }
    assert_eq!(issuer.token_requests().await.len(), 1 + 3);
}

#[tokio::test]
async fn no_refresh_token_is_spent_twice_however_many_calls_are_refused_together() {
    // A6, C1
    let server = AuthorizationServer::start().await;
    let issuer = &server.root;
    let client = alice(issuer, sign_in(issuer).await);
    for _ in 0..3 {
        assert_eq!(get(&client, "me").await.0, StatusCode::OK);
        issuer
            .kill_access_token(&present_token(&client).await)
            .await;
        assert_eq!(get_at_once(&client, "me", 50).await, [StatusCode::OK; 50]);
    }
    let requests = issuer.token_requests().await;
    assert_eq!(requests.len(), 1 + 3, "{requests:?}");
    assert!(
        requests.iter().all(|request| request.status == 200),
        "{requests:?}"
    );
}

#[tokio::test]
async fn the_hook_has_each_new_refresh_token_before_the_access_token_is_used() {
    let server = AuthorizationServer::start().await;
    let issuer = &server.root;
    let tokens = sign_in(issuer).await;
    let kept = Arc::new(Mutex::new(Vec::new()));
    let grant = RefreshTokenGrant::from_token_set(public_endpoint(issuer), tokens.clone());
    let source = TokenSource::builder(grant).on_new_refresh_token({
        let kept = Arc::clone(&kept);
        move |token| {
            kept.lock().expect("no panic under the lock").push(token);
            async { Ok::<_, Error>(()) }
        }
    });
    let source = source.build().expect("the default settings");
    let client = NamedClient::new("alice", issuer.url(), source).expect("a base URL");
    issuer
        .kill_access_token(&present_token(&client).await)
        .await;
    assert_eq!(get(&client, "me").await.0, StatusCode::OK);

    let kept = kept.lock().expect("no panic under the lock").clone();
    assert_eq!(kept.len(), 1);
    assert_ne!(Some(&kept[0]), tokens.refresh_token());
    // What the hook kept is what the server will take next.
    let grant = RefreshTokenGrant::new(public_endpoint(issuer), kept[0].clone());
    let next = NamedClient::new("next", issuer.url(), grant).expect("a base URL");
    assert_eq!(get(&next, "me").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_token_that_ages_is_replaced_before_a_single_call_is_refused() {
    // B1, B3
    // The server counts whole seconds, so that its tokens die up to a second ahead of `expires_in`.
    // The soft lead has to be longer than that: it is 1.2 s here.
    let server = AuthorizationServer::start_with(json!({ "accessTokenTtl": 6 })).await;
    let issuer = &server.tenant_a;
    let client = service(issuer);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(11) {
        assert_eq!(get(&client, "echo").await.0, StatusCode::OK);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let requests = issuer.api_requests().await;
    assert!(requests.iter().all(|request| request.status == 200));
    // A token serves 75 % to 80 % of its six seconds.
    assert_eq!(issuer.token_requests().await.len(), 3);
}

#[tokio::test]
async fn after_the_grant_has_died_the_caller_gets_the_401_and_the_source_asks_for_a_sign_in() {
    // C8, E8
    let server = AuthorizationServer::start().await;
    let issuer = &server.root;
    let tokens = sign_in(issuer).await;
    let client = alice(issuer, tokens.clone());
    let refresh_token = tokens.refresh_token().expect("a refresh token");
    let endpoint = public_endpoint(issuer);
    let kind = reqwest_bearer::TokenKind::RefreshToken;
    endpoint
        .revoke(refresh_token, kind)
        .await
        .expect("the server revokes");

    let (status, body) = get(&client, "me").await;
    assert_eq!(
        (status, &body["error"]),
        (StatusCode::UNAUTHORIZED, &json!("invalid_token"))
    );
    let failure = client.source().status().failure().map(Error::kind);
    assert_eq!(failure, Some(ErrorKind::SignInRequired));
}

#[tokio::test]
async fn a_source_serves_by_hand_and_replaces_what_was_refused() {
    // C2
    let server = AuthorizationServer::start().await;
    let client = service(&server.root);
    let source = client.source();
    let first = source.token().await.expect("a token");
    assert_eq!(
        source.token().await.expect("a token").expose(),
        first.expose()
    );
    source.invalidate(&first);
    let second = source.token().await.expect("a token");
    assert_ne!(second.expose(), first.expose());
    // It is no longer the present one, so that this changes nothing.
    source.invalidate(&first);
    assert_eq!(
        source.token().await.expect("a token").expose(),
        second.expose()
    );
    assert_eq!(server.root.token_requests().await.len(), 2);
}

#[tokio::test]
async fn a_wrong_secret_is_found_by_warming_up() {
    // B12
    let server = AuthorizationServer::start().await;
    let client = ClientAuthentication::client_secret_basic(BASIC.id, "wrong");
    let endpoint = TokenEndpoint::discover(server.root.url(), client).expect("an issuer");
    let source = TokenSource::builder(ClientCredentials::new(endpoint)).build();
    let error = source
        .expect("settings")
        .warm_up()
        .await
        .expect_err("the secret is wrong");
    assert_eq!(
        (error.kind(), error.oauth_code()),
        (ErrorKind::Rejected, Some("invalid_client"))
    );
}
