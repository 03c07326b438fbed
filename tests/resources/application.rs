//! A named client for an application, of an API's URL alone.

use reqwest_bearer::{
    ClientAuthentication, Error, ErrorKind, MemoryStore, NamedClient, ProtectedResource,
    ResourceCredentials, TokenOptions, TokenParameters, TokenSource,
};
use serde_json::json;

use crate::server::{Server, WELL_KNOWN};
use crate::support::http_server::Reply;

fn secret(id: &str) -> ClientAuthentication {
    ClientAuthentication::client_secret_basic(id, "s3cr3t")
}

#[tokio::test]
async fn a_named_client_is_made_of_an_api_s_url_alone() {
    // I5
    let server = Server::both().await;
    server.reply("/v1/orders", Reply::new(200).body("all"));
    let issuer = server.url("");
    let api = server.url("/v1");
    let orders = NamedClient::for_resource("orders", api, move |asked| {
        (asked == issuer).then(|| secret("me"))
    });
    let orders = orders.unwrap();
    assert_eq!(server.connections(), 0);
    let answer = orders.get("orders").send().await.unwrap();
    assert_eq!(answer.text().await.unwrap(), "all");
    let call = &server.seen("/v1/orders")[0];
    assert_eq!(call.token().as_deref(), Some("token"));
    let asked = &server.seen("/token")[0];
    assert_eq!(
        asked.field("grant_type").as_deref(),
        Some("client_credentials")
    );
    assert_eq!(asked.field("scope").as_deref(), Some("read write"));
    // As the API writes it.
    assert_eq!(asked.field("resource"), Some(server.url("/v1")));
}

#[tokio::test]
async fn what_the_program_asks_for_comes_before_what_the_api_names() {
    // I5
    let server = Server::both().await;
    let grant = ResourceCredentials::new(&server.api(), |_| Some(secret("me")))
        .scope("read")
        .parameters(
            TokenParameters::new()
                .resource("urn:orders")
                .extra("tenant", "7"),
        );
    let orders = NamedClient::new("orders", server.url("/v1"), grant).unwrap();
    orders.source().token().await.unwrap();
    let asked = &server.seen("/token")[0];
    for (field, value) in [
        ("scope", "read"),
        ("resource", "urn:orders"),
        ("tenant", "7"),
    ] {
        assert_eq!(asked.field(field).as_deref(), Some(value));
    }
}

#[tokio::test]
async fn a_secret_goes_to_the_server_that_it_is_for_and_to_no_other() {
    // I5
    let (api, own, evil) = (
        Server::start().await,
        Server::both().await,
        Server::both().await,
    );
    api.is_api_of(&[evil.url(""), own.url("")]);
    api.reply("/v1", Reply::new(200));
    let resource = api.api();
    let issuer = own.url("");
    let client_at = move |asked: &str| (asked == issuer).then(|| secret("me"));
    let grant = ResourceCredentials::new(&resource, client_at);
    let orders = NamedClient::new("orders", api.url("/v1"), grant).unwrap();
    orders.get("").send().await.unwrap();
    assert_eq!(own.seen("/token").len(), 1);
    assert_eq!(evil.connections(), 0);

    // The metadata changes under way.
    api.is_api_of(&[evil.url("")]);
    resource.renew().await.unwrap();
    let anew = TokenOptions::new().force_refresh();
    let error = orders.source().token_with(&anew).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert!(error.to_string().contains("no client"), "{error}");
    assert_eq!(evil.connections(), 0);
    assert_eq!(own.seen("/token").len(), 1);
}

#[tokio::test]
async fn an_api_that_is_down_when_the_program_starts_costs_calls_and_no_start() {
    // I5
    let server = Server::start().await;
    let orders = NamedClient::for_resource("orders", server.url("/v1"), |_| Some(secret("me")));
    let error = orders.unwrap().get("42").send().await.unwrap_err();
    let error = Error::find_in(&error).unwrap();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(error.token_source(), Some("resource_credentials"));
    let message = error.to_string();
    assert!(message.contains("the API has no metadata"), "{message}");
}

#[tokio::test]
async fn tokens_of_two_apis_are_apart_in_a_store_and_those_of_one_are_shared() {
    // I5, D8
    let server = Server::both().await;
    let metadata =
        json!({ "resource": server.url("/v2"), "authorization_servers": [server.url("")] });
    server.json(&format!("{WELL_KNOWN}/v2"), &metadata);
    let store = MemoryStore::new();
    for (path, requests) in [("/v1", 1), ("/v2", 2), ("/v1", 2), ("/v2", 2)] {
        let api = ProtectedResource::new(server.url(path)).unwrap();
        let grant = ResourceCredentials::new(&api, |_| Some(secret("me")));
        let source = TokenSource::builder(grant).store(store.clone());
        source.build().unwrap().token().await.unwrap();
        assert_eq!(server.seen("/token").len(), requests, "{path}");
    }
}
