//! B9 and B13: requests that can be sent once only, and requests that cannot wait for ever.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of a test may fail it"
)]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Extensions;
use reqwest::{Body, Request, Response};
use reqwest_bearer::{Error, ErrorKind, NamedClient, TestClock, Timeouts};
use reqwest_middleware::{Middleware, Next};
use support::api::{Api, refusal};
use support::issuer::{Issuer, failure};
use support::unfinished_api::{self, UnfinishedApi};
use support::witness::Witness;
use support::{landed, soon, time_passes, under_way, while_time_passes};

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// A body that can be read once only.
fn stream() -> Body {
    let parts: [Result<&str, std::io::Error>; 1] = [Ok("once")];
    Body::wrap_stream(futures_util::stream::iter(parts))
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_twice_waits_for_the_new_token_in_the_soft_window() {
    // B9
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let api = Api::that_takes(|_| true).await;
    let client = api.client(issuer.source(&clock));
    client.post("x").body(stream()).send().await.unwrap();
    clock.advance(secs(480.0));
    issuer.hold();
    // Any other call goes on with the present token, and has started the flight.
    client.post("x").body("again").send().await.unwrap();
    issuer.until_requests(2).await;
    let once = under_way(client.post("x").body(stream()).send()).await;
    time_passes(&clock, secs(1.0)).await;
    assert!(!once.is_finished());
    issuer.release();
    soon(once).await.unwrap().unwrap();
    assert_eq!(api.tokens(), ["token-1", "token-1", "token-2"]);
}

#[tokio::test]
async fn such_a_body_leaves_with_the_present_token_when_the_hard_window_begins() {
    // B9: a server that hangs must not hold it back until there is no good token left.
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let api = Api::that_takes(|_| true).await;
    let client = api.client(issuer.lifetime(60.0).source(&clock));
    client.post("x").body("warm").send().await.unwrap();
    clock.advance(secs(48.0));
    issuer.hold();
    let once = under_way(client.post("x").body(stream()).send()).await;
    issuer.until_requests(2).await;
    clock.advance(secs(9.0));
    soon(once).await.unwrap().unwrap();
    assert_eq!(api.tokens(), ["token-1", "token-1"]);
}

#[tokio::test]
async fn if_the_new_token_does_not_come_the_present_one_serves_for_such_a_body() {
    // B9: the flight fails, and then none may start.
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let api = Api::that_takes(|_| true).await;
    let source = issuer.source(&clock);
    let client = api.client(&source);
    client.get("x").send().await.unwrap();
    clock.advance(secs(480.0));
    issuer.always(failure());
    for _ in 0..3 {
        client.post("x").body(stream()).send().await.unwrap();
        landed(&source).await;
    }
    assert_eq!(api.tokens(), ["token-1"; 4]);
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn such_a_body_leaves_with_the_present_token_before_that_one_expires() {
    // B9, B4: in the hard window it waits longer than others, and not until there is nothing left.
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let api = Api::that_takes(|_| true).await;
    let builder = issuer.builder(&clock);
    let long = Timeouts::new()
        .attempt(secs(1000.0))
        .refresh(secs(1000.0))
        .wait(secs(1000.0));
    let client = api.client(builder.timeouts(long).build().unwrap());
    client.get("x").send().await.unwrap();
    clock.advance(secs(570.0));
    issuer.hold();
    let once = under_way(client.post("x").body(stream()).send()).await;
    issuer.until_requests(2).await;
    time_passes(&clock, secs(9.0)).await;
    assert!(!once.is_finished());
    clock.advance(secs(20.98));
    soon(once).await.unwrap().unwrap();
    assert_eq!(api.tokens(), ["token-1"; 2]);
}

/// Keeps the time-outs of all sendings.
#[derive(Clone, Default)]
struct SeenTimeouts(Arc<Mutex<Vec<Option<Duration>>>>);

impl SeenTimeouts {
    /// Those of a sending and of its resend, which both have one.
    fn of_both(&self) -> (Duration, Duration) {
        match self.0.lock().unwrap()[..] {
            [Some(first), Some(resend)] => (first, resend),
            ref others => panic!("{others:?}"),
        }
    }
}

#[async_trait::async_trait]
impl Middleware for SeenTimeouts {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        self.0.lock().unwrap().push(request.timeout().copied());
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn a_time_out_of_the_request_bounds_the_wait_for_its_token() {
    // B13
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let api = Api::that_takes(|_| true).await;
    let client = api.client(issuer.hold().source(&clock));
    let call = under_way(client.get("x").timeout(secs(5.0)).send()).await;
    issuer.until_requests(1).await;
    time_passes(&clock, secs(4.99)).await;
    assert!(!call.is_finished());
    clock.advance(secs(0.01));
    let error = soon(call).await.unwrap().unwrap_err();
    assert_eq!(Error::find_in(&error).unwrap().kind(), ErrorKind::Timeout);
    assert!(api.seen().is_empty());
}

#[tokio::test]
async fn what_waiting_took_is_missing_from_the_time_of_the_sending_and_of_the_resend() {
    // B13
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let api = Api::that_takes(|_| true).await;
    let timeouts = SeenTimeouts::default();
    let client = NamedClient::builder("api", api.url(), issuer.hold().source(&clock))
        .after(timeouts.clone())
        .build()
        .unwrap();
    api.then(refusal());
    let call = under_way(client.get("x").timeout(secs(100.0)).send()).await;
    issuer.until_requests(1).await;
    clock.advance(secs(3.0));
    api.hold();
    issuer.release();
    api.until_held(1).await;
    issuer.hold();
    api.release();
    issuer.until_requests(2).await;
    clock.advance(secs(4.0));
    issuer.release();
    assert_eq!(soon(call).await.unwrap().unwrap().status(), 200);
    let seen = timeouts.0.lock().unwrap().clone();
    assert_eq!(seen, [Some(secs(97.0)), Some(secs(93.0))]);
    // Without one, none is set.
    client.get("x").send().await.unwrap();
    assert_eq!(timeouts.0.lock().unwrap().last(), Some(&None));
}

#[tokio::test]
async fn what_draining_the_refusal_took_is_missing_from_the_time_of_the_resend() {
    // B13, C9. The newer token is there already, so the only wait is that for the draining.
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.source(&clock);
    let api = UnfinishedApi::start("token-1", unfinished_api::Body::Missing).await;
    let (timeouts, witness) = (SeenTimeouts::default(), Witness::new());
    let client = NamedClient::builder("api", api.url(), &source)
        .after(timeouts.clone())
        .after(witness.clone())
        .build()
        .unwrap();
    let call = tokio::spawn(client.get("x").timeout(secs(100.0)).send());
    soon(api.until_seen(1)).await;
    source.invalidate(&source.token().await.unwrap());
    source.warm_up().await.unwrap();
    api.answer();
    witness.until_answers(1).await;
    let answer = while_time_passes(&clock, call).await;
    assert_eq!(answer.unwrap().unwrap().status(), 200);
    let (first, resend) = timeouts.of_both();
    assert_eq!(first, secs(100.0));
    assert!((secs(99.65)..=secs(99.75)).contains(&resend), "{resend:?}");
}

#[tokio::test]
async fn draining_takes_half_of_the_time_that_is_left_at_most() {
    // B13, C8: once the answer is drained, there is no way back to it.
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.builder(&clock).build().unwrap();
    let api = UnfinishedApi::start("token-1", unfinished_api::Body::Missing).await;
    let (timeouts, witness) = (SeenTimeouts::default(), Witness::new());
    let client = NamedClient::builder("api", api.url(), &source)
        .after(timeouts.clone())
        .after(witness.clone())
        .build()
        .unwrap();
    let call = tokio::spawn(client.get("x").timeout(secs(100.0)).send());
    soon(api.until_seen(1)).await;
    source.invalidate(&source.token().await.unwrap());
    source.warm_up().await.unwrap();
    clock.advance(secs(99.6));
    api.answer();
    witness.until_answers(1).await;
    // What is left is real time for the resend, and whether that is enough is not the question.
    let _ = while_time_passes(&clock, call).await.unwrap();
    let (first, resend) = timeouts.of_both();
    assert_eq!(first, secs(100.0));
    assert!((secs(0.16)..=secs(0.2)).contains(&resend), "{resend:?}");
}

#[tokio::test]
async fn a_refusal_whose_time_is_up_is_passed_on_without_a_resend() {
    // B13, C8
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let api = Api::that_takes(|_| true).await;
    let client = api.client(issuer.source(&clock));
    client.get("x").send().await.unwrap();
    api.then(refusal());
    issuer.hold();
    let call = tokio::spawn(client.get("x").timeout(secs(5.0)).send());
    issuer.until_requests(2).await;
    clock.advance(secs(5.0));
    let response = soon(call).await.unwrap().unwrap();
    assert_eq!(response.status(), 401);
    let reason = response.extensions().get::<Error>().unwrap();
    assert_eq!(reason.kind(), ErrorKind::Timeout);
    assert_eq!(api.seen().len(), 2);
}

#[tokio::test]
async fn a_drain_that_takes_longer_than_its_timer_does_not_turn_the_refusal_into_an_error_of_ours()
{
    // C8, B13: timers of a machine under load come late.
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.source(&clock);
    let api = UnfinishedApi::start("token-1", unfinished_api::Body::Missing).await;
    let witness = Witness::new();
    let client = NamedClient::builder("unfinished", api.url(), &source)
        .after(witness.clone())
        .build()
        .unwrap();
    let call = tokio::spawn(client.get("x").timeout(secs(10.0)).send());
    api.until_seen(1).await;
    // The newer token is there already, so the only wait is that for the draining.
    source.invalidate(&source.token().await.unwrap());
    source.warm_up().await.unwrap();
    api.answer();
    witness.until_answers(1).await;
    clock.advance(secs(11.0));
    let response = soon(call).await.unwrap().unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(api.tokens(), ["token-1", "token-2"]);
}
