//! The seven steps, and the servers that they happen on.

mod always_401;
mod expiry;
mod first_call;
mod origins;
mod outage;
mod revocation;
mod stampede;

use std::io;

use reqwest_bearer::{Error, NamedClient, TokenSource};

use crate::api::{Api, Elsewhere};
use crate::authorization_server::AuthorizationServer;
use crate::events::TokenRequests;
use crate::report::Report;
use crate::sockets::AtMost;

/// All that runs on loopback.
pub(crate) struct World {
    server: AuthorizationServer,
    api: Api,
    elsewhere: Elsewhere,
}

impl World {
    pub(crate) async fn start() -> io::Result<Self> {
        let server = AuthorizationServer::start().await?;
        let elsewhere = Elsewhere::start().await?;
        let api = Api::start(server.books(), &elsewhere).await?;
        Ok(Self {
            server,
            api,
            elsewhere,
        })
    }

    /// A client with an empty cache, as each step begins with, and what its token source tells.
    fn client(&self) -> Result<(NamedClient, TokenRequests), Error> {
        let token_requests = TokenRequests::default();
        let hook = token_requests.clone();
        let source = TokenSource::builder(self.server.grant()?)
            .name("orders")
            .on_event(move |event| hook.hear(event))
            .build()?;
        let orders = NamedClient::builder("orders", self.api.base_url(), source)
            .after(AtMost::new(100))
            .build()?;
        Ok((orders, token_requests))
    }
}

pub(crate) async fn run(world: &World, report: &Report) {
    println!("Authorization server   {}", world.server.issuer());
    println!("API                    {}", world.api.base_url());
    println!("A server elsewhere     {}", world.elsewhere.url());

    let work = first_call::run(world, report);
    report.step("A first call", work).await;

    let work = stampede::run(world, report);
    report
        .step("A thousand calls at once, and no token yet", work)
        .await;

    let work = expiry::run(world, report);
    report.step("Tokens expire, and no call waits", work).await;

    let work = revocation::run(world, report);
    report
        .step("Tokens are revoked before they expire", work)
        .await;

    let work = outage::run(world, report);
    report.step("The authorization server is down", work).await;

    let work = always_401::run(world, report);
    report.step("An API that always says 401", work).await;

    let work = origins::run(world, report);
    report
        .step("A redirect to another origin, and a request to one", work)
        .await;
}
