//! What only code can say is added to a client from a configuration before it is built.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use reqwest_bearer::{MemoryStore, TestClock, reqwest};

use crate::server::{Server, wrong};

const TEXT: &str = r#"
    [servers.login]
    token_url = "URL/token"
    client_id = "me"
    authentication = "none"

    [clients.orders]
    base_url = "URL/orders"
    server = "login"
    timeout = "20 s"

    [clients.billing]
    base_url = "URL/billing"
    server = "login"
"#;

#[tokio::test]
async fn hooks_a_store_and_an_http_client_come_from_code_by_name() {
    // J3
    let server = Server::start().await;
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = requests.clone();
    let store = MemoryStore::new();
    let shared = store.clone();
    let apis = server
        .config(TEXT)
        .builder()
        .http(|| reqwest::Client::builder().user_agent("worker/1"))
        .server("login", |server| {
            server.request_headers(|| {
                let mut headers = HeaderMap::new();
                headers.insert("x-gateway", HeaderValue::from_static("7"));
                headers
            })
        })
        .source("orders", |source| source.store(shared))
        .client("orders", move |client| {
            client.http(reqwest::Client::builder().user_agent("orders/1"))
        })
        .source("billing", move |source| {
            source.on_event(move |_| {
                counted.fetch_add(1, Ordering::SeqCst);
            })
        })
        .build()
        .unwrap();
    apis.get("orders").unwrap().get("1").send().await.unwrap();
    apis.get("billing").unwrap().get("1").send().await.unwrap();
    let seen = server.take();
    let header = |at: usize, name| {
        seen[at]
            .headers
            .get(name)
            .map(|value| value.to_str().unwrap())
    };
    assert_eq!(seen.len(), 4);
    assert_eq!(header(0, "x-gateway"), Some("7"));
    assert_eq!(header(1, "user-agent"), Some("orders/1"));
    assert_eq!(header(3, "user-agent"), Some("worker/1"));
    assert!(requests.load(Ordering::SeqCst) > 0);
    // Another process with the same store finds the token there.
    let again = server
        .config(TEXT)
        .builder()
        .source("orders", |source| source.store(store));
    again
        .build()
        .unwrap()
        .get("orders")
        .unwrap()
        .get("1")
        .send()
        .await
        .unwrap();
    let paths: Vec<_> = server.take().into_iter().map(|seen| seen.path).collect();
    assert_eq!(paths, ["/orders/1"]);
}

#[tokio::test]
async fn a_test_sets_the_clock_of_everything() {
    // J3
    let server = Server::start().await;
    let clock = TestClock::new();
    let apis = server.config(TEXT).builder().clock(&clock).build().unwrap();
    let orders = apis.get("orders").unwrap();
    orders.get("1").send().await.unwrap();
    orders.get("2").send().await.unwrap();
    clock.advance(Duration::from_secs(2 * 3600));
    orders.get("3").send().await.unwrap();
    let paths: Vec<_> = server.take().into_iter().map(|seen| seen.path).collect();
    assert_eq!(
        paths,
        ["/token", "/orders/1", "/orders/2", "/token", "/orders/3"]
    );
}

#[tokio::test]
async fn an_addition_to_what_is_not_there_is_told() {
    // J3
    let server = Server::start().await;
    let builder = || server.config(TEXT).builder();
    for (builder, key) in [
        (builder().server("logn", |server| server), "servers.logn"),
        (builder().source("order", |source| source), "sources.order"),
        (builder().client("order", |client| client), "clients.order"),
        (
            builder().user_sessions("orders", |users| users),
            "sources.orders",
        ),
        (
            builder().exchanged_tokens("orders", |tokens| tokens),
            "sources.orders",
        ),
        (
            builder().user_client("orders", |client| client),
            "clients.orders",
        ),
        (
            builder().exchange_client("orders", |client| client),
            "clients.orders",
        ),
    ] {
        let told = wrong(builder.build());
        assert!(
            told.starts_with(&format!("{key}: the program adds something by `")),
            "{told}"
        );
    }
    let mut builder = builder();
    let error = builder.token_endpoint("logn").unwrap_err();
    assert_eq!(
        error.to_string(),
        "servers: the program asks for a server that is none of `servers`: `login`; did you mean `login`?"
    );
    // One that is made already takes nothing more.
    builder.token_endpoint("login").unwrap();
    let told = wrong(builder.server("login", |server| server).build());
    assert!(
        told.starts_with("servers.login: the program adds"),
        "{told}"
    );
}

#[tokio::test]
async fn a_server_that_is_wanted_ahead_and_is_wrong_is_told_then_and_when_the_clients_are_built() {
    // J3
    let server = Server::start().await;
    let text = TEXT.replace("client_id = \"me\"", "client_id = \"\"");
    let mut builder = server.config(&text).builder();
    let ahead = builder.token_endpoint("login").unwrap_err().to_string();
    assert!(
        ahead.starts_with("servers.login.client_id: the client id is empty"),
        "{ahead}"
    );
    assert_eq!(wrong(builder.build()), ahead);
}
