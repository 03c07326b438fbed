//! What each grant sends, and what it makes of the answer.

use std::time::Duration;

use reqwest_bearer::{
    AuthorizationCode, ClientAuthentication, ClientCredentials, ConstantToken, Error, ErrorKind,
    Grant, GrantFn, GrantRequest, RefreshTokenGrant, Secret, Subject, TestClock, TokenEndpoint,
    TokenFile, TokenOptions, TokenParameters, TokenRequest, TokenResponse, TokenSet, TokenSource,
    UserSessions,
};
use serde_json::json;
use wiremock::{MockServer, ResponseTemplate};

use crate::{only_request, parts, public_client, received, server_with, token};

/// The answer of a grant as a token set, which can be read from outside the crate.
async fn obtained(grant: &impl Grant, request: GrantRequest) -> Result<TokenSet, Error> {
    let response = grant.obtain(request).await?;
    Ok(TokenSet::from_response(
        response,
        TestClock::new().system_time(),
    ))
}

fn plain() -> GrantRequest {
    GrantRequest::default()
}

fn access(tokens: &TokenSet) -> Option<&str> {
    tokens.access_token().map(|token| token.expose())
}

#[tokio::test]
async fn client_credentials_send_their_parameters_and_those_of_the_request_first() {
    // E6
    let server = server_with(token("t")).await;
    let grant = ClientCredentials::new(public_client(&server))
        .scope("a")
        .parameters(TokenParameters::new().audience("aud").extra("x", "1"));
    obtained(&grant, plain()).await.expect("a token");
    let own = TokenParameters::new().scope("b").extra("x", "2");
    obtained(&grant, GrantRequest::new(own, None))
        .await
        .expect("a token");
    let forms: Vec<String> = received(&server)
        .await
        .into_iter()
        .map(|request| parts(request).0)
        .collect();
    assert_eq!(
        forms,
        [
            "grant_type=client_credentials&scope=a&audience=aud&x=1&client_id=me",
            "grant_type=client_credentials&scope=b&audience=aud&x=2&client_id=me",
        ]
    );
}

#[tokio::test]
async fn scopes_resources_and_audiences_are_sent_in_the_order_given_and_another_order_is_another_token()
 {
    // D8, K25: at Entra the first scope says for which API the token is.
    let server = server_with(token("t")).await;
    let grant = ClientCredentials::new(public_client(&server))
        .scope("https://graph.microsoft.com/User.Read api://orders/read")
        .scope("https://graph.microsoft.com/User.Read")
        .resource("https://b")
        .resource("https://a")
        .resource("https://b")
        .audience("b")
        .audience("a");
    let source = TokenSource::from(grant);
    let own = "grant_type=client_credentials&scope=https%3A%2F%2Fgraph.microsoft.com%2FUser.Read+\
               api%3A%2F%2Forders%2Fread&resource=https%3A%2F%2Fb&resource=https%3A%2F%2Fa\
               &audience=b&audience=a&client_id=me";
    source.token().await.expect("a token");
    assert_eq!(only_request(&server).await, (own.to_owned(), None));
    for (scope, requests) in [("x y", 2), ("y x", 3), ("x y x", 3), ("y x", 3)] {
        let options = TokenOptions::new().scope(scope);
        source.token_with(&options).await.expect("a token");
        let received = received(&server).await;
        assert_eq!(received.len(), requests, "{scope}");
    }
}

/// The fields that a token request has, whatever else is asked for.
const RESERVED: [&str; 12] = [
    "grant_type",
    "client_id",
    "client_secret",
    "client_assertion",
    "client_assertion_type",
    "refresh_token",
    "code",
    "code_verifier",
    "redirect_uri",
    "scope",
    "resource",
    "audience",
];

/// A wrong setting that was found before anything was sent.
async fn is_refused<T: std::fmt::Debug>(
    outcome: Result<T, Error>,
    name: &str,
    server: &MockServer,
) {
    let error = outcome.expect_err(name);
    assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
    assert!(error.to_string().contains(&format!("`{name}`")), "{error}");
    assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    assert!(received(server).await.is_empty(), "{name}");
}

#[tokio::test]
async fn a_field_of_the_request_itself_cannot_be_set_as_an_extra_parameter() {
    // D8, E8
    let server = server_with(token("t")).await;
    let endpoint = public_client(&server);
    for name in RESERVED {
        let bad = || TokenParameters::new().extra(name, "canary");
        let grant = || ClientCredentials::new(endpoint.clone()).parameters(bad());
        // The grant's own, when the source is built, or at the first call of one that is not.
        let built = TokenSource::builder(grant()).build();
        let error = built.as_ref().expect_err(name).to_string();
        assert!(error.contains("the grant's own parameters"), "{error}");
        is_refused(built, name, &server).await;
        let source = TokenSource::from(grant());
        let first = source.token().await;
        let error = first.as_ref().expect_err(name).to_string();
        assert!(error.contains("the grant's own parameters"), "{error}");
        is_refused(first, name, &server).await;
        let options = TokenOptions::new().scope("a");
        is_refused(source.token_with(&options).await, name, &server).await;
        let tokens = TokenSet::new("a").with_refresh_token("r");
        let grant = RefreshTokenGrant::from_token_set(endpoint.clone(), tokens).parameters(bad());
        let source = TokenSource::from(grant);
        is_refused(source.token().await, name, &server).await;

        // A request's and a handle's.
        let source = TokenSource::from(ClientCredentials::new(endpoint.clone()));
        let options = TokenOptions::new().extra(name, "canary");
        is_refused(source.token_with(&options).await, name, &server).await;
        let handle = source.with_parameters(bad());
        is_refused(handle.token().await, name, &server).await;
        let options = TokenOptions::new().extra("a", "b");
        is_refused(handle.token_with(&options).await, name, &server).await;
        let users = UserSessions::new(&endpoint);
        let subject = Subject::new("session").expect("an id");
        let tokens = TokenSet::new("a").with_refresh_token("r");
        users.sign_in(&subject, tokens).await.expect("signed in");
        let of_subject = users.for_subject(&subject);
        let options = TokenOptions::new().extra(name, "canary");
        is_refused(of_subject.token_with(&options).await, name, &server).await;

        // A sign-in's, and those of a grant of one's own.
        let code = AuthorizationCode::new("canary").parameters(bad());
        is_refused(code.exchange(&endpoint).await, name, &server).await;
        let request = TokenRequest::new("g")
            .parameters(&bad())
            .parameters(&TokenParameters::new());
        is_refused(endpoint.request_token(request).await, name, &server).await;
    }
}

#[tokio::test]
async fn a_refusal_of_client_credentials_never_asks_for_a_user() {
    // E8
    let body = json!({ "error": "invalid_grant" });
    let server = server_with(ResponseTemplate::new(400).set_body_json(body)).await;
    let grant = ClientCredentials::new(public_client(&server));
    let error = obtained(&grant, plain()).await.expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(error.oauth_code(), Some("invalid_grant"));
}

#[tokio::test]
async fn a_refresh_token_for_client_credentials_is_dropped() {
    // RFC 6749 section 4.4.3
    let answer = json!({"access_token": "a", "refresh_token": "r"});
    let server = server_with(ResponseTemplate::new(200).set_body_json(answer)).await;
    let grant = ClientCredentials::new(public_client(&server));
    let tokens = obtained(&grant, plain()).await.expect("a token");
    assert!(tokens.refresh_token().is_none());
}

#[tokio::test]
async fn a_refresh_spends_the_token_that_it_is_handed_and_asks_for_no_scope() {
    // E6, A6
    let server = server_with(token("t")).await;
    let grant = RefreshTokenGrant::new(public_client(&server), "seed");
    let seed = grant.seed().expect("a seed");
    assert_eq!(
        seed.refresh_token().map(|token| token.expose()),
        Some("seed")
    );
    let request = GrantRequest::new(TokenParameters::new(), Some(Secret::new("r1")));
    obtained(&grant, request).await.expect("a token");
    let form = "grant_type=refresh_token&refresh_token=r1&client_id=me";
    assert_eq!(only_request(&server).await, (form.to_owned(), None));
}

#[tokio::test]
async fn a_refresh_asks_for_a_scope_when_told_to() {
    // E6
    let server = server_with(token("t")).await;
    let grant = RefreshTokenGrant::new(public_client(&server), "seed").scope("a");
    let request = GrantRequest::new(TokenParameters::new(), Some(Secret::new("r1")));
    obtained(&grant, request).await.expect("a token");
    let form = "grant_type=refresh_token&refresh_token=r1&scope=a&client_id=me";
    assert_eq!(only_request(&server).await, (form.to_owned(), None));
}

#[tokio::test]
async fn without_a_refresh_token_the_user_has_to_sign_in_and_nothing_is_sent() {
    // E8
    let server = server_with(token("t")).await;
    let grant = RefreshTokenGrant::new(public_client(&server), "seed");
    let error = obtained(&grant, plain())
        .await
        .expect_err("no refresh token");
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert!(received(&server).await.is_empty());
}

#[tokio::test]
async fn a_code_is_exchanged_with_its_redirect_uri_and_verifier() {
    // B8
    let answer = json!({"access_token": "a", "refresh_token": "r", "expires_in": 60});
    let server = server_with(ResponseTemplate::new(200).set_body_json(answer)).await;
    let clock = TestClock::new();
    let endpoint = TokenEndpoint::builder(ClientAuthentication::none("me"))
        .token_url(format!("{}/token", server.uri()))
        .clock(&clock)
        .build()
        .expect("settings");
    let tokens = AuthorizationCode::new("c+d")
        .redirect_uri("https://app/cb?x=y")
        .code_verifier("v~")
        .parameters(TokenParameters::new().resource("https://api"))
        .exchange(&endpoint)
        .await
        .expect("tokens");
    let form = "grant_type=authorization_code&code=c%2Bd&redirect_uri=https%3A%2F%2Fapp%2Fcb%3Fx%3Dy\
                &code_verifier=v%7E&resource=https%3A%2F%2Fapi&client_id=me";
    assert_eq!(only_request(&server).await, (form.to_owned(), None));
    assert_eq!(
        tokens.expires_at(),
        Some(clock.system_time() + Duration::from_secs(60))
    );
    assert_eq!(access(&tokens), Some("a"));
}

#[tokio::test]
async fn a_code_is_sent_once_whatever_the_answer() {
    // E3
    let dead = ResponseTemplate::new(400).set_body_json(json!({"error": "invalid_grant"}));
    for (answer, kind) in [
        (dead, ErrorKind::SignInRequired),
        (ResponseTemplate::new(503), ErrorKind::Unavailable),
        (ResponseTemplate::new(500), ErrorKind::Unavailable),
        (ResponseTemplate::new(200), ErrorKind::Protocol),
    ] {
        let server = server_with(answer).await;
        let code = AuthorizationCode::new("canary");
        assert!(!format!("{code:?}").contains("canary"));
        let error = code
            .exchange(&public_client(&server))
            .await
            .expect_err("no tokens");
        assert_eq!(error.kind(), kind);
        assert_eq!(received(&server).await.len(), 1);
    }
}

#[tokio::test]
async fn a_constant_token_stays() {
    // B11
    let grant = ConstantToken::new("t").expect("a token");
    let tokens = obtained(&grant, plain()).await.expect("a token");
    assert_eq!((access(&tokens), tokens.expires_at()), (Some("t"), None));
    assert_eq!(format!("{grant:?}"), "ConstantToken([secret])");
}

#[tokio::test]
async fn a_token_file_is_read_each_time() {
    // E4, D6, D7
    let name = format!("reqwest-bearer-token-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let grant = TokenFile::new(&path);
    let missing = obtained(&grant, plain()).await.expect_err("missing");
    assert_eq!(missing.kind(), ErrorKind::Unavailable);
    for (text, token) in [("one\n", "one"), (" two\r\n", "two")] {
        std::fs::write(&path, text).expect("a file");
        let tokens = obtained(&grant, plain()).await.expect("a token");
        assert_eq!(access(&tokens), Some(token));
    }
    for bad in ["", "\n", "canary\r\nX: y", "can ary", "canary\u{fc}"] {
        std::fs::write(&path, bad).expect("a file");
        let error = obtained(&grant, plain()).await.expect_err(bad);
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(!format!("{error} {error:?}").contains("ary"), "{error:?}");
    }
    std::fs::remove_file(&path).expect("a file");
}

#[tokio::test]
async fn a_token_file_without_an_interval_is_read_again_behind_each_request() {
    // B10, E4
    let name = format!("reqwest-bearer-token-anew-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let clock = TestClock::new();
    let source = TokenSource::builder(TokenFile::new(&path).reload_interval(Duration::ZERO))
        .clock(&clock)
        .build()
        .expect("a source");
    std::fs::write(&path, "one").expect("a file");
    source.token().await.expect("a token");
    std::fs::write(&path, "two").expect("a file");
    clock.advance(Duration::from_secs(1));
    let present = source.token().await.expect("a token");
    assert_eq!(present.expose(), "one");
    crate::support::landed(&source).await;
    let next = source.token().await.expect("a token");
    assert_eq!(next.expose(), "two");
    std::fs::remove_file(&path).expect("a file");
}

#[tokio::test]
async fn a_function_is_a_grant() {
    // E5
    let grant = GrantFn::new("vault", |request: GrantRequest| async move {
        let scope = request.parameters().scope_text().unwrap_or_default();
        Ok(TokenResponse::bearer("t").with_scope(scope))
    });
    let request = GrantRequest::new(TokenParameters::new().scope("a"), None);
    let tokens = obtained(&grant, request).await.expect("a token");
    assert_eq!((grant.name(), tokens.scope()), ("vault", Some("a")));
}
