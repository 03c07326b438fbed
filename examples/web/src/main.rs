//! A web application whose users sign in at an OpenID provider: `cargo run -p web`.
//!
//! It keeps their tokens in the server, calls an API for them, and renews the tokens until they
//! leave. Three files show how: `application.rs` builds the clients, `gate.rs` says once per request
//! whose tokens the calls use, and `sign_in.rs` puts the tokens in and takes them out. The rest is
//! what every web application has, and a provider and two APIs for those who have none at hand. One of these
//! calls the other for its own callers, by exchanging their tokens: `api/orders.rs` shows how.

mod activity;
mod api;
mod application;
mod fault;
mod gate;
mod open_id;
mod pages;
mod provider;
mod public_url;
mod random;
mod registration;
mod revocation;
mod session;
mod settings;
mod sign_in;

use std::error::Error;
use std::process::ExitCode;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use clap::Parser as _;
use tokio::net::TcpListener;

use crate::api::{orders, stock};
use crate::application::{App, Application};
use crate::gate::gate;
use crate::provider::EmbeddedProvider;
use crate::public_url::PublicUrl;
use crate::settings::{Servers, Settings};

#[tokio::main]
async fn main() -> ExitCode {
    match run(Settings::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings) -> Result<(), Box<dyn Error>> {
    let listener = listen(settings.port).await?;
    let here = format!("http://{}", listener.local_addr()?);
    let public = PublicUrl::new(settings.public_url.as_ref().unwrap_or(&here));
    let servers = match settings.real_servers()? {
        Some(servers) => servers,
        None => embedded_servers(&public).await?,
    };
    let app = Application::new(public, servers.registration, &servers.api, settings.call)?;
    println!("open {} and sign in", app.public.origin());

    tokio::select! {
        outcome = async { axum::serve(listener, pages(app.clone())).await } => outcome?,
        () = app.sweep() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    app.users.shutdown().await?;
    Ok(())
}

async fn listen(port: u16) -> Result<TcpListener, String> {
    TcpListener::bind(("127.0.0.1", port))
        .await
        .map_err(|error| {
            format!("port {port} cannot be had ({error}); take another one with --port")
        })
}

/// A provider and two APIs on free ports, for this one application, which calls the first of them.
async fn embedded_servers(public: &PublicUrl) -> Result<Servers, Box<dyn Error>> {
    let provider = EmbeddedProvider::start(public.at("/signed-in")).await?;
    let stock = stock::start(&provider).await?;
    let api = orders::start(&provider, &stock).await?;
    println!(
        "no --issuer was given, so a provider runs at {}",
        provider.issuer()
    );
    Ok(Servers {
        registration: provider.registration(),
        api,
    })
}

fn pages(app: App) -> Router {
    Router::new()
        .route("/", get(pages::home::home))
        .route("/orders", get(pages::orders::orders))
        .route("/revoke", post(revocation::revoke))
        .route("/sign-in", get(sign_in::begin))
        .route("/signed-in", get(sign_in::finish))
        .route("/sign-out", post(sign_in::sign_out))
        .route("/style.css", get(pages::style))
        .fallback(pages::not_found)
        .layer(from_fn_with_state(app.clone(), gate))
        .with_state(app)
}
