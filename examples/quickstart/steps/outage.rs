//! The authorization server is down: calls go on while the token lives, then fail fast, and a
//! mended server is found again.

use std::time::{Duration, SystemTime};

use reqwest_bearer::{Error, ErrorKind};

use crate::calls;
use crate::report::{Outcome, Report};
use crate::steps::World;

const LIFETIME: Duration = Duration::from_secs(4);
const TICK: Duration = Duration::from_millis(20);

pub(crate) async fn run(world: &World, report: &Report) -> Outcome {
    world.server.issue(LIFETIME, Duration::ZERO);
    let (orders, token_requests) = world.client()?;
    orders.source().warm_up().await?;
    let status = orders.source().status();
    let expires_at = status.expires_at().ok_or("the token has no end")?;

    world.server.go_down().await;
    report.say("the server is down; the token that is there has 4 s left");
    // In the last 200 ms calls wait for a new token, and leave with the old one when it has 20 ms
    // left: a busy machine may be later than that.
    let nearly = expires_at - Duration::from_millis(400);
    let calls = calls::steadily(&orders, "orders", TICK, nearly).await;
    report.check(calls.all_are(200), format!("until it expires: {calls}"));

    let attempts = token_requests.failed();
    let text = format!("attempts to get a new one meanwhile: {attempts}");
    report.check((1..=12).contains(&attempts), text);

    until(expires_at).await;
    let error = match orders.get("orders").send().await {
        Ok(response) => return Err(format!("without a token: {}", response.status()).into()),
        Err(error) => Error::find_in(&error).cloned().ok_or("another error")?,
    };
    let text = format!("after that: {:?}, {error}", error.kind());
    report.check(error.kind() == ErrorKind::Unavailable, text);

    let before = token_requests.count();
    let calls = calls::at_once(&orders, "orders", 100).await;
    let attempts = token_requests.count() - before;
    let (count, slowest) = (calls.count(), calls.slowest().as_millis());
    report.check(
        attempts == 0,
        format!(
            "{count} more calls: token requests: {attempts}, the same error after {slowest} ms"
        ),
    );

    world.server.come_back().await?;
    let retry_at = error.retry_at().ok_or("the error does not say when")?;
    until(retry_at).await;
    let status = orders.get("orders").send().await?.status();
    let text = format!("the server is back, and at the time that the error named: {status}");
    report.check(status == 200, text);
    Ok(())
}

/// Lets time pass.
async fn until(moment: SystemTime) {
    let left = moment.duration_since(SystemTime::now());
    tokio::time::sleep(left.unwrap_or_default()).await;
}
