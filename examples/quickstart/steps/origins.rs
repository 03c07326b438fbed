//! The token stays at the origin that it is for.

use std::time::Duration;

use reqwest_bearer::{Error, ErrorKind};

use crate::report::{Outcome, Report};
use crate::steps::World;

pub(crate) async fn run(world: &World, report: &Report) -> Outcome {
    world
        .server
        .issue(Duration::from_secs(3600), Duration::ZERO);
    let elsewhere = &world.elsewhere;
    let (orders, _) = world.client()?;

    let response = orders.get("moved").send().await?;
    let (status, tokens) = (response.status(), elsewhere.tokens());
    report.check(
        status == 200 && elsewhere.requests() == 1 && tokens == 0,
        format!("a redirect to another port is followed: {status}, tokens that arrived: {tokens}"),
    );

    // reqwest alone would send the token along with the second hop.
    let response = orders.get("moved-twice").send().await?;
    let (status, tokens) = (response.status(), elsewhere.tokens());
    report.check(
        status == 302 && elsewhere.requests() == 2 && tokens == 0,
        format!("a further one within that port is not: {status}, tokens that arrived: {tokens}"),
    );

    let before = elsewhere.requests();
    let error = match orders.get(elsewhere.url()).send().await {
        Ok(response) => return Err(format!("it was sent: {}", response.status()).into()),
        Err(error) => Error::find_in(&error).cloned().ok_or("another error")?,
    };
    let more = elsewhere.requests() - before;
    report.check(
        error.kind() == ErrorKind::OriginNotAllowed && more == 0,
        format!(
            "a request to that port: {:?}, requests that arrived: {more}",
            error.kind()
        ),
    );
    report.say(error.to_string());
    Ok(())
}
