//! The crate against a real authorization server: npm's `oidc-provider`.

use std::time::{Duration, SystemTime};

use real_parts::{AuthorizationServer, BASIC, Credentials, Issuer, POST, PUBLIC, SPECIAL};
use reqwest::StatusCode;
use reqwest_bearer::{
    AuthorizationCode, ClientAuthentication, ClientCredentials, Error, ErrorKind, Grant,
    GrantRequest, RefreshTokenGrant, Secret, TokenEndpoint, TokenKind, TokenParameters, TokenSet,
};
use serde_json::{Value, json};

const USER_SCOPE: &str = "openid offline_access email";

fn basic(client: Credentials) -> ClientAuthentication {
    ClientAuthentication::client_secret_basic(client.id, client.secret)
}

fn discovered(issuer: &Issuer, client: ClientAuthentication) -> TokenEndpoint {
    TokenEndpoint::discover(issuer.url(), client).expect("an issuer on this machine")
}

async fn obtain(grant: &impl Grant, request: GrantRequest) -> Result<TokenSet, Error> {
    let asked_at = SystemTime::now();
    let response = grant.obtain(request).await?;
    Ok(TokenSet::from_response(response, asked_at))
}

async fn client_credentials(endpoint: TokenEndpoint) -> Result<TokenSet, Error> {
    obtain(&ClientCredentials::new(endpoint), GrantRequest::default()).await
}

async fn refresh(endpoint: &TokenEndpoint, refresh_token: &Secret) -> Result<TokenSet, Error> {
    refresh_with(endpoint, refresh_token, TokenParameters::new()).await
}

async fn refresh_with(
    endpoint: &TokenEndpoint,
    refresh_token: &Secret,
    parameters: TokenParameters,
) -> Result<TokenSet, Error> {
    let grant = RefreshTokenGrant::new(endpoint.clone(), refresh_token.clone());
    obtain(
        &grant,
        GrantRequest::new(parameters, Some(refresh_token.clone())),
    )
    .await
}

/// Signs Alice in and exchanges the code.
async fn sign_in(issuer: &Issuer, endpoint: &TokenEndpoint, client: Credentials) -> TokenSet {
    let signed_in = issuer.sign_in(client.id, "alice", USER_SCOPE).await;
    AuthorizationCode::new(signed_in.code)
        .redirect_uri(signed_in.redirect_uri)
        .code_verifier(signed_in.code_verifier)
        .exchange(endpoint)
        .await
        .expect("the server takes its own code")
}

fn access_token(tokens: &TokenSet) -> &str {
    tokens.access_token().expect("an access token").expose()
}

fn refresh_token(tokens: &TokenSet) -> &Secret {
    tokens.refresh_token().expect("a refresh token")
}

async fn call(url: String, tokens: &TokenSet) -> (StatusCode, Value) {
    let request = reqwest::Client::new()
        .get(url)
        .bearer_auth(access_token(tokens));
    let answer = request.send().await.expect("the server is up");
    (
        answer.status(),
        answer.json().await.expect("both APIs answer in JSON"),
    )
}

fn expect_error(result: Result<TokenSet, Error>, kind: ErrorKind, code: &str) {
    let error = result.expect_err("the server refuses this");
    assert_eq!(
        (error.kind(), error.oauth_code()),
        (kind, Some(code)),
        "{error}"
    );
    assert!(!error.is_transient(), "{error}");
}

#[tokio::test]
async fn every_issuer_is_discovered_where_its_document_stands() {
    // E7
    let server = AuthorizationServer::start().await;
    for issuer in [&server.root, &server.tenant_a, &server.tenant_b] {
        let tokens = client_credentials(discovered(issuer, basic(BASIC))).await;
        let tokens = tokens.expect("the issuer is found");
        let (status, echo) = call(issuer.at("/api/echo"), &tokens).await;
        assert_eq!(
            (status, &echo["client_id"]),
            (StatusCode::OK, &json!(BASIC.id))
        );
        assert_eq!(issuer.count_token_requests("client_credentials").await, 1);
    }
}

#[tokio::test]
async fn an_issuer_that_the_server_does_not_have_is_an_error_and_no_token() {
    // E7
    let server = AuthorizationServer::start().await;
    let issuer = server.root.at("/tenant/nobody");
    let endpoint = TokenEndpoint::discover(issuer, basic(BASIC)).expect("nothing is asked yet");
    client_credentials(endpoint)
        .await
        .expect_err("there is no such issuer");
    assert_eq!(server.root.token_requests().await, []);
}

#[tokio::test]
async fn each_client_authentication_is_taken_by_the_server() {
    // E4
    let server = AuthorizationServer::start().await;
    let issuer = &server.root;
    for authentication in [
        basic(BASIC),
        ClientAuthentication::client_secret_post(POST.id, POST.secret),
        basic(SPECIAL),
    ] {
        let endpoint = TokenEndpoint::new(issuer.at("/token"), authentication);
        let tokens = client_credentials(endpoint.expect("a URL on this machine")).await;
        let (status, _) = call(issuer.at("/api/echo"), &tokens.expect("a token")).await;
        assert_eq!(status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_wrong_secret_and_a_forbidden_scope_are_settings_to_mend() {
    // E4, E8
    let server = AuthorizationServer::start().await;
    let wrong = Credentials {
        id: BASIC.id,
        secret: "s3cr3t-that-must-not-show",
    };
    let endpoint = discovered(&server.root, basic(wrong));
    let error = client_credentials(endpoint)
        .await
        .expect_err("the secret is wrong");
    assert!(!format!("{error} {error:?}").contains(wrong.secret));
    expect_error(Err(error), ErrorKind::Rejected, "invalid_client");

    let grant = ClientCredentials::new(discovered(&server.root, basic(SPECIAL))).scope("api:write");
    let result = obtain(&grant, GrantRequest::default()).await;
    expect_error(result, ErrorKind::Rejected, "invalid_scope");
}

#[tokio::test]
async fn scope_and_resource_narrow_the_token() {
    let server = AuthorizationServer::start().await;
    let grant = ClientCredentials::new(discovered(&server.tenant_a, basic(BASIC)));
    let parameters = TokenParameters::new()
        .scope("api:read")
        .resource("https://api.example.com/");
    let tokens = obtain(&grant, GrantRequest::new(parameters, None))
        .await
        .expect("a token");
    let (_, echo) = call(server.tenant_a.at("/api/echo"), &tokens).await;
    assert_eq!(echo["scope"], "api:read");
    assert_eq!(echo["audience"], "https://api.example.com/");
}

#[tokio::test]
async fn a_code_and_its_verifier_become_a_whole_token_set() {
    let server = AuthorizationServer::start_with(json!({ "accessTokenTtl": 90 })).await;
    for (issuer, client, authentication) in [
        (&server.root, PUBLIC, ClientAuthentication::none(PUBLIC.id)),
        (&server.root, BASIC, basic(BASIC)),
        (
            &server.tenant_a,
            PUBLIC,
            ClientAuthentication::none(PUBLIC.id),
        ),
        (
            &server.tenant_b,
            POST,
            ClientAuthentication::client_secret_post(POST.id, POST.secret),
        ),
    ] {
        let endpoint = discovered(issuer, authentication);
        let before = SystemTime::now();
        let tokens = sign_in(issuer, &endpoint, client).await;
        let userinfo = call(issuer.at("/me"), &tokens).await;
        let alice = json!({ "sub": "alice", "email": "alice@example.com" });
        assert_eq!(userinfo, (StatusCode::OK, alice));

        assert!(tokens.refresh_token().is_some() && tokens.id_token().is_some());
        assert_eq!(tokens.scope(), Some(USER_SCOPE));
        let lifetime = Duration::from_secs(90);
        let expires_at = tokens.expires_at().expect("the server tells the lifetime");
        assert!(before + lifetime <= expires_at && expires_at <= SystemTime::now() + lifetime);
    }
}

#[tokio::test]
async fn a_code_that_the_server_does_not_take_asks_for_a_new_sign_in() {
    let server = AuthorizationServer::start().await;
    let endpoint = discovered(&server.root, ClientAuthentication::none(PUBLIC.id));
    let signed_in = server.root.sign_in(PUBLIC.id, "alice", USER_SCOPE).await;
    let exchange = |code: &str, verifier: &str| {
        AuthorizationCode::new(code)
            .redirect_uri(signed_in.redirect_uri.clone())
            .code_verifier(verifier)
            .exchange(&endpoint)
    };
    let wrong_verifier = exchange(&signed_in.code, &"x".repeat(64)).await;
    expect_error(wrong_verifier, ErrorKind::SignInRequired, "invalid_grant");

    let signed_in = server.root.sign_in(PUBLIC.id, "alice", USER_SCOPE).await;
    exchange(&signed_in.code, &signed_in.code_verifier)
        .await
        .expect("the first time");
    let again = exchange(&signed_in.code, &signed_in.code_verifier).await;
    expect_error(again, ErrorKind::SignInRequired, "invalid_grant");
}

#[tokio::test]
async fn a_rotated_refresh_token_goes_on_and_a_spent_one_asks_for_a_new_sign_in() {
    // E6, E8
    let server = AuthorizationServer::start().await;
    let issuer = &server.tenant_a;
    let endpoint = discovered(issuer, ClientAuthentication::none(PUBLIC.id));
    let first = sign_in(issuer, &endpoint, PUBLIC).await;

    let second = refresh(&endpoint, refresh_token(&first))
        .await
        .expect("not spent yet");
    assert_ne!(refresh_token(&second), refresh_token(&first));
    let third = refresh(&endpoint, refresh_token(&second))
        .await
        .expect("not spent yet");
    assert_eq!(call(issuer.at("/me"), &third).await.0, StatusCode::OK);

    let spent = refresh(&endpoint, refresh_token(&first)).await;
    expect_error(spent, ErrorKind::SignInRequired, "invalid_grant");
    let family = refresh(&endpoint, refresh_token(&third)).await;
    expect_error(family, ErrorKind::SignInRequired, "invalid_grant");
}

#[tokio::test]
async fn a_wider_scope_at_a_refresh_is_refused_and_spends_nothing() {
    // E3
    let server = AuthorizationServer::start().await;
    let endpoint = discovered(&server.root, basic(BASIC));
    let tokens = sign_in(&server.root, &endpoint, BASIC).await;
    let wider = TokenParameters::new().scope("openid api:write");
    let refused = refresh_with(&endpoint, refresh_token(&tokens), wider).await;
    expect_error(refused, ErrorKind::Rejected, "invalid_scope");

    let narrower = TokenParameters::new().scope("openid");
    let narrowed = refresh_with(&endpoint, refresh_token(&tokens), narrower).await;
    let narrowed = narrowed.expect("the refresh token lives on");
    assert_eq!(narrowed.scope(), Some("openid"));
}

#[tokio::test]
async fn revoking_either_token_ends_both() {
    let server = AuthorizationServer::start().await;
    let issuer = &server.tenant_a;
    let endpoint = discovered(issuer, basic(BASIC));
    for kind in [TokenKind::AccessToken, TokenKind::RefreshToken] {
        let tokens = sign_in(issuer, &endpoint, BASIC).await;
        assert_eq!(call(issuer.at("/me"), &tokens).await.0, StatusCode::OK);
        let token = match kind {
            TokenKind::AccessToken => tokens.access_token().expect("an access token"),
            _ => refresh_token(&tokens),
        };
        endpoint
            .revoke(token, kind)
            .await
            .expect("the server revokes");

        // RFC 7009 section 2.1 leaves open what else dies; oidc-provider ends the whole grant.
        assert_eq!(
            call(issuer.at("/me"), &tokens).await.0,
            StatusCode::UNAUTHORIZED
        );
        let dead = refresh(&endpoint, refresh_token(&tokens)).await;
        expect_error(dead, ErrorKind::SignInRequired, "invalid_grant");
    }

    // RFC 7009 section 2.2: a token that the server does not know is a success.
    let unknown = Secret::new("unknown");
    endpoint
        .revoke(&unknown, TokenKind::AccessToken)
        .await
        .expect("a success");
}

#[tokio::test]
async fn a_grant_that_the_client_may_not_use_is_a_setting_to_mend() {
    // E8
    let server = AuthorizationServer::start().await;
    let endpoint = discovered(&server.root, basic(SPECIAL));
    // RFC 6749 section 5.2 has `unauthorized_client` for it; oidc-provider says it otherwise.
    let result = refresh(&endpoint, &Secret::new("any")).await;
    expect_error(result, ErrorKind::Rejected, "invalid_request");
}
