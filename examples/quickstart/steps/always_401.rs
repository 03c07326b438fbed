//! An API that refuses every token: its answers are passed on, and the authorization server is
//! left alone.

use std::time::Duration;

use reqwest_bearer::Error;

use crate::calls;
use crate::report::{Outcome, Report};
use crate::steps::World;

/// The first token, and five refreshes by refusal in 30 s.
const MOST_TOKEN_REQUESTS: usize = 6;

pub(crate) async fn run(world: &World, report: &Report) -> Outcome {
    world
        .server
        .issue(Duration::from_secs(3600), Duration::ZERO);
    let before = world.server.token_requests();
    let (orders, _) = world.client()?;

    let response = orders.get("broken").send().await?;
    let status = response.status();
    let text = response.text().await?;
    report.check(
        status == 401,
        format!("the API's answer is passed on: {status}, {text}"),
    );

    let calls = calls::at_once(&orders, "broken", 500).await;
    report.check(calls.all_are(401), format!("500 more at once: {calls}"));
    for _ in 0..500 {
        let status = orders.get("broken").send().await?.status();
        if status != 401 {
            report.check(false, format!("one of the next 500: {status}"));
        }
    }
    let last = orders.get("broken").send().await?;
    let reason = last.extensions().get::<Error>();
    let text = match reason {
        Some(reason) => format!("after 500 more, one by one, the response says: {reason}"),
        None => "the response does not say why there was no resend".to_owned(),
    };
    report.check(last.status() == 401 && reason.is_some(), text);

    let requests = world.server.token_requests() - before;
    report.check(
        requests <= MOST_TOKEN_REQUESTS,
        format!("token requests for 1002 refused calls: {requests}"),
    );
    Ok(())
}
