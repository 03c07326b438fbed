//! Token exchange and JWT bearer at a real authorization server: npm's `oidc-provider`, with both grants
//! registered there.

use real_parts::{AuthorizationServer, Issuer};
use reqwest_bearer::{
    AuthorizationCode, ClientAuthentication, Error, ErrorKind, ExchangedTokens, JwtBearer,
    NamedClient, NamedExchangeClient, SignedAssertion, SigningAlgorithm, SigningKey, SubjectToken,
    TokenEndpoint, TokenExchange, TokenSource,
};
use serde_json::{Value, json};

const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

fn service() -> Value {
    json!({
        "client_id": "service",
        "client_secret": "service-secret",
        "grant_types": [TOKEN_EXCHANGE],
        "response_types": [],
        "redirect_uris": [],
        "scope": "openid email api:read api:write",
    })
}

/// The access token of a user who has signed in at another client, as it comes with a request.
async fn incoming(issuer: &Issuer, account: &str) -> String {
    let client = ClientAuthentication::client_secret_basic("basic-client", "basic-secret");
    let endpoint = TokenEndpoint::discover(issuer.url(), client).expect("an issuer");
    let scope = "openid offline_access email";
    let signed_in = issuer.sign_in("basic-client", account, scope).await;
    let tokens = AuthorizationCode::new(signed_in.code)
        .redirect_uri(signed_in.redirect_uri)
        .code_verifier(signed_in.code_verifier)
        .exchange(&endpoint)
        .await
        .expect("the server takes its own code");
    let token = tokens.access_token().expect("an access token");
    token.expose().to_owned()
}

#[tokio::test]
async fn each_callers_token_is_exchanged_once_and_the_api_sees_that_caller() {
    // I1
    let server = AuthorizationServer::start_with(json!({ "clients": [service()] })).await;
    let issuer = &server.root;
    let client = ClientAuthentication::client_secret_basic("service", "service-secret");
    let endpoint = TokenEndpoint::discover(issuer.url(), client).expect("an issuer");
    let tokens = ExchangedTokens::new(TokenExchange::new(endpoint)).expect("an exchange");
    let api = NamedExchangeClient::new("api", issuer.api(), &tokens).expect("a client");
    let mut callers = Vec::new();
    for account in ["alice", "bob"] {
        callers.push((account, incoming(issuer, account).await));
    }
    for _ in 0..3 {
        for (account, token) in &callers {
            let caller = SubjectToken::new(token.as_str()).expect("a token");
            let answer = caller.run(api.get("echo").send()).await.expect("an answer");
            let seen: Value = answer.json().await.expect("JSON");
            assert_eq!(seen["sub"], *account);
            assert_eq!(seen["client_id"], "service");
        }
    }
    assert_eq!(issuer.count_token_requests(TOKEN_EXCHANGE).await, 2);

    // One whose token has died since gets an error, and the other one is served.
    let (_, dead) = &callers[0];
    issuer.kill_access_token(dead).await;
    let fresh = ExchangedTokens::new(exchange_of(issuer)).expect("an exchange");
    let dead = SubjectToken::new(dead.as_str()).expect("a token");
    let error = fresh.for_subject_token(&dead).token().await;
    let error = error.expect_err("the server does not know it any more");
    assert_eq!(error.kind(), ErrorKind::InvalidSubjectToken);
    let alive = SubjectToken::new(callers[1].1.as_str()).expect("a token");
    let token = fresh.for_subject_token(&alive).token().await;
    assert!(token.is_ok());
}

fn exchange_of(issuer: &Issuer) -> TokenExchange {
    let client = ClientAuthentication::client_secret_basic("service", "service-secret");
    TokenExchange::new(TokenEndpoint::discover(issuer.url(), client).expect("an issuer"))
}

#[tokio::test]
async fn assertions_that_are_good_for_one_use_are_signed_anew_for_each_token() {
    // I2
    let key = SigningKey::generate(SigningAlgorithm::Es256).expect("a key");
    let key = key.with_key_id("1");
    let mut jwk = key.public_jwk().to_value();
    jwk["kid"] = json!("1");
    let registered = json!({
        "client_id": "robot",
        "token_endpoint_auth_method": "none",
        "grant_types": [JWT_BEARER],
        "response_types": [],
        "redirect_uris": [],
        "scope": "api:read",
        "jwks": { "keys": [jwk] },
    });
    let server = AuthorizationServer::start_with(json!({ "clients": [registered] })).await;
    let issuer = &server.root;
    let endpoint = || {
        let client = ClientAuthentication::none("robot");
        TokenEndpoint::discover(issuer.url(), client).expect("an issuer")
    };
    let claims = |key: &SigningKey| {
        let claims = SignedAssertion::new(key.clone(), issuer.url());
        claims.issuer("robot").subject("robot")
    };
    let grant = JwtBearer::signed(endpoint(), claims(&key)).scope("api:read");
    let source = TokenSource::from(grant);
    let api = NamedClient::new("api", issuer.api(), &source).expect("a client");
    for _ in 0..2 {
        let answer = api.get("echo").send().await.expect("an answer");
        let seen: Value = answer.json().await.expect("JSON");
        assert_eq!(
            (&seen["client_id"], &seen["scope"]),
            (&json!("robot"), &json!("api:read"))
        );
        let token = source.token().await.expect("the token of that call");
        issuer.kill_access_token(token.expose()).await;
    }
    assert_eq!(issuer.count_token_requests(JWT_BEARER).await, 2);

    let unknown = SigningKey::generate(SigningAlgorithm::Es256).expect("a key");
    let unknown = unknown.with_key_id("1");
    let source = TokenSource::from(JwtBearer::signed(endpoint(), claims(&unknown)));
    let error: Result<_, Error> = source.token().await;
    let error = error.expect_err("the server does not know this key");
    assert_eq!(error.kind(), ErrorKind::Rejected);
}
