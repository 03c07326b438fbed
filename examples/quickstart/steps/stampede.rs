//! A thousand callers find the cache empty: one token request, and all of them share its token.

use std::time::Duration;

use crate::calls;
use crate::report::{Outcome, Report};
use crate::steps::World;

const CALLS: usize = 1000;

pub(crate) async fn run(world: &World, report: &Report) -> Outcome {
    // Slow enough that all of them are waiting when the token comes.
    let (hour, delay) = (Duration::from_secs(3600), Duration::from_millis(300));
    world.server.issue(hour, delay);
    let before = world.server.token_requests();
    let (orders, _) = world.client()?;

    let calls = calls::at_once(&orders, "orders", CALLS).await;
    report.check(calls.all_are(200), format!("answers: {calls}"));

    let requests = world.server.token_requests() - before;
    report.check(requests == 1, format!("token requests: {requests}"));
    Ok(())
}
