//! The token is fetched when it is first needed.

use std::time::Duration;

use crate::report::{Outcome, Report};
use crate::steps::World;

pub(crate) async fn run(world: &World, report: &Report) -> Outcome {
    world
        .server
        .issue(Duration::from_secs(3600), Duration::ZERO);
    let before = world.server.token_requests();
    let (orders, _) = world.client()?;

    let response = orders.get("orders").send().await?;
    let status = response.status();
    let text = response.text().await?;
    report.check(status == 200, format!("the API says {status}: {text}"));

    let again = orders.get("orders").send().await?;
    report.check(
        again.status() == 200,
        "the next call too, with the same token",
    );

    let requests = world.server.token_requests() - before;
    report.check(requests == 1, format!("token requests: {requests}"));
    Ok(())
}
