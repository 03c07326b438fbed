//! What the crate says to an authorization server, and what it makes of the answers: on the wire,
//! through the public API.

#![expect(clippy::expect_used, reason = "a helper of a test may fail it")]

use reqwest_bearer::{ClientAuthentication, TokenEndpoint, TokenRequest};
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

#[path = "../support/mod.rs"]
mod support;

mod answers;
mod authentication;
mod dialects;
mod discovery;
mod grants;
mod places;
mod request_shape;
mod revocation;
mod settings;
mod translation;

/// A token answer without anything that is not needed.
fn token(text: &str) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(serde_json::json!({
        "access_token": text,
        "token_type": "Bearer",
        "expires_in": 3600,
    }))
}

/// A server whose `/token` gives this answer.
async fn server_with(answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/token"))
        .respond_with(answer)
        .mount(&server)
        .await;
    server
}

fn endpoint(server: &MockServer, authentication: ClientAuthentication) -> TokenEndpoint {
    TokenEndpoint::new(format!("{}/token", server.uri()), authentication).expect("settings")
}

fn public_client(server: &MockServer) -> TokenEndpoint {
    endpoint(server, ClientAuthentication::none("me"))
}

fn request() -> TokenRequest {
    TokenRequest::new("g")
}

async fn received(server: &MockServer) -> Vec<Request> {
    server.received_requests().await.expect("recording")
}

async fn count_at(server: &MockServer, place: &str) -> usize {
    let requests = received(server).await;
    requests
        .iter()
        .filter(|request| request.url.path() == place)
        .count()
}

/// Body and `Authorization` header of the one request so far.
async fn only_request(server: &MockServer) -> (String, Option<String>) {
    let mut requests = received(server).await;
    assert_eq!(requests.len(), 1);
    parts(requests.remove(0))
}

fn parts(request: Request) -> (String, Option<String>) {
    let header = request.headers.get("authorization");
    let header = header.map(|value| value.to_str().expect("ASCII").to_owned());
    (String::from_utf8(request.body).expect("UTF-8"), header)
}
