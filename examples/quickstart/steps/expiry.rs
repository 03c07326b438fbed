//! Tokens are renewed ahead of their expiry, behind the backs of the calls.

use std::time::{Duration, SystemTime};

use reqwest_bearer::RefreshReason;

use crate::calls;
use crate::report::{Outcome, Report};
use crate::steps::World;

/// Two tokens expire within the time that the calls take.
const LIFETIME: Duration = Duration::from_secs(4);
const SPAN: Duration = Duration::from_secs(8);
/// How long each token request takes. Up to 0.15 of the lifetime, no call has to wait for one.
const DELAY: Duration = Duration::from_millis(300);
const TICK: Duration = Duration::from_millis(20);

pub(crate) async fn run(world: &World, report: &Report) -> Outcome {
    world.server.issue(LIFETIME, DELAY);
    let refusals = world.api.refusals();
    let (orders, token_requests) = world.client()?;
    orders.source().warm_up().await?;
    report.say(format!(
        "tokens live {LIFETIME:?}, getting one takes {DELAY:?}; a call every {TICK:?} for {SPAN:?}"
    ));

    let calls = calls::steadily(&orders, "orders", TICK, SystemTime::now() + SPAN).await;
    report.check(calls.all_are(200), format!("answers: {calls}"));

    let refusals = world.api.refusals() - refusals;
    let text = format!("calls with an expired token: {refusals}");
    report.check(refusals == 0, text);

    let slowest = calls.slowest();
    let text = format!("the slowest call took {} ms", slowest.as_millis());
    report.check(slowest < DELAY, text);

    let all = token_requests.count();
    let behind = token_requests.because(RefreshReason::Soft);
    let text = format!("token requests: {all}, of which in the background: {behind}");
    report.check(behind == 2 && all == 3, text);
    Ok(())
}
