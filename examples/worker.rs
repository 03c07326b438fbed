//! A worker that calls two APIs with the application's own token, until Ctrl-C.
//!
//! ```text
//! ISSUER=https://login.example.com CLIENT_ID=worker CLIENT_SECRET=... \
//! ORDERS=https://orders.example.com/v1 BILLING=https://billing.example.com \
//! cargo run --example worker --features rustls
//! ```

#![expect(
    clippy::disallowed_methods,
    reason = "an example runs in real time; only the crate has an injected clock"
)]

use std::env;
use std::error::Error;
use std::time::Duration;

use reqwest_bearer::reqwest::Client;
use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, NamedClient, NamedClients, TokenEndpoint, TokenSource,
};

/// Everything that can be wrong with the settings is found here, before the first call.
fn apis() -> Result<NamedClients, Box<dyn Error>> {
    let secret = env::var("CLIENT_SECRET")?;
    let client = ClientAuthentication::client_secret_basic(env::var("CLIENT_ID")?, secret);
    let endpoint = TokenEndpoint::discover(env::var("ISSUER")?, client)?;
    let source = TokenSource::from(ClientCredentials::new(endpoint)); // one token for both APIs
    let http = || Client::builder().timeout(Duration::from_secs(20));
    let clients = NamedClients::new([
        NamedClient::builder("orders", env::var("ORDERS")?, &source)
            .http(http())
            .build()?,
        NamedClient::builder("billing", env::var("BILLING")?, &source)
            .http(http())
            .build()?,
    ])?;
    Ok(clients)
}

/// What the worker does each time. Nothing here knows of tokens.
async fn work(apis: &NamedClients) -> Result<(), Box<dyn Error>> {
    let orders = apis.get("orders")?.get("open").send().await?;
    let orders = orders.error_for_status()?.text().await?;
    let invoice = apis.get("billing")?.post("invoices").body(orders);
    invoice.send().await?.error_for_status()?;
    Ok(())
}

async fn keep_working(apis: &NamedClients) {
    let mut ticks = tokio::time::interval(Duration::from_secs(10));
    loop {
        ticks.tick().await;
        if let Err(error) = work(apis).await {
            eprintln!("trying again in 10 s: {error}");
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let apis = apis()?;
    apis.warm_up().await?; // a wrong secret ends the program here, not in the first call
    // Beside the work, not between two calls, so that Ctrl-C ends one that waits for a server too.
    tokio::select! {
        () = keep_working(&apis) => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    apis.shutdown().await?;
    Ok(())
}
