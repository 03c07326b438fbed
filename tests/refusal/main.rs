//! C: what happens when an API refuses a token. Real sockets; time is a test's.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

mod answer;
mod claims;
mod guard;
mod healing;
mod outer_retry;
mod resend_count;
mod rule;

use std::fmt::Debug;
use std::io;
use std::time::Duration;

use futures_util::stream;
use reqwest::{Body, Response};
use reqwest_bearer::{Error, ErrorKind, TestClock, TokenSource};
use support::api::Api;
use support::authorization_server::AuthorizationServer;
use tokio::task::JoinHandle;

/// An authorization server, an API that takes its tokens, and a source between them.
struct Parts {
    server: AuthorizationServer,
    api: Api,
    clock: TestClock,
    source: TokenSource,
}

impl Parts {
    async fn new() -> Self {
        let server = AuthorizationServer::start().await;
        let api = Api::start(&server).await;
        let clock = TestClock::new();
        let source = source(&server, &clock);
        Self {
            server,
            api,
            clock,
            source,
        }
    }

    /// The answer to a call of the API.
    async fn call(&self) -> Response {
        call(&self.api, &self.source).await
    }
}

fn source(server: &AuthorizationServer, clock: &TestClock) -> TokenSource {
    TokenSource::builder(server.client_credentials())
        .clock(clock)
        .jitter(0.0)
        .build()
        .unwrap()
}

async fn call(api: &Api, source: &TokenSource) -> Response {
    api.client(source).get("x").send().await.unwrap()
}

/// Waits for the condition, which holds while the call is away; a call that is back already fails
/// the test instead of hanging it.
async fn until<T: Debug>(condition: impl Future<Output = ()>, call: &mut JoinHandle<T>) {
    tokio::select! {
        () = condition => {}
        early = call => panic!("the call is back: {early:?}"),
    }
}

/// A body that can be read once only.
fn stream_body() -> Body {
    let pieces: [io::Result<&str>; 2] = [Ok("some"), Ok("thing")];
    Body::wrap_stream(stream::iter(pieces))
}

/// Why a 401 was passed on.
fn reason(response: &Response) -> Option<ErrorKind> {
    response.extensions().get::<Error>().map(Error::kind)
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}
