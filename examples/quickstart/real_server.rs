//! The steps that make sense with a real authorization server and a real API.

use std::error::Error as StdError;
use std::time::Instant;

use reqwest_bearer::{Error, ErrorKind, NamedClient, TokenOptions, TokenSource};

use crate::arguments::RealServer;
use crate::calls;
use crate::events::TokenRequests;
use crate::report::{Outcome, Report};

const CALLS: usize = 50;
/// A name that no token can go to, and nobody owns (RFC 2606 section 3).
const ELSEWHERE: &str = "https://elsewhere.invalid/";

pub(crate) async fn run(server: &RealServer, report: &Report) {
    println!("API   {}", server.api);
    report
        .step("Discovery and the first token", warm_up(server, report))
        .await;
    report
        .step("A first call", first_call(server, report))
        .await;
    report
        .step(
            "Fifty calls at once, and no token yet",
            stampede(server, report),
        )
        .await;
    report
        .step(
            "A new token, because the caller says so",
            force(server, report),
        )
        .await;
    report
        .step("A request to another origin", refused(server, report))
        .await;
}

/// A client with an empty cache, as each step begins with, and what its token source tells.
fn client(server: &RealServer) -> Result<(NamedClient, TokenRequests), Error> {
    let token_requests = TokenRequests::default();
    let hook = token_requests.clone();
    let source = TokenSource::builder(server.grant()?)
        .on_event(move |event| hook.hear(event))
        .build()?;
    // An absolute URL is taken as it is, so the API's whole URL may have a query.
    let base_url = server.api.split(['?', '#']).next().unwrap_or_default();
    Ok((NamedClient::new("api", base_url, source)?, token_requests))
}

async fn warm_up(server: &RealServer, report: &Report) -> Outcome {
    let (api, _) = client(server)?;
    let began = Instant::now();
    if let Err(error) = api.source().warm_up().await {
        if let Some(cause) = error.source() {
            report.say(format!("because: {cause}"));
        }
        return Err(error.into());
    }
    let millis = began.elapsed().as_millis();
    let token = api.source().token().await?;
    let scope = token.scope().unwrap_or("not named");
    report.check(true, format!("a token after {millis} ms, scopes: {scope}"));
    Ok(())
}

async fn first_call(server: &RealServer, report: &Report) -> Outcome {
    let (api, token_requests) = client(server)?;
    let status = api.get(&server.api).send().await?.status();
    report.check(status != 401, format!("the API says {status}"));
    let requests = token_requests.count();
    report.check(requests == 1, format!("token requests: {requests}"));
    Ok(())
}

async fn stampede(server: &RealServer, report: &Report) -> Outcome {
    let (api, token_requests) = client(server)?;
    let calls = calls::at_once(&api, &server.api, CALLS).await;
    report.say(format!("answers: {calls}"));
    let requests = token_requests.count();
    report.check(requests == 1, format!("token requests: {requests}"));
    Ok(())
}

async fn force(server: &RealServer, report: &Report) -> Outcome {
    let (api, token_requests) = client(server)?;
    api.source().warm_up().await?;
    let request = api.get(&server.api);
    let request = request.with_extension(TokenOptions::new().force_refresh());
    let status = request.send().await?.status();
    report.check(status != 401, format!("the API says {status}"));
    let requests = token_requests.count();
    report.check(requests == 2, format!("token requests: {requests}"));
    Ok(())
}

async fn refused(server: &RealServer, report: &Report) -> Outcome {
    let (api, token_requests) = client(server)?;
    let kind = match api.get(ELSEWHERE).send().await {
        Ok(response) => return Err(format!("it was sent: {}", response.status()).into()),
        Err(error) => Error::find_in(&error).map(Error::kind),
    };
    let refused = kind == Some(ErrorKind::OriginNotAllowed);
    report.check(refused, "it is refused before it is sent");
    let requests = token_requests.count();
    report.check(requests == 0, format!("token requests: {requests}"));
    Ok(())
}
