//! A test as a user of the crate writes one: the code under test gets its client handed in, and the API
//! and the authorization server are `wiremock`'s.

use std::time::Duration;

use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, ConstantToken, NamedClient, TestClock, TokenEndpoint,
    TokenSource, reqwest_middleware,
};
use wiremock::matchers::{bearer_token, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

/// What is under test: it knows of no tokens.
async fn open_orders(orders: &NamedClient) -> reqwest_middleware::Result<String> {
    let answer = orders.get("open").send().await?;
    Ok(answer.error_for_status()?.text().await?)
}

async fn api_that_takes(token: &str) -> MockServer {
    let api = MockServer::start().await;
    Mock::given(path("/v1/open"))
        .and(bearer_token(token))
        .respond_with(ResponseTemplate::new(200).set_body_string("42"))
        .mount(&api)
        .await;
    api
}

fn base_url(api: &MockServer) -> String {
    format!("{}/v1", api.uri())
}

#[tokio::test]
async fn a_test_without_an_authorization_server_takes_a_constant_token() {
    // B11: it is used as long as the API takes it.
    let api = api_that_takes("test-token").await;
    let token = ConstantToken::new("test-token").unwrap();
    let orders = NamedClient::new("orders", base_url(&api), token).unwrap();
    assert_eq!(open_orders(&orders).await.unwrap(), "42");
}

#[tokio::test]
async fn a_test_of_an_expiry_moves_the_clock_and_waits_for_nothing() {
    // B1: the second call comes after the end of the first token.
    let api = api_that_takes("issued").await;
    let login = MockServer::start().await;
    let body = r#"{"access_token":"issued","token_type":"Bearer","expires_in":600}"#;
    Mock::given(method("POST"))
        .and(path("/token"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(body, "application/json"))
        .expect(2)
        .mount(&login)
        .await;
    let clock = TestClock::new();
    let client = ClientAuthentication::client_secret_basic("worker", "secret");
    let endpoint = TokenEndpoint::new(format!("{}/token", login.uri()), client).unwrap();
    let source = TokenSource::builder(ClientCredentials::new(endpoint)).clock(&clock);
    let source = source.build().unwrap();
    let orders = NamedClient::new("orders", base_url(&api), source).unwrap();

    open_orders(&orders).await.unwrap();
    open_orders(&orders).await.unwrap();
    clock.advance(Duration::from_secs(600));
    assert_eq!(open_orders(&orders).await.unwrap(), "42");
}
