//! Servers that want their requests in another shape: JSON, other names, other headers.

use std::sync::atomic::{AtomicU32, Ordering};

use reqwest_bearer::reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest_bearer::{
    ClientAuthentication, Error, ErrorKind, TokenEndpoint, TokenEndpointBuilder, TokenKind,
    TokenParameters, TokenRequest,
};
use serde_json::{Value, json};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::{received, request, server_with, token};

const SECRET: &str = "p:w \"d%/ü";

/// What token endpoint and revocation endpoint are sent.
async fn sent(
    authentication: ClientAuthentication,
    set: impl FnOnce(TokenEndpointBuilder) -> TokenEndpointBuilder,
) -> Result<Vec<Request>, Error> {
    let server = server_with(token("t")).await;
    Mock::given(path("/revoke"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    let endpoint = endpoint(&server, authentication, set)?;
    endpoint.request_token(request()).await?;
    endpoint.revoke("r", TokenKind::RefreshToken).await?;
    Ok(received(&server).await)
}

fn endpoint(
    server: &MockServer,
    authentication: ClientAuthentication,
    set: impl FnOnce(TokenEndpointBuilder) -> TokenEndpointBuilder,
) -> Result<TokenEndpoint, Error> {
    let builder = TokenEndpoint::builder(authentication)
        .token_url(format!("{}/token", server.uri()))
        .revocation_url(format!("{}/revoke", server.uri()));
    set(builder).build()
}

fn as_is(builder: TokenEndpointBuilder) -> TokenEndpointBuilder {
    builder
}

fn text(request: &Request) -> &str {
    std::str::from_utf8(&request.body).expect("UTF-8")
}

fn object(request: &Request) -> Value {
    serde_json::from_slice(&request.body).expect("JSON")
}

fn header<'a>(request: &'a Request, name: &str) -> Option<&'a str> {
    request.headers.get(name)?.to_str().ok()
}

#[tokio::test]
async fn requests_are_json_where_a_server_reads_nothing_else() {
    // K26
    let client = ClientAuthentication::client_secret_post("me", SECRET);
    let sent = sent(client, TokenEndpointBuilder::json_requests)
        .await
        .expect("a token");
    for (request, expected) in sent.iter().zip([
        json!({ "grant_type": "g", "client_id": "me", "client_secret": SECRET }),
        json!({
            "token": "r", "token_type_hint": "refresh_token",
            "client_id": "me", "client_secret": SECRET,
        }),
    ]) {
        assert_eq!(object(request), expected);
        assert_eq!(header(request, "content-type"), Some("application/json"));
        assert_eq!(header(request, "accept"), Some("application/json"));
    }
}

#[tokio::test]
async fn a_json_request_has_its_secret_in_the_header_where_it_is_basic() {
    // K26: Notion
    let client = ClientAuthentication::client_secret_basic("me", "s");
    let sent = sent(client, TokenEndpointBuilder::json_requests)
        .await
        .expect("a token");
    assert_eq!(object(&sent[0]), json!({ "grant_type": "g" }));
    assert_eq!(header(&sent[0], "authorization"), Some("Basic bWU6cw=="));
}

#[tokio::test]
async fn id_and_secret_go_by_the_names_that_the_server_has_for_them() {
    // K26
    let client = ClientAuthentication::client_secret_post("me", "s")
        .client_id_field("client_key")
        .client_secret_field("client_password");
    let requests = sent(client, as_is).await.expect("a token");
    assert_eq!(
        text(&requests[0]),
        "grant_type=g&client_key=me&client_password=s"
    );
    assert!(text(&requests[1]).ends_with("&client_key=me&client_password=s"));
    for client in [
        ClientAuthentication::none("me"),
        ClientAuthentication::client_assertion("me", "a.b.c"),
        ClientAuthentication::client_secret_basic("me", "s").client_id_in_body(),
    ] {
        let requests = sent(client.client_id_field("appid"), as_is)
            .await
            .expect("a token");
        assert!(text(&requests[0]).contains("&appid=me"));
        assert!(!text(&requests[0]).contains("client_id"));
    }
}

#[tokio::test]
async fn the_client_id_is_in_the_body_too_where_it_is_wanted_there() {
    // K26
    for client in [
        ClientAuthentication::client_secret_basic("me", "s"),
        ClientAuthentication::client_secret_basic_raw("me", "s"),
    ] {
        for (client, expected) in [
            (client.clone(), "grant_type=g"),
            (client.client_id_in_body(), "grant_type=g&client_id=me"),
        ] {
            let requests = sent(client, as_is).await.expect("a token");
            assert_eq!(text(&requests[0]), expected);
            let in_revocation = text(&requests[1]).contains("&client_id=me");
            assert_eq!(in_revocation, expected.contains("client_id"));
            assert!(header(&requests[1], "authorization").is_some());
        }
    }
    let client = ClientAuthentication::client_secret_post("me", "s").client_id_in_body();
    let requests = sent(client, as_is).await.expect("a token");
    assert_eq!(
        text(&requests[0]),
        "grant_type=g&client_id=me&client_secret=s"
    );
}

#[tokio::test]
async fn headers_are_asked_for_at_each_request() {
    // K26
    let count = AtomicU32::new(0);
    let requests = sent(ClientAuthentication::none("me"), |builder| {
        builder.request_headers(move || {
            let number = count.fetch_add(1, Ordering::SeqCst);
            let mut headers = HeaderMap::new();
            headers.insert("traceparent", number.into());
            headers.append("x-api-key", HeaderValue::from_static("a"));
            headers.append("x-api-key", HeaderValue::from_static("b"));
            headers.insert("accept", HeaderValue::from_static("application/vnd.x+json"));
            headers
        })
    })
    .await
    .expect("a token");
    for (request, number) in requests.iter().zip(["0", "1"]) {
        assert_eq!(header(request, "traceparent"), Some(number));
        let keys = request.headers.get_all("x-api-key").iter().count();
        assert_eq!(keys, 2);
        let accepted: Vec<_> = request.headers.get_all("accept").iter().collect();
        assert_eq!(accepted, ["application/vnd.x+json"]);
    }
}

#[tokio::test]
async fn a_header_that_cannot_be_set_sends_nothing_and_is_named() {
    // K26, D6
    for (name, client) in [
        ("connection", ClientAuthentication::none("me")),
        ("host", ClientAuthentication::none("me")),
        ("content-type", ClientAuthentication::none("me")),
        ("content-length", ClientAuthentication::none("me")),
        ("transfer-encoding", ClientAuthentication::none("me")),
        (
            "authorization",
            ClientAuthentication::client_secret_basic("me", "s"),
        ),
    ] {
        let server = server_with(token("t")).await;
        let endpoint = endpoint(&server, client, |builder| {
            let name = HeaderName::from_static(name);
            builder.request_headers(move || {
                let value = HeaderValue::from_static("canary");
                HeaderMap::from_iter([(name.clone(), value)])
            })
        });
        let endpoint = endpoint.expect("settings");
        let error = endpoint.request_token(request()).await.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Settings, "{name}");
        let shown = format!("{error} {error:?}");
        assert!(
            shown.contains(name) && shown.contains("`request_headers`"),
            "{shown}"
        );
        assert!(!shown.contains("canary"), "{shown}");
        assert!(received(&server).await.is_empty());
    }
}

#[tokio::test]
async fn a_hook_for_headers_that_panics_sends_nothing_and_is_named() {
    // K26
    let server = server_with(token("t")).await;
    let endpoint = endpoint(&server, ClientAuthentication::none("me"), |builder| {
        builder.request_headers(|| panic!("canary"))
    });
    let endpoint = endpoint.expect("settings");
    let error = endpoint.request_token(request()).await.expect_err("panic");
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(error.to_string().contains("`request_headers`"), "{error}");
    assert!(received(&server).await.is_empty());
}

#[test]
fn a_field_name_that_cannot_work_is_an_error_when_it_is_given() {
    // K26
    let post = || ClientAuthentication::client_secret_post("me", "canary");
    let basic = || ClientAuthentication::client_secret_basic("me", "canary");
    for (client, said) in [
        (post().client_id_field(""), "`client_id_field` is empty"),
        (post().client_id_field("a b"), "`client_id_field` is empty"),
        (post().client_id_field("grant_type"), "`client_id_field`"),
        (post().client_id_field("scope"), "`client_id_field`"),
        (post().client_id_field("token"), "`client_id_field`"),
        (post().client_id_field("client_secret"), "`client_id_field`"),
        (
            post().client_secret_field("refresh_token"),
            "`client_secret_field`",
        ),
        (
            post().client_id_field("x").client_secret_field("x"),
            "are the same",
        ),
        (basic().client_id_field("x"), "`client_id_in_body`"),
        (basic().client_secret_field("x"), "`client_secret_post`"),
        (
            ClientAuthentication::none("me").client_secret_field("x"),
            "`client_secret_post`",
        ),
    ] {
        let built = TokenEndpoint::new("https://a.b/t", client);
        let error = built.expect_err(said);
        assert_eq!(error.kind(), ErrorKind::Settings);
        assert!(error.to_string().contains(said), "{error}");
        assert!(!format!("{error:?}").contains("canary"));
    }
}

#[tokio::test]
async fn a_parameter_of_the_same_name_as_a_field_of_the_client_is_not_sent_twice() {
    // K26, D8
    let server = server_with(token("t")).await;
    let client = ClientAuthentication::client_secret_post("me", "s").client_id_field("client_key");
    let endpoint = endpoint(&server, client, as_is).expect("settings");
    let parameters = TokenParameters::new().extra("client_key", "other");
    let request = TokenRequest::new("g").parameters(&parameters);
    let error = endpoint.request_token(request).await.expect_err("twice");
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(error.to_string().contains("`client_key`"), "{error}");
    assert!(received(&server).await.is_empty());
}
