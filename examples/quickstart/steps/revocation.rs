//! A token dies before its time: one refresh, and each refused request is sent once more.

use std::time::Duration;

use crate::calls;
use crate::report::{Outcome, Report};
use crate::steps::World;

const CALLS: usize = 200;

pub(crate) async fn run(world: &World, report: &Report) -> Outcome {
    // Slow enough that all calls have been refused when the new token comes.
    let (hour, delay) = (Duration::from_secs(3600), Duration::from_millis(300));
    world.server.issue(hour, delay);
    let (orders, _) = world.client()?;
    orders.source().warm_up().await?;

    world.server.revoke_all();
    let (before, refusals) = (world.server.token_requests(), world.api.refusals());
    let status = orders.get("orders").send().await?.status();
    let requests = world.server.token_requests() - before;
    let refusals = world.api.refusals() - refusals;
    report.check(
        status == 200 && refusals == 1 && requests == 1,
        format!("one call: refused {refusals} x, token requests: {requests}, then {status}"),
    );

    world.server.revoke_all();
    let (before, refusals) = (world.server.token_requests(), world.api.refusals());
    let calls = calls::at_once(&orders, "orders", CALLS).await;
    let requests = world.server.token_requests() - before;
    let refusals = world.api.refusals() - refusals;
    report.check(
        calls.all_are(200) && refusals == CALLS && requests == 1,
        format!("{CALLS} at once: refused {refusals} x, token requests: {requests}, then {calls}"),
    );
    Ok(())
}
