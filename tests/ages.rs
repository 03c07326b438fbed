//! B: which token is used, and when it is refreshed.

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use reqwest_bearer::{
    Error, ErrorKind, Event, RefreshReason, TestClock, Timeouts, TokenOptions, TokenResponse,
    TokenSource,
};
use support::issuer::{Answer, Issuer, failure};
use support::{landed, soon, time_passes, under_way, while_time_passes};
use tokio::task::JoinHandle;

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// The token that a call gets.
async fn token(source: &TokenSource) -> Result<String, ErrorKind> {
    token_with(source, TokenOptions::new()).await
}

async fn token_with(source: &TokenSource, options: TokenOptions) -> Result<String, ErrorKind> {
    match soon(source.token_with(&options)).await {
        Ok(token) => Ok(token.expose().to_owned()),
        Err(error) => Err(error.kind()),
    }
}

/// A call that has begun to wait for its token.
async fn asking(source: &TokenSource) -> JoinHandle<Result<String, ErrorKind>> {
    asking_with(source, TokenOptions::new()).await
}

async fn asking_with(
    source: &TokenSource,
    options: TokenOptions,
) -> JoinHandle<Result<String, ErrorKind>> {
    let source = source.clone();
    under_way(async move { token_with(&source, options).await }).await
}

/// A clock, an issuer of tokens of 600 s, and a source that has the first one.
async fn warm() -> (TestClock, Issuer, TokenSource) {
    warm_for(600.0).await
}

async fn warm_for(lifetime: f64) -> (TestClock, Issuer, TokenSource) {
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.lifetime(lifetime).source(&clock);
    assert_eq!(token(&source).await.as_deref(), Ok("token-1"));
    (clock, issuer, source)
}

#[tokio::test]
async fn a_fresh_token_is_used_without_asking_anybody() {
    // B1
    for (lifetime, fresh) in [(3600.0, 3299.9), (60.0, 47.9), (2.0, 1.59)] {
        let (clock, issuer, source) = warm_for(lifetime).await;
        clock.advance(secs(fresh));
        assert_eq!(token(&source).await.as_deref(), Ok("token-1"));
        assert!(!source.status().is_refreshing());
        assert_eq!(issuer.requests(), 1);
    }
}

#[tokio::test]
async fn in_the_soft_window_one_flight_goes_up_behind_callers_who_do_not_wait() {
    // B3: the calls are done while the flight is held in the air.
    let (clock, issuer, source) = warm().await;
    issuer.hold();
    clock.advance(secs(480.0));
    for _ in 0..100 {
        assert_eq!(token(&source).await.as_deref(), Ok("token-1"));
    }
    issuer.until_requests(2).await;
    assert_eq!(token(&source).await.as_deref(), Ok("token-1"));
    issuer.release();
    landed(&source).await;
    assert_eq!(token(&source).await.as_deref(), Ok("token-2"));
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn jitter_is_drawn_once_for_a_token_and_not_for_a_call() {
    // B2: with a draw for each call, one of a thousand would find the soft moment come as soon as
    // the earliest one is over, whatever the token drew.
    let mut soft_after = Vec::new();
    for _ in 0..20 {
        let (clock, issuer) = (TestClock::new(), Issuer::new());
        let source = TokenSource::builder(issuer.grant())
            .clock(&clock)
            .build()
            .unwrap();
        token(&source).await.unwrap();
        clock.advance(secs(600.0 - 120.0 * 1.2));
        let mut step = 0;
        while issuer.requests() == 1 {
            for _ in 0..1000 {
                token(&source).await.unwrap();
            }
            landed(&source).await;
            clock.advance(secs(1.0));
            step += 1;
        }
        soft_after.push(step);
        assert!(step <= 25, "later than the soft lead");
    }
    soft_after.sort_unstable();
    soft_after.dedup();
    assert!(soft_after.len() > 3, "{soft_after:?} is no jitter");
}

#[tokio::test]
async fn in_the_hard_window_callers_wait_two_hundred_milliseconds_at_most() {
    // B4
    let (clock, issuer, source) = warm().await;
    issuer.hold();
    clock.advance(secs(570.0));
    let waiting = asking(&source).await;
    issuer.until_requests(2).await;
    time_passes(&clock, secs(0.199)).await;
    let joins = asking(&source).await;
    assert!(!waiting.is_finished());
    clock.advance(secs(0.001));
    assert_eq!(soon(waiting).await.unwrap().as_deref(), Ok("token-1"));
    issuer.release();
    assert_eq!(soon(joins).await.unwrap().as_deref(), Ok("token-2"));
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn a_caller_in_the_hard_window_leaves_twenty_milliseconds_before_the_expiry() {
    // B4
    let (clock, issuer, source) = warm().await;
    issuer.hold();
    clock.advance(secs(599.9));
    let waiting = asking(&source).await;
    issuer.until_requests(2).await;
    clock.advance(secs(0.08));
    assert_eq!(soon(waiting).await.unwrap().as_deref(), Ok("token-1"));
    // Closer than that nobody waits at all.
    assert_eq!(token(&source).await.as_deref(), Ok("token-1"));
}

#[tokio::test]
async fn a_caller_that_misses_its_exit_waits_on_as_after_the_expiry() {
    // B4: a busy machine wakes it too late.
    let (clock, issuer, source) = warm().await;
    issuer.hold();
    clock.advance(secs(599.9));
    let waiting = asking(&source).await;
    issuer.until_requests(2).await;
    clock.advance(secs(0.2));
    time_passes(&clock, secs(1.0)).await;
    assert!(!waiting.is_finished());
    issuer.release();
    assert_eq!(soon(waiting).await.unwrap().as_deref(), Ok("token-2"));
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn a_failed_flight_in_the_hard_window_leaves_the_present_token_and_a_pause_without_waiting() {
    // B4, B5
    let (clock, issuer, source) = warm().await;
    issuer.always(failure());
    clock.advance(secs(570.0));
    assert_eq!(token(&source).await.as_deref(), Ok("token-1"));
    assert_eq!(issuer.requests(), 2);
    // The pause: 24 s, since the draw is 0. A call would hang here if it waited for a flight.
    issuer.hold();
    clock.advance(secs(23.9));
    assert_eq!(token(&source).await.as_deref(), Ok("token-1"));
    assert_eq!(issuer.requests(), 2);
    issuer.release();
    clock.advance(secs(0.1));
    assert_eq!(token(&source).await.as_deref(), Ok("token-1"));
    assert_eq!(issuer.requests(), 3);
}

#[tokio::test]
async fn an_expired_token_is_waited_for_and_its_error_is_the_caller_s() {
    // B4
    let (clock, issuer, source) = warm().await;
    issuer.hold();
    clock.advance(secs(600.0));
    let waiting = asking(&source).await;
    issuer.until_requests(2).await;
    time_passes(&clock, secs(5.0)).await;
    assert!(!waiting.is_finished());
    issuer.release();
    assert_eq!(soon(waiting).await.unwrap().as_deref(), Ok("token-2"));
    issuer.then(failure());
    clock.advance(secs(600.0));
    assert_eq!(token(&source).await, Err(ErrorKind::Protocol));
}

#[tokio::test]
async fn after_a_failed_soft_flight_the_pauses_double_up_to_a_quarter_of_the_lead() {
    // B5: tokens of an hour; 24 s, 48 s and 60 s by the draw of 0, and one more at the hard window.
    let (clock, issuer, source) = warm_for(3600.0).await;
    issuer.always(failure());
    clock.advance(secs(3300.0));
    let mut requests = 1;
    let mut left = 300.0;
    for pause in [0.0, 24.0, 48.0, 60.0, 60.0, 60.0] {
        if pause > 0.0 {
            clock.advance(secs(pause - 0.001));
            token(&source).await.unwrap();
            landed(&source).await;
            assert_eq!(issuer.requests(), requests, "before {pause} s had passed");
            clock.advance(secs(0.001));
        }
        left -= pause;
        token(&source).await.unwrap();
        landed(&source).await;
        requests += 1;
        assert_eq!(issuer.requests(), requests, "after {pause} s");
    }
    // 48 s are left: the next pause would end 12 s into the hard window, which begins in 18 s.
    assert_eq!(left, 48.0);
    clock.advance(secs(17.999));
    token(&source).await.unwrap();
    assert_eq!(issuer.requests(), requests);
    clock.advance(secs(0.001));
    token(&source).await.unwrap();
    assert_eq!(issuer.requests(), requests + 1, "as the hard window begins");
}

#[tokio::test]
async fn retry_after_is_a_lower_bound_for_every_pause() {
    // B5: it reaches over the hard window and the expiry.
    let (clock, issuer, source) = warm().await;
    issuer.then(Error::unavailable("busy").with_retry_after(secs(200.0)));
    clock.advance(secs(480.0));
    token(&source).await.unwrap();
    landed(&source).await;
    assert_eq!(issuer.requests(), 2);
    for step in [60.0, 35.0, 24.0] {
        clock.advance(secs(step));
        assert_eq!(token(&source).await.as_deref(), Ok("token-1"));
        landed(&source).await;
    }
    clock.advance(secs(80.9));
    assert_eq!(token(&source).await, Err(ErrorKind::Unavailable));
    assert_eq!(issuer.requests(), 2);
    clock.advance(secs(0.1));
    assert_eq!(token(&source).await.as_deref(), Ok("token-3"));
}

#[tokio::test]
async fn attempts_never_end_while_the_key_is_in_use() {
    // B5, B6: a day of outage, and found again within seconds.
    let (clock, issuer, source) = warm().await;
    issuer.always(failure());
    for _ in 0..1440 {
        clock.advance(secs(60.0));
        let _ = token(&source).await;
        landed(&source).await;
    }
    assert!(issuer.requests() > 1000);
    issuer.mend();
    clock.advance(secs(5.0));
    assert!(token(&source).await.is_ok());
}

#[tokio::test]
async fn without_a_token_a_failure_is_remembered_for_one_second_doubling_to_five() {
    // B6
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.always(failure()).source(&clock);
    for (number, pause) in [1.0, 2.0, 4.0, 5.0, 5.0].into_iter().enumerate() {
        for _ in 0..100 {
            let error = source.token().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol);
            let at = clock.system_time() + secs(pause);
            assert_eq!(error.retry_at(), Some(at));
        }
        assert_eq!(issuer.requests(), number + 1);
        clock.advance(secs(pause - 0.001));
        token(&source).await.unwrap_err();
        assert_eq!(issuer.requests(), number + 1);
        clock.advance(secs(0.001));
    }
    issuer.mend();
    assert!(token(&source).await.is_ok(), "found again within seconds");
}

#[tokio::test]
async fn a_verdict_is_remembered_for_thirty_seconds_at_most() {
    // B6
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer
        .always(Error::rejected("wrong secret"))
        .source(&clock);
    for pause in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
        let error = source.token().await.unwrap_err();
        assert_eq!(error.retry_at(), Some(clock.system_time() + secs(pause)));
        clock.advance(secs(pause));
    }
    assert_eq!(issuer.requests(), 7);
}

#[tokio::test]
async fn the_same_token_again_takes_the_later_expiry() {
    // B7
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let same = TokenResponse::bearer("same").with_expires_in(secs(600.0));
    let source = issuer.always(same).source(&clock);
    token(&source).await.unwrap();
    clock.advance(secs(480.0));
    token(&source).await.unwrap();
    landed(&source).await;
    assert_eq!(issuer.requests(), 2);
    clock.advance(secs(479.0));
    assert_eq!(token(&source).await.as_deref(), Ok("same"));
    landed(&source).await;
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn a_token_that_ends_no_later_is_used_but_counts_as_a_failure() {
    // B7: a session that ends at a fixed time, whatever is refreshed.
    let (clock, issuer, source) = warm().await;
    clock.advance(secs(500.0));
    issuer.lifetime(100.0);
    token(&source).await.unwrap();
    landed(&source).await;
    assert_eq!(token(&source).await.as_deref(), Ok("token-2"));
    // It is soft from the 80th of its 100 s, and the one that follows has 20 s in all: soft after
    // 16 s, a pause of at most a quarter of 4 s.
    clock.advance(secs(80.0));
    issuer.lifetime(20.0);
    token(&source).await.unwrap();
    landed(&source).await;
    assert_eq!(token(&source).await.as_deref(), Ok("token-3"));
    clock.advance(secs(16.0));
    issuer.lifetime(4.0);
    for _ in 0..100 {
        token(&source).await.unwrap();
        landed(&source).await;
    }
    assert_eq!(issuer.requests(), 4);
}

#[tokio::test]
async fn a_token_of_no_use_is_not_asked_for_by_every_call() {
    // B7: the same token, which ends no later: soft and hard.
    let (clock, issuer, source) = warm().await;
    issuer.always(TokenResponse::bearer("token-1").with_expires_in(secs(1.0)));
    for (age, requests) in [(480.0, 2), (110.0, 3)] {
        clock.advance(secs(age));
        for _ in 0..100 {
            assert_eq!(token(&source).await.as_deref(), Ok("token-1"));
            landed(&source).await;
        }
        assert_eq!(issuer.requests(), requests);
    }
}

#[tokio::test]
async fn a_lifetime_counts_from_before_the_request() {
    // B8
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.hold().source(&clock);
    let first = asking(&source).await;
    issuer.until_requests(1).await;
    clock.advance(secs(9.0));
    issuer.release();
    soon(first).await.unwrap().unwrap();
    let expires_at = source.status().expires_at().unwrap();
    assert_eq!(expires_at, clock.system_time() + secs(591.0));
}

#[tokio::test]
async fn clocks_that_stand_still_or_are_set_are_survived() {
    // B8
    let (clock, issuer, source) = warm().await;
    clock.suspend(secs(600.0));
    assert_eq!(token(&source).await.as_deref(), Ok("token-2"));
    clock.set_back(secs(100_000.0));
    assert_eq!(token(&source).await.as_deref(), Ok("token-2"));
    clock.advance(secs(600.0));
    assert_eq!(token(&source).await.as_deref(), Ok("token-3"));
    // Set forward, noticed, and set right again: one refresh.
    clock.suspend(secs(86_400.0));
    assert_eq!(token(&source).await.as_deref(), Ok("token-4"));
    clock.set_back(secs(86_400.0));
    assert_eq!(token(&source).await.as_deref(), Ok("token-4"));
    assert_eq!(issuer.requests(), 4);
}

#[tokio::test]
async fn a_minimum_lifetime_costs_one_flight_for_a_token_and_not_for_a_call() {
    // B9
    let (clock, issuer, source) = warm().await;
    let minimum = |seconds| TokenOptions::new().minimum_lifetime(secs(seconds));
    clock.advance(secs(100.0));
    // 500 s are left.
    let enough = token_with(&source, minimum(500.0)).await;
    assert_eq!(enough.as_deref(), Ok("token-1"));
    let too_short = token_with(&source, minimum(501.0)).await;
    assert_eq!(too_short.as_deref(), Ok("token-2"));
    // One that the server cannot meet.
    for _ in 0..100 {
        token_with(&source, minimum(601.0)).await.unwrap();
    }
    assert_eq!(issuer.requests(), 3);
    // If the server is down, the present token serves.
    clock.advance(secs(100.0));
    issuer.always(failure());
    for _ in 0..100 {
        let present = token_with(&source, minimum(550.0)).await;
        assert_eq!(present.as_deref(), Ok("token-3"));
    }
    assert_eq!(issuer.requests(), 4);
}

#[tokio::test]
async fn a_server_that_repeats_its_token_is_asked_once_for_a_longer_lifetime_too() {
    // B9, B7
    let (clock, issuer, source) = warm().await;
    clock.advance(secs(100.0));
    issuer.always(TokenResponse::bearer("token-1").with_expires_in(secs(500.0)));
    let longer = TokenOptions::new().minimum_lifetime(secs(550.0));
    for _ in 0..10 {
        let present = token_with(&source, longer.clone()).await;
        assert_eq!(present.as_deref(), Ok("token-1"));
    }
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn calls_that_come_while_a_token_is_asked_for_do_not_ask_for_a_longer_one_again() {
    // A1, B9
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.lifetime(60.0).hold().source(&clock);
    let longer = TokenOptions::new().minimum_lifetime(secs(120.0));
    let mut calls = vec![asking_with(&source, longer.clone()).await];
    issuer.until_requests(1).await;
    clock.advance(secs(1.0));
    for _ in 1..100 {
        calls.push(asking_with(&source, longer.clone()).await);
    }
    issuer.release();
    for call in calls {
        assert_eq!(soon(call).await.unwrap().as_deref(), Ok("token-1"));
    }
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn the_wait_for_a_longer_lifetime_ends_while_the_present_token_is_good() {
    // B9
    let (clock, issuer, source) = warm_for(60.0).await;
    issuer.hold();
    clock.advance(secs(40.0));
    let longer = TokenOptions::new().minimum_lifetime(secs(30.0));
    let waiting = asking_with(&source, longer).await;
    issuer.until_requests(2).await;
    clock.advance(secs(19.98));
    assert_eq!(soon(waiting).await.unwrap().as_deref(), Ok("token-1"));
}

#[tokio::test]
async fn a_forced_refresh_is_a_new_token_or_an_error_and_no_way_around_a_pause() {
    // B5, B6
    let (clock, issuer, source) = warm().await;
    let force = || TokenOptions::new().force_refresh();
    assert_eq!(token_with(&source, force()).await.as_deref(), Ok("token-2"));
    issuer.always(failure());
    for _ in 0..100 {
        let forced = token_with(&source, force()).await;
        assert_eq!(forced, Err(ErrorKind::Protocol));
    }
    assert_eq!(issuer.requests(), 3);
    assert_eq!(token(&source).await.as_deref(), Ok("token-2"));
    clock.advance(secs(1.0));
    issuer.mend();
    assert_eq!(token_with(&source, force()).await.as_deref(), Ok("token-4"));
}

#[tokio::test]
async fn the_server_s_hint_starts_the_refresh() {
    // B10
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let hinted = TokenResponse::bearer("hinted")
        .with_expires_in(secs(600.0))
        .with_refresh_in(secs(100.0));
    let source = issuer.then(hinted).source(&clock);
    token(&source).await.unwrap();
    clock.advance(secs(99.9));
    token(&source).await.unwrap();
    assert!(!source.status().is_refreshing());
    clock.advance(secs(0.1));
    assert_eq!(token(&source).await.as_deref(), Ok("hinted"));
    landed(&source).await;
    assert_eq!(token(&source).await.as_deref(), Ok("token-2"));
}

#[tokio::test]
async fn a_spent_token_serves_all_who_wait_for_it_and_the_calls_of_the_next_second() {
    // B11
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.lifetime(0.0).hold().source(&clock);
    let calls = join_all((0..100).map(|_| asking(&source))).await;
    issuer.until_requests(1).await;
    clock.advance(secs(3.0));
    issuer.release();
    for call in calls {
        assert_eq!(soon(call).await.unwrap().as_deref(), Ok("token-1"));
    }
    clock.advance(secs(0.9));
    assert_eq!(token(&source).await.as_deref(), Ok("token-1"));
    clock.advance(secs(0.1));
    assert_eq!(token(&source).await.as_deref(), Ok("token-2"));
}

#[tokio::test]
async fn without_a_lifetime_a_token_serves_until_it_is_refused() {
    // B11
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.then(TokenResponse::bearer("endless")).source(&clock);
    token(&source).await.unwrap();
    clock.advance(secs(1e8));
    let endless = source.token().await.unwrap();
    assert_eq!((endless.expose(), endless.expires_at()), ("endless", None));
    source.invalidate(&endless);
    assert_eq!(token(&source).await.as_deref(), Ok("token-2"));
}

#[tokio::test]
async fn a_token_is_fetched_before_the_first_call_and_a_wrong_secret_is_found_there() {
    // B12
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.then(Error::rejected("wrong secret")).source(&clock);
    let wrong = source.warm_up().await.unwrap_err();
    assert_eq!(wrong.kind(), ErrorKind::Rejected);
    clock.advance(secs(1.0));
    source.warm_up().await.unwrap();
    source.warm_up().await.unwrap();
    assert_eq!(token(&source).await.as_deref(), Ok("token-2"));
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn a_wait_for_a_token_ends_after_thirty_seconds() {
    // B13: the flight's own limits are out of the way.
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer
        .always(Answer::Hang)
        .builder(&clock)
        .timeouts(Timeouts::new().attempt(secs(1000.0)).refresh(secs(1000.0)))
        .build()
        .unwrap();
    let waiting = asking(&source).await;
    issuer.until_requests(1).await;
    time_passes(&clock, secs(29.9)).await;
    // One that begins now has to wait as long again.
    let late = asking(&source).await;
    assert!(!waiting.is_finished());
    clock.advance(secs(0.1));
    assert_eq!(soon(waiting).await.unwrap(), Err(ErrorKind::Timeout));
    assert!(!late.is_finished());
}

#[tokio::test]
async fn a_machine_that_was_suspended_does_not_wait_for_a_moment_that_has_passed() {
    // B6, B8
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.lifetime(7200.0).source(&clock);
    issuer.then(failure().with_retry_after(secs(3600.0)));
    token(&source).await.unwrap_err();
    clock.suspend(secs(3599.0));
    let error = source.token().await.unwrap_err();
    assert!(error.retry_at().is_some_and(|at| at > clock.system_time()));
    clock.suspend(secs(1.0));
    assert_eq!(token(&source).await.as_deref(), Ok("token-2"));
    // And where there is a token that is still good, but refused.
    issuer.then(failure().with_retry_after(secs(3600.0)));
    source.invalidate(&source.token().await.unwrap());
    for _ in 0..2 {
        assert_eq!(token(&source).await.as_deref(), Ok("token-2"));
    }
    assert_eq!(issuer.requests(), 3);
    clock.suspend(secs(3600.0));
    assert_eq!(token(&source).await.as_deref(), Ok("token-4"));
}

#[tokio::test]
async fn a_clock_that_is_set_forward_ends_no_wait_and_no_flight() {
    // B8, B13, E2
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer
        .then(Error::unavailable("down"))
        .hold()
        .source(&clock);
    let waiting = asking(&source).await;
    issuer.until_requests(1).await;
    clock.suspend(secs(86_400.0));
    issuer.release();
    // The pause before the second attempt, which there is time for.
    while_time_passes(&clock, issuer.until_requests(2)).await;
    assert_eq!(soon(waiting).await.unwrap().as_deref(), Ok("token-2"));
}

#[tokio::test]
async fn every_token_request_tells_why_it_was_made() {
    // B3, B4: the reasons of the events.
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let source = issuer
        .builder(&clock)
        .name("orders")
        .on_event(move |event| {
            if let Event::TokenRequest { source, reason, .. } = event {
                assert_eq!(&**source, "orders");
                let _ = sender.send(*reason);
            }
        })
        .build()
        .unwrap();
    token(&source).await.unwrap();
    for age in [480.0, 570.0, 600.0] {
        clock.advance(secs(age));
        token(&source).await.unwrap();
        landed(&source).await;
    }
    let present = source.token().await.unwrap();
    source.invalidate(&present);
    token(&source).await.unwrap();
    token_with(&source, TokenOptions::new().force_refresh())
        .await
        .unwrap();
    for reason in [
        RefreshReason::NoToken,
        RefreshReason::Soft,
        RefreshReason::Hard,
        RefreshReason::Expired,
        RefreshReason::Refusal,
        RefreshReason::Caller,
    ] {
        assert_eq!(soon(events.recv()).await, Some(reason));
    }
}
