//! I4: what an authorization URL says, and what has to be kept until the redirect.

use std::time::Duration;

use reqwest_bearer::{
    AuthorizationRequest, ClientAuthentication, DpopKey, ErrorKind, PendingAuthorization, Signer,
    SigningAlgorithm, SigningKey, TokenEndpoint,
};
use serde_json::{Value, json};

use crate::server::{REDIRECT_URI, Server};

fn request() -> AuthorizationRequest {
    AuthorizationRequest::new(REDIRECT_URI)
}

#[tokio::test]
async fn the_url_has_all_that_the_request_asks_for_and_nothing_secret() {
    // I4
    let server = Server::start().await;
    let key = DpopKey::generate().unwrap();
    let request = request()
        .scope("openid offline_access")
        .resource("https://api.example.com/")
        .audience("orders")
        .extra("prompt", "consent")
        .extra("login_hint", "a&b=c@example.com")
        .dpop(&key);
    let (url, pending) = request.start(&server.endpoint()).await.unwrap();
    let mut parameters = server.parameters(&url);
    let mut take = |name: &str| parameters.remove(name).unwrap();
    let drawn = [take("state"), take("nonce"), take("code_challenge")];
    assert!(drawn.iter().all(|text| text.len() == 43), "{drawn:?}");
    let left: Vec<_> = parameters
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let expected = [
        ("audience", "orders"),
        ("client_id", "client"),
        ("code_challenge_method", "S256"),
        ("dpop_jkt", key.thumbprint()),
        ("login_hint", "a&b=c@example.com"),
        ("prompt", "consent"),
        ("redirect_uri", REDIRECT_URI),
        ("resource", "https://api.example.com/"),
        ("response_type", "code"),
        ("scope", "openid offline_access"),
    ];
    assert_eq!(left, expected);
    assert_eq!(pending.state(), drawn[0]);
    let kept: Value = serde_json::to_value(&pending).unwrap();
    let verifier = kept["code_verifier"].as_str().unwrap();
    assert!(!url.as_str().contains(verifier));
}

#[tokio::test]
async fn each_start_draws_anew_and_a_nonce_is_for_an_id_token_alone() {
    // I4
    let server = Server::start().await;
    let endpoint = server.endpoint();
    let request = request().scope("read");
    let (one, _) = request.start(&endpoint).await.unwrap();
    let (other, _) = request.start(&endpoint).await.unwrap();
    let (one, other) = (server.parameters(&one), server.parameters(&other));
    for name in ["state", "code_challenge"] {
        assert_ne!(one[name], other[name]);
    }
    assert!(!one.contains_key("nonce"));
    let (url, _) = server.begin("email openid").await;
    assert!(server.parameters(&url).contains_key("nonce"));
}

#[tokio::test]
async fn what_is_kept_is_one_value_that_shows_no_secret() {
    // I4, D6, H8
    let server = Server::start().await;
    let endpoint = server.endpoint();
    let request = request()
        .scope("openid")
        .dpop(&DpopKey::generate().unwrap())
        .extra("login_hint", "canary");
    let (url, pending) = request.start(&endpoint).await.unwrap();
    let kept = serde_json::to_string(&pending).unwrap();
    let members: Value = serde_json::from_str(&kept).unwrap();
    let shown = format!("{pending:?} {pending:#?} {request:?}");
    for secret in ["state", "code_verifier", "nonce"] {
        assert!(
            !shown.contains(members[secret].as_str().unwrap()),
            "{shown}"
        );
    }
    assert!(
        !shown.contains("PRIVATE") && !shown.contains("canary"),
        "{shown}"
    );
    // It is as good as before in another process.
    let read: PendingAuthorization = serde_json::from_str(&kept).unwrap();
    assert_eq!(read.expires_at(), pending.expires_at());
    let tokens = read
        .finish(&endpoint, server.authorize(&url))
        .await
        .unwrap();
    assert!(tokens.dpop_key().is_some());
}

#[tokio::test]
async fn what_is_not_a_pending_authorization_is_not_read_as_one() {
    // I4
    let server = Server::start().await;
    let (_, pending) = server.begin("openid").await;
    let kept = serde_json::to_value(&pending).unwrap();
    for (name, value) in [
        ("format", json!(2)),
        ("format", Value::Null),
        ("state", json!("")),
        ("state", Value::Null),
        ("code_verifier", json!("")),
        ("expires_at", json!(-1)),
        ("dpop_key", json!({ "algorithm": "ES256", "pem": "canary" })),
        ("dpop_key", json!({ "algorithm": "none", "pem": "canary" })),
    ] {
        let mut kept = kept.clone();
        kept[name] = value;
        let error = serde_json::from_value::<PendingAuthorization>(kept);
        let error = error.expect_err(name).to_string();
        assert!(!error.contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn the_endpoints_may_be_settings_and_a_query_of_theirs_stays() {
    // I4
    let server = Server::start().await;
    let fixed = |url: &str| {
        server
            .builder(Server::client())
            .token_url(server.url("/token"))
            .authorization_url(url)
            .build()
            .unwrap()
    };
    let endpoint = fixed(&server.url("/authorize?p=policy"));
    let (url, pending) = request().scope("openid").start(&endpoint).await.unwrap();
    assert_eq!(server.parameters(&url)["p"], "policy");
    pending
        .finish(&endpoint, server.authorize(&url))
        .await
        .unwrap();
    let endpoint = fixed(&server.url("/authorize?state=x"));
    let error = request().start(&endpoint).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
    assert!(error.to_string().contains("`state`"), "{error}");
}

#[tokio::test]
async fn a_request_that_cannot_be_is_an_error_before_anything_is_sent() {
    // I4, D6
    let server = Server::start().await;
    let endpoint = server.endpoint();
    let settings = |request: AuthorizationRequest| {
        let endpoint = &endpoint;
        async move {
            let error = request.start(endpoint).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
            assert!(!format!("{error:?}").contains("canary"), "{error:?}");
        }
    };
    for name in [
        "",
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "resource",
        "audience",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "dpop_jkt",
        "request",
        "request_uri",
        "client_secret",
        "code_verifier",
    ] {
        settings(request().extra(name, "canary")).await;
    }
    for uri in [
        "",
        "/signed-in",
        "app.example.com/x",
        "https://app.example.com/#canary",
    ] {
        settings(AuthorizationRequest::new(uri)).await;
    }
    settings(request().expires_in(Duration::ZERO)).await;
    // A key that something else keeps cannot be kept here.
    let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let public = key.public_jwk();
    let far = |key: SigningKey| Far(key);
    settings(request().dpop(&DpopKey::from_signer(far(key), &public))).await;
    let named = ClientAuthentication::none("client").client_id_field("client_key");
    let tiktok = server.endpoint_of(named);
    let error = request().extra("client_key", "canary").start(&tiktok).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Settings);
    // Nobody knows where to go.
    let nowhere = TokenEndpoint::new(server.url("/token"), Server::client()).unwrap();
    let error = request().start(&nowhere).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(error.to_string().contains("`authorization_url`"), "{error}");
    let book = server.book();
    assert_eq!((book.token_requests.len(), book.pushes.len()), (0, 0));
}

#[tokio::test]
async fn an_endpoint_that_a_document_names_and_that_is_not_safe_is_not_used() {
    // I4, D2
    let server = Server::start().await;
    for bad in [
        json!({ "authorization_endpoint": "http://as.example.com/authorize" }),
        json!({ "authorization_endpoint": 7 }),
        json!({ "authorization_endpoint": "javascript:alert(1)" }),
        json!({ "pushed_authorization_request_endpoint": "http://as.example.com/par" }),
        json!({ "pushed_authorization_request_endpoint": ["x"] }),
    ] {
        server.document(bad.clone());
        let error = request().start(&server.endpoint()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{bad}");
    }
    let setting = server.builder(Server::client()).issuer(server.url(""));
    let error = setting.authorization_url("http://as.example.com/").build();
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Settings);
}

#[tokio::test]
async fn a_client_id_by_another_name_has_that_name_in_the_url() {
    // I4, K26
    let server = Server::start().await;
    let named = ClientAuthentication::none("client").client_id_field("client_key");
    let (url, _) = request().start(&server.endpoint_of(named)).await.unwrap();
    let parameters = server.parameters(&url);
    assert_eq!(parameters["client_key"], "client");
    assert!(!parameters.contains_key("client_id"));
}

struct Far(SigningKey);

impl Signer for Far {
    fn algorithm(&self) -> SigningAlgorithm {
        self.0.algorithm()
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, reqwest_bearer::Error> {
        Signer::sign(&self.0, message).await
    }
}
