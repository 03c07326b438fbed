//! A: one refresh at a time, whoever asks, goes away, fails or hangs.

mod support;

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::join_all;
use reqwest_bearer::{
    Error, ErrorKind, Event, RefreshReason, TestClock, Timeouts, TokenOptions, TokenResponse,
    TokenSource,
};
use support::api::Api;
use support::authorization_server::AuthorizationServer;
use support::issuer::{Answer, Issuer, failure};
use support::{soon, time_passes, under_way};
use tokio::task::JoinSet;

type Asking = tokio::task::JoinHandle<Result<String, ErrorKind>>;

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn scope(scope: &str) -> TokenOptions {
    TokenOptions::new().scope(scope)
}

/// A task that asks for a token, and has begun to wait for it.
async fn asking(source: &TokenSource) -> Asking {
    asking_with(source, TokenOptions::new()).await
}

async fn asking_with(source: &TokenSource, options: TokenOptions) -> Asking {
    let source = source.clone();
    under_way(async move {
        match source.token_with(&options).await {
            Ok(token) => Ok(token.expose().to_owned()),
            Err(error) => Err(error.kind()),
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_calls_on_an_empty_cache_make_one_token_request() {
    // A1: over sockets, as a user has it.
    let server = AuthorizationServer::start().await;
    let api = Api::start(&server).await;
    let client = api.client(server.client_credentials());
    let mut calls = JoinSet::new();
    for _ in 0..1000 {
        let client = client.clone();
        calls.spawn(async move { client.get("x").send().await.unwrap().status() });
    }
    let answers = calls.join_all().await;
    assert!(answers.iter().all(|status| *status == 200));
    assert_eq!(server.token_requests(), 1);
    let carried = api.tokens();
    assert_eq!(carried.len(), 1000);
    assert!(carried.iter().all(|token| token == "access-1"));
}

#[tokio::test]
async fn a_refresh_outlives_the_callers_that_wait_for_it() {
    // A2
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.hold().source(&clock);
    let calls = join_all((0..10).map(|_| asking(&source))).await;
    issuer.until_requests(1).await;
    for call in calls {
        call.abort();
        assert!(soon(call).await.unwrap_err().is_cancelled());
    }
    issuer.release();
    assert_eq!(source.token().await.unwrap().expose(), "token-1");
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn a_caller_s_time_out_ends_only_its_own_wait() {
    // A2, B13
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let builder = issuer.hold().builder(&clock);
    let source = builder
        .timeouts(Timeouts::new().wait(secs(5.0)))
        .build()
        .unwrap();
    let early = asking(&source).await;
    issuer.until_requests(1).await;
    time_passes(&clock, secs(3.0)).await;
    let late = asking(&source).await;
    clock.advance(secs(2.0));
    assert_eq!(soon(early).await.unwrap(), Err(ErrorKind::Timeout));
    issuer.release();
    assert_eq!(soon(late).await.unwrap().as_deref(), Ok("token-1"));
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn a_thousand_waiters_share_one_failure() {
    // A3
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.hold().always(failure()).source(&clock);
    let calls = join_all((0..1000).map(|_| asking(&source))).await;
    issuer.until_requests(1).await;
    issuer.release();
    for call in calls {
        assert_eq!(soon(call).await.unwrap(), Err(ErrorKind::Protocol));
    }
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn a_panic_in_a_grant_is_an_error_and_locks_nothing() {
    // A4
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.then(Answer::Panic).source(&clock);
    let calls = [asking(&source).await, asking(&source).await];
    for call in calls {
        assert_eq!(soon(call).await.unwrap(), Err(ErrorKind::Panicked));
    }
    // B6: remembered like any failure.
    assert_eq!(
        soon(asking(&source).await).await.unwrap(),
        Err(ErrorKind::Panicked)
    );
    assert_eq!(issuer.requests(), 1);
    clock.advance(secs(1.0));
    assert_eq!(
        soon(asking(&source).await).await.unwrap().as_deref(),
        Ok("token-2")
    );
}

#[test]
fn a_waiter_on_another_runtime_starts_anew_when_the_flight_s_runtime_is_gone() {
    // A4
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.then(Answer::Hang).source(&clock);
    let first = tokio::runtime::Runtime::new().unwrap();
    let second = tokio::runtime::Runtime::new().unwrap();
    let early = first.spawn({
        let source = source.clone();
        async move { source.token().await.map(drop) }
    });
    first.block_on(issuer.until_requests(1));
    let waiter = second.block_on(asking(&source));
    drop(early);
    first.shutdown_background();
    let token = second.block_on(waiter).unwrap();
    assert_eq!(token.as_deref(), Ok("token-2"));
}

#[test]
fn a_call_outside_a_runtime_is_an_error_also_while_a_flight_is_under_way() {
    // A4: it could not wait without a timer.
    let issuer = Issuer::new();
    let source = TokenSource::from(issuer.hold().grant());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asking = source.clone();
    runtime.spawn(async move { asking.token().await.map(drop) });
    runtime.block_on(issuer.until_requests(1));
    let call = source.token().now_or_never().unwrap();
    assert_eq!(call.unwrap_err().kind(), ErrorKind::Settings);
}

#[tokio::test]
async fn a_hanging_flight_delays_no_other_key() {
    // A5
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.then(Answer::Hang).source(&clock);
    let hanging = asking_with(&source, scope("a")).await;
    issuer.until_requests(1).await;
    let other = soon(asking_with(&source, scope("b")).await).await.unwrap();
    assert_eq!(other.as_deref(), Ok("token-2"));
    hanging.abort();
}

#[tokio::test]
async fn flights_with_one_refresh_token_run_in_turn_each_with_what_the_one_before_left() {
    // A6, D8
    let server = AuthorizationServer::start().await;
    server.rotate(true);
    let source = TokenSource::from(server.refresh_token_grant());
    let scopes: Vec<String> = (0..20).map(|number| format!("s{number}")).collect();
    let calls = scopes.iter().map(|name| asking_with(&source, scope(name)));
    let calls = join_all(calls).await;
    for (name, call) in scopes.iter().zip(calls) {
        let token = soon(call).await.unwrap().unwrap();
        assert_eq!(server.scope_of(&token).as_deref(), Some(name.as_str()));
    }
    assert_eq!(server.token_requests(), 20);
    assert_eq!(server.reuses(), 0, "a refresh token was spent twice");
}

#[tokio::test]
async fn a_repetition_takes_its_turn_for_a_refresh_token_that_came_meanwhile() {
    // A6
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let first = TokenResponse::bearer("b").with_refresh_token("r-1");
    issuer.then(Error::unavailable("down")).then(first);
    let source = issuer.source(&clock);
    let repeated = asking_with(&source, scope("a")).await;
    // Its second attempt would come after 0.16 s.
    issuer.until_requests(1).await;
    source.token_with(&scope("b")).await.unwrap();
    issuer.hold();
    let other = asking_with(&source, scope("c")).await;
    issuer.until_requests(3).await;
    time_passes(&clock, secs(1.0)).await;
    assert_eq!(issuer.requests(), 3);
    issuer.release();
    for call in [other, repeated] {
        assert!(soon(call).await.unwrap().is_ok());
    }
    assert_eq!(issuer.requests(), 4);
}

#[tokio::test]
async fn tokens_for_other_scopes_resources_audiences_and_parameters_never_mix() {
    // A6, D8
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.source(&clock);
    let kinds = [
        TokenOptions::new(),
        TokenOptions::new().scope("x"),
        TokenOptions::new().resource("x"),
        TokenOptions::new().audience("x"),
        TokenOptions::new().extra("x", "y"),
    ];
    for _ in 0..2 {
        for (number, options) in kinds.iter().enumerate() {
            let token = source.token_with(options).await.unwrap();
            assert_eq!(token.expose(), format!("token-{}", number + 1));
        }
    }
    assert_eq!(issuer.requests(), kinds.len());
}

#[tokio::test]
async fn a_refusal_of_a_token_that_is_kept_no_more_costs_no_other_its_place() {
    // C1, F9
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.builder(&clock).cache_capacity(1).build().unwrap();
    let left = source.token_with(&scope("a")).await.unwrap();
    source.token_with(&scope("b")).await.unwrap();
    source.invalidate(&left);
    source.token_with(&scope("b")).await.unwrap();
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn an_idle_token_leaves_an_hour_after_its_expiry_although_there_is_room() {
    // F9: it is looked for while others come.
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let (told, mut reasons) = tokio::sync::mpsc::unbounded_channel();
    let source = issuer
        .builder(&clock)
        .on_event(move |event| {
            if let Event::TokenRequest { reason, .. } = event {
                told.send(*reason).unwrap();
            }
        })
        .build()
        .unwrap();
    source.token_with(&scope("idle")).await.unwrap();
    clock.advance(secs(3000.0));
    source.token_with(&scope("recent")).await.unwrap();
    clock.advance(secs(1201.0));
    for number in 0..1_000 {
        let other = scope(&format!("s{number}"));
        source.token_with(&other).await.unwrap();
        reasons.recv().await.unwrap();
    }
    for (name, expected) in [
        ("idle", RefreshReason::NoToken),
        ("recent", RefreshReason::Expired),
    ] {
        while reasons.try_recv().is_ok() {}
        source.token_with(&scope(name)).await.unwrap();
        assert_eq!(reasons.recv().await, Some(expected), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_token_requests_run_at_once_and_no_more() {
    // A7
    let server = AuthorizationServer::start().await;
    server.hold();
    let source = TokenSource::from(server.client_credentials());
    let calls = (0..100).map(|number| asking_with(&source, scope(&format!("s{number}"))));
    let calls = join_all(calls).await;
    server.until_held(16).await;
    server.release_one_by_one(100).await;
    for call in calls {
        assert!(soon(call).await.unwrap().is_ok());
    }
    assert_eq!(server.most_at_once(), 16);
    assert_eq!(server.token_requests(), 100);
}

#[tokio::test]
async fn time_in_the_queue_is_not_counted_as_time_of_the_attempt() {
    // A5, E2: the second flight waits for its turn for longer than any attempt may take.
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let refresh = TokenResponse::bearer("start")
        .with_refresh_token("r-1")
        .with_expires_in(secs(600.0));
    let source = issuer
        .then(refresh)
        .builder(&clock)
        .timeouts(
            Timeouts::new()
                .attempt(secs(100.0))
                .refresh(secs(120.0))
                .wait(secs(1000.0)),
        )
        .build()
        .unwrap();
    source.token().await.unwrap();
    issuer.hold();
    let first = asking_with(&source, scope("a")).await;
    issuer.until_requests(2).await;
    let second = asking_with(&source, scope("b")).await;
    time_passes(&clock, secs(90.0)).await;
    issuer.release_one();
    assert!(soon(first).await.unwrap().is_ok());
    issuer.until_requests(3).await;
    time_passes(&clock, secs(90.0)).await;
    issuer.release_one();
    assert_eq!(soon(second).await.unwrap().as_deref(), Ok("token-3"));
}
