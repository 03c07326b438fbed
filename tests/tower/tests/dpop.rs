//! Tokens that are bound to a key, through the layer.

#![expect(clippy::unwrap_used, reason = "what cannot go on in a test may end it")]

#[path = "../../dpop/proof.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod proof;
#[path = "../../dpop/server.rs"]
#[allow(dead_code, reason = "these tests use a part of it")]
mod server;
#[path = "../../support/mod.rs"]
mod support;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reqwest_bearer::{BearerTokenLayer, BearerTokenService, ErrorKind};
use tower::{Layer as _, ServiceExt as _};

use server::{Servers, refusal};
use support::soon;

type Whole = Full<Bytes>;
type Bearing = BearerTokenService<Client<HttpConnector, Whole>, Whole>;

fn client(servers: &Servers) -> Bearing {
    let layer = BearerTokenLayer::builder(servers.source())
        .origin(servers.api.url(""))
        .over_service_without_redirects()
        .build();
    let http = Client::builder(TokioExecutor::new()).build_http();
    layer.unwrap().layer(http)
}

async fn post(client: &Bearing, servers: &Servers) -> u16 {
    let request = Request::post(servers.api.url("/x?q=1")).body(Whole::from("body"));
    let answer = soon(client.clone().oneshot(request.unwrap())).await;
    answer.unwrap().status().as_u16()
}

#[tokio::test]
async fn each_sending_has_a_proof_of_its_own_and_one_more_for_a_nonce() {
    // J2, H5, H6
    let servers = Servers::start().await;
    servers.api.demand("n-1");
    let client = client(&servers);
    for _ in 0..2 {
        assert_eq!(post(&client, &servers).await, 200);
    }
    servers.assert_no_faults();
    assert_eq!(servers.issuer.requests(), 1);
    assert_eq!(servers.api.tokens(), ["access-1"; 3]);
    let nonces = servers.api.nonces();
    assert_eq!(nonces, [None, Some("n-1".into()), Some("n-1".into())]);
    assert!(servers.api.seen().iter().all(|seen| seen.body == "body"));
}

#[tokio::test]
async fn a_refused_token_is_replaced_by_one_of_the_same_key() {
    // J2, H5
    let servers = Servers::start().await;
    let client = client(&servers);
    servers.api.then(refusal());
    assert_eq!(post(&client, &servers).await, 200);
    assert_eq!(servers.api.tokens(), ["access-1", "access-2"]);
    servers.assert_no_faults();
}

#[tokio::test]
async fn a_layer_over_a_service_of_which_nothing_is_known_is_an_error() {
    // J2, D3, H7
    let servers = Servers::start().await;
    let builder = || BearerTokenLayer::builder(servers.source()).origin(servers.api.url(""));
    let error = builder().build::<Whole>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(error.to_string().contains("over_service_without_redirects"));
    let cared_for = builder().over_service_without_redirects();
    let error = cared_for.header("x-token").build::<Whole>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
}
