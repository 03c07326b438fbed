//! Token exchange and JWT bearer at real authorization servers, each by the same tests: npm's `oidc-provider`,
//! with both grants registered there, Python's `idpyoidc` with an exchange of its own, and `Authlib` with
//! assertions of its own.

use real_parts::{
    Authlib, AuthorizationServer, ExchangingIssuer, Idpyoidc, IssuerWithApi, JWT_BEARER,
    TOKEN_EXCHANGE,
};
use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, ConstantToken, DpopKey, Error, ErrorKind,
    ExchangedTokens, JwtBearer, NamedClient, NamedExchangeClient, SignedAssertion, Signer as _,
    SigningAlgorithm, SigningKey, SubjectToken, TokenEndpoint, TokenExchange, TokenParameters,
    TokenSource,
};
use serde_json::{Value, json};

const SCOPE: &str = "api:read api:write";

/// The service whose callers bring tokens, as npm's server and as Python's know it.
fn service() -> Value {
    json!({
        "client_id": "service",
        "client_secret": "service-secret",
        "grant_types": [TOKEN_EXCHANGE],
        "response_types": [],
        "redirect_uris": [],
        "scope": SCOPE,
        "allowed_scopes": ["api:read", "api:write"],
    })
}

async fn oidc_provider() -> AuthorizationServer {
    AuthorizationServer::start_with(json!({ "clients": [service()] })).await
}

fn exchange_at(issuer: &impl IssuerWithApi) -> TokenExchange {
    let client = ClientAuthentication::client_secret_basic("service", "service-secret");
    TokenExchange::new(TokenEndpoint::discover(issuer.url(), client).expect("an issuer"))
}

async fn caller(issuer: &impl ExchangingIssuer, account: &str, scope: &str) -> SubjectToken {
    let token = issuer.incoming(account, scope).await;
    SubjectToken::new(token).expect("a token")
}

async fn count(issuer: &impl IssuerWithApi, grant_type: &str) -> usize {
    let requests = issuer.token_requests().await;
    let requests = requests.iter().map(|request| request.grant_type.as_deref());
    requests.filter(|sent| *sent == Some(grant_type)).count()
}

async fn echo(api: &NamedClient) -> Value {
    let answer = api.get("echo").send().await.expect("an answer");
    answer.json().await.expect("JSON")
}

#[tokio::test]
async fn each_callers_token_is_exchanged_once_and_the_api_sees_that_caller() {
    // I1
    each_caller_is_seen_for_one_exchange(&oidc_provider().await.root).await;
    each_caller_is_seen_for_one_exchange(&Idpyoidc::start(&[service()]).await).await;
}

async fn each_caller_is_seen_for_one_exchange(issuer: &impl ExchangingIssuer) {
    let tokens = ExchangedTokens::new(exchange_at(issuer)).expect("an exchange");
    let api = NamedExchangeClient::new("api", issuer.api(), &tokens).expect("a client");
    let mut callers = Vec::new();
    for account in ["alice", "bob"] {
        callers.push((account, issuer.incoming(account, SCOPE).await));
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
    assert_eq!(count(issuer, TOKEN_EXCHANGE).await, 2);

    // What the API does not take any more is exchanged anew.
    let alice = SubjectToken::new(callers[0].1.as_str()).expect("a token");
    let exchanged = tokens.for_subject_token(&alice).token().await;
    issuer
        .kill_access_token(exchanged.expect("it is kept").expose())
        .await;
    assert_eq!(echo(&api.for_subject_token(&alice)).await["sub"], "alice");
    assert_eq!(count(issuer, TOKEN_EXCHANGE).await, 3);

    // One whose token has died since gets an error, and the other one is served.
    issuer.kill_access_token(&callers[0].1).await;
    let fresh = ExchangedTokens::new(exchange_at(issuer)).expect("an exchange");
    let error = fresh.for_subject_token(&alice).token().await;
    let error = error.expect_err("the server does not know it any more");
    assert_eq!(error.kind(), ErrorKind::InvalidSubjectToken);
    assert!(!error.to_string().contains("actor"), "{error}");
    let bob = SubjectToken::new(callers[1].1.as_str()).expect("a token");
    assert!(fresh.for_subject_token(&bob).token().await.is_ok());
}

#[tokio::test]
async fn each_api_gets_a_token_with_the_scope_and_the_audience_that_its_client_asks_for() {
    // I1
    what_is_asked_for_comes(&oidc_provider().await.root).await;
    what_is_asked_for_comes(&Idpyoidc::start(&[service()]).await).await;
}

async fn what_is_asked_for_comes<I: ExchangingIssuer>(issuer: &I) {
    let tokens = ExchangedTokens::new(exchange_at(issuer)).expect("an exchange");
    let for_api = |audience: &str, scope: &str| {
        let asked = TokenParameters::new().audience(audience).scope(scope);
        let tokens = tokens.with_parameters(asked);
        NamedExchangeClient::new(audience, issuer.api(), &tokens).expect("a client")
    };
    let (orders, stock) = (for_api("orders", "api:read"), for_api("stock", "api:write"));
    let alice = caller(issuer, "alice", SCOPE).await;
    for (api, audience, scope) in [
        (&orders, "orders", "api:read"),
        (&stock, "stock", "api:write"),
    ] {
        let seen = echo(&api.for_subject_token(&alice)).await;
        assert_eq!(seen["scope"], scope);
        // One, or a list of one (RFC 7519 section 4.1.3).
        let seen = &seen["audience"];
        assert!(*seen == audience || *seen == json!([audience]), "{seen}");
    }

    let unknown = for_api("unknown", "api:read").tokens();
    let error = unknown.for_subject_token(&alice).token().await;
    let error = error.expect_err("the server knows no such audience");
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(error.oauth_code(), Some("invalid_target"));

    let reader = caller(issuer, "bob", "api:read").await;
    let both = for_api("orders", SCOPE);
    let token = both.tokens().for_subject_token(&reader).token().await;
    match I::MORE_THAN_THERE_IS {
        Ok(scope) => {
            token.expect("a token with less");
            assert_eq!(echo(&both.for_subject_token(&reader)).await["scope"], scope);
        }
        Err(code) => {
            let error = token.expect_err("nobody gets more by an exchange");
            assert_eq!(error.kind(), ErrorKind::Rejected);
            assert_eq!(error.oauth_code(), Some(code));
        }
    }
}

#[tokio::test]
async fn the_service_is_named_as_who_acts_where_the_server_takes_that() {
    // I1
    let own = json!({
        "client_id": "actor",
        "client_secret": "actor-secret",
        "grant_types": ["client_credentials"],
        "response_types": [],
        "redirect_uris": [],
        "scope": "api:read",
    });
    let settings = json!({ "clients": [service(), own] });
    let server = AuthorizationServer::start_with(settings).await;
    let client = ClientAuthentication::client_secret_basic("actor", "actor-secret");
    let endpoint = TokenEndpoint::discover(server.root.url(), client).expect("an issuer");
    let own = TokenSource::from(ClientCredentials::new(endpoint).scope("api:read"));
    names_the_actor(&server.root, exchange_at(&server.root).actor_token(&own)).await;

    // It refuses any, so that the token of a user will do.
    let issuer = Idpyoidc::start(&[service()]).await;
    let own = issuer.incoming("carol", SCOPE).await;
    names_the_actor(&issuer, exchange_at(&issuer).actor_token(own)).await;
}

async fn names_the_actor<I: ExchangingIssuer>(issuer: &I, exchange: TokenExchange) {
    let tokens = ExchangedTokens::new(exchange).expect("an exchange");
    let api = NamedExchangeClient::new("api", issuer.api(), &tokens).expect("a client");
    let alice = caller(issuer, "alice", SCOPE).await;
    if I::TAKES_ACTORS {
        let seen = echo(&api.for_subject_token(&alice)).await;
        assert_eq!(seen["sub"], "alice");
        assert_eq!(seen["actor"]["client_id"], "actor");
        return;
    }
    // RFC 8693 section 2.2.2 has the same code for both tokens, so that the message names both.
    let error = tokens.for_subject_token(&alice).token().await;
    let error = error.expect_err("no actor is taken");
    assert_eq!(error.kind(), ErrorKind::InvalidSubjectToken);
    assert!(error.to_string().contains("the actor's"), "{error}");
}

#[tokio::test]
async fn what_is_exchanged_for_is_bound_to_the_service_s_key() {
    // H5, I1
    let settings = json!({ "clients": [service()], "dpopNonceSeconds": 3600 });
    let server = AuthorizationServer::start_with(settings).await;
    let issuer = &server.root;
    let key = DpopKey::generate().expect("a key");
    let tokens = ExchangedTokens::builder(exchange_at(issuer)).dpop(&key);
    let tokens = tokens.build().expect("an exchange");
    let api = NamedExchangeClient::new("api", issuer.api_apart(), &tokens).expect("a client");
    for account in ["alice", "bob"] {
        let caller = caller(issuer, account, SCOPE).await;
        assert_eq!(echo(&api.for_subject_token(&caller)).await["sub"], account);
        let token = tokens.for_subject_token(&caller).token().await;
        let stolen = token.expect("it is kept").expose().to_owned();
        let stolen = ConstantToken::new(stolen).expect("a token");
        let thief = NamedClient::new("thief", issuer.api_apart(), stolen).expect("a client");
        let answer = thief.get("echo").send().await.expect("an answer");
        assert_eq!(answer.status(), 401);
    }
    // The first of all learns the nonce; a thief has the token alone.
    let (own, wants_nonce) = (Some(key.thumbprint()), Some("use_dpop_nonce"));
    let stolen = (None, Some("invalid_token"));
    let seen = issuer.api_requests().await;
    let seen = seen
        .iter()
        .map(|seen| (seen.key.as_deref(), seen.error.as_deref()));
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [(own, wants_nonce), (own, None), stolen, (own, None), stolen]
    );
}

/// A client that signs with this key, as npm's server and as Python's know it.
fn robot(key: &SigningKey) -> Value {
    let mut jwk = key.public_jwk().to_value();
    jwk["kid"] = json!(key.key_id());
    json!({
        "client_id": "robot",
        "token_endpoint_auth_method": "none",
        "grant_types": [JWT_BEARER],
        "response_types": [],
        "redirect_uris": [],
        "scope": "api:read",
        "jwks": { "keys": [jwk] },
    })
}

fn key() -> SigningKey {
    let key = SigningKey::generate(SigningAlgorithm::Es256).expect("a key");
    key.with_key_id("1")
}

fn assertion_of(issuer: &impl IssuerWithApi, key: &SigningKey, subject: &str) -> JwtBearer {
    let client = ClientAuthentication::none("robot");
    let endpoint = TokenEndpoint::discover(issuer.url(), client).expect("an issuer");
    let claims = SignedAssertion::new(key.clone(), issuer.url());
    JwtBearer::signed(endpoint, claims.issuer("robot").subject(subject)).scope("api:read")
}

#[tokio::test]
async fn assertions_that_are_good_for_one_use_are_signed_anew_for_each_token() {
    // I2
    let key = key();
    let settings = json!({ "clients": [robot(&key)] });
    let server = AuthorizationServer::start_with(settings).await;
    each_token_has_an_assertion_of_its_own(&server.root, &key).await;
    let server = Authlib::start(&[robot(&key)], &["robot"]).await;
    each_token_has_an_assertion_of_its_own(&server, &key).await;
}

async fn each_token_has_an_assertion_of_its_own(issuer: &impl IssuerWithApi, known: &SigningKey) {
    let source = TokenSource::from(assertion_of(issuer, known, "robot"));
    let api = NamedClient::new("api", issuer.api(), &source).expect("a client");
    for _ in 0..2 {
        let seen = echo(&api).await;
        assert_eq!(
            (&seen["client_id"], &seen["scope"]),
            (&json!("robot"), &json!("api:read"))
        );
        let token = source.token().await.expect("the token of that call");
        issuer.kill_access_token(token.expose()).await;
    }
    assert_eq!(count(issuer, JWT_BEARER).await, 2);

    let source = TokenSource::from(assertion_of(issuer, &key(), "robot"));
    let error: Result<_, Error> = source.token().await;
    let error = error.expect_err("the server does not know this key");
    assert_eq!(error.kind(), ErrorKind::Rejected);
}

#[tokio::test]
async fn the_api_sees_the_user_whom_an_assertion_names() {
    // I2
    let key = key();
    let server = Authlib::start(&[robot(&key)], &["alice"]).await;
    let api = |user| {
        let source = TokenSource::from(assertion_of(&server, &key, user));
        NamedClient::new("api", server.api(), &source).expect("a client")
    };
    let seen = echo(&api("alice")).await;
    assert_eq!(
        (&seen["sub"], &seen["client_id"]),
        (&json!("alice"), &json!("robot"))
    );
    let refused = api("mallory").get("echo").send().await;
    let refused = refused.expect_err("the server knows no such user");
    let error = Error::find_in(&refused).expect("it is ours");
    // It says `invalid_grant`, and nobody's sign-in would help.
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(error.oauth_code(), Some("invalid_grant"));
}
