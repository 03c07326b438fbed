//! A client of the Model Context Protocol that knows the URL of an MCP server and nothing else: what the
//! conformance suite runs, with that URL as its last argument.
//!
//! It calls without a token, and becomes somebody when the server wants that. As much of the protocol as it
//! takes to be served is in `protocol`.

use std::env;
use std::error::Error;

use reqwest::{Client, Response, StatusCode, Url};
use reqwest_bearer::reqwest_middleware::{ClientBuilder, RequestBuilder};
use reqwest_bearer::{NamedClient, StepUp};
use serde_json::Value;

mod application;
mod context;
mod protocol;
mod user;

use context::Context;
use protocol::Version;
use user::User;

type Outcome<T> = Result<T, Box<dyn Error>>;

/// More sign-ins than that for one call are a loop.
const MOST_SIGN_INS: usize = 2;

#[tokio::main]
async fn main() -> Outcome<()> {
    let server = env::args().next_back().ok_or("the URL of an MCP server")?;
    let version = Version::from_environment();
    let mut caller = Caller {
        server: Url::parse(&server)?,
        version,
        context: Context::from_environment()?,
        user: User::default(),
        known: None,
    };
    for message in version.conversation() {
        let answer = caller.call(&message).await?;
        eprintln!("{}: {answer}", message["method"]);
    }
    Ok(())
}

struct Caller {
    server: Url,
    version: Version,
    context: Context,
    user: User,
    /// As whom it calls.
    known: Option<NamedClient>,
}

impl Caller {
    async fn call(&mut self, message: &Value) -> Outcome<String> {
        let mut sign_ins = 0;
        loop {
            let answer = self.request(message).send().await?;
            let step_up = StepUp::find_in(&answer);
            let is_refused = answer.status() == StatusCode::UNAUTHORIZED || step_up.is_some();
            if !is_refused || sign_ins == MOST_SIGN_INS {
                return Ok(answer.error_for_status()?.text().await?);
            }
            sign_ins += 1;
            self.become_known(&answer, step_up).await?;
        }
    }

    fn request(&self, message: &Value) -> RequestBuilder {
        let request = match &self.known {
            Some(known) => known.post(""),
            None => ClientBuilder::new(Client::new())
                .build()
                .post(self.server.clone()),
        };
        self.version.dress(request, message).json(message)
    }

    async fn become_known(&mut self, answer: &Response, step_up: Option<StepUp>) -> Outcome<()> {
        let api = self.version.resource(&self.server, answer)?;
        let known = match application::client(&self.context, &api).await? {
            Some(application) => application,
            None => self.user.sign_in(&self.context, &api, step_up).await?,
        };
        self.known = Some(known);
        Ok(())
    }
}
