//! A worker of which many run: they share the application's own token through Redis, so that all of
//! them together make one token request for each lifetime. Ends with Ctrl-C.
//!
//! ```text
//! export REDIS=redis://localhost STORE_KEYS=2025-06:$(openssl rand -base64 32)
//! export ISSUER=https://login.example.com CLIENT_ID=worker CLIENT_SECRET=...
//! export ORDERS=https://orders.example.com/v1
//! for number in 1 2 3; do cargo run --example shared_worker --features redis,rustls & done
//! ```

#![expect(
    clippy::disallowed_methods,
    reason = "an example runs in real time; only the crate has an injected clock"
)]

use std::env;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, EncryptionKeys, Event, NamedClient, Protection,
    RedisStore, TokenEndpoint, TokenSource,
};

/// The token of all workers. Counts the token requests that this one made.
fn source(own_requests: &Arc<AtomicUsize>) -> Result<TokenSource, Box<dyn Error>> {
    // Whoever can read Redis does not get the token; several keys with commas between them are read.
    let keys: EncryptionKeys = env::var("STORE_KEYS")?.parse()?;
    let store = RedisStore::open(env::var("REDIS")?, Protection::encrypted(keys))?;
    let secret = env::var("CLIENT_SECRET")?;
    let client = ClientAuthentication::client_secret_basic(env::var("CLIENT_ID")?, secret);
    let endpoint = TokenEndpoint::discover(env::var("ISSUER")?, client)?;
    let own_requests = own_requests.clone();
    let source = TokenSource::builder(ClientCredentials::new(endpoint))
        .store(store)
        .on_event(move |event| {
            if let Event::TokenRequest { .. } = event {
                own_requests.fetch_add(1, Ordering::Relaxed);
            }
        })
        .build()?;
    Ok(source)
}

/// What the worker does each time. Nothing here knows of tokens, or of the other workers.
async fn work(orders: &NamedClient) -> Result<(), Box<dyn Error>> {
    let open = orders.get("open").send().await?;
    open.error_for_status()?.text().await?;
    Ok(())
}

async fn keep_working(orders: &NamedClient, calls: &mut usize) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1));
    loop {
        ticks.tick().await;
        match work(orders).await {
            Ok(()) => *calls += 1,
            Err(error) => eprintln!("trying again in a second: {error}"),
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let own_requests = Arc::default();
    let source = source(&own_requests)?;
    let orders = NamedClient::new("orders", env::var("ORDERS")?, &source)?;
    let mut calls = 0;
    // Beside the work, not between two calls, so that Ctrl-C ends one that waits for a server too.
    tokio::select! {
        () = keep_working(&orders, &mut calls) => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    source.shutdown().await?;
    let own_requests = own_requests.load(Ordering::Relaxed);
    println!("{calls} calls, {own_requests} token requests of my own");
    Ok(())
}
