//! Tests under tokio's paused time: without sockets it is the crate's clock as well, and with sockets it has to
//! be held.

#![expect(clippy::disallowed_methods, reason = "tokio's time is what is tested")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use reqwest_bearer::{Error, ErrorKind, GrantFn, NamedClient, TokenResponse, TokenSource};
use reqwest_bearer_testing::{Answer, FakeApi, FakeAuthorizationServer, hold_time};
use tokio::time::{Instant, advance, sleep};

const LIFETIME: Duration = Duration::from_secs(600);

type Test = Result<(), Box<dyn std::error::Error>>;

/// A source without sockets, and how often its grant was asked.
fn counted() -> Result<(TokenSource, Arc<AtomicU32>), Error> {
    let asked = Arc::new(AtomicU32::new(0));
    let counting = asked.clone();
    let grant = GrantFn::new("counted", move |_| {
        let number = counting.fetch_add(1, Ordering::SeqCst) + 1;
        async move { Ok(TokenResponse::bearer(format!("token-{number}")).with_expires_in(LIFETIME)) }
    });
    let source = TokenSource::builder(grant).jitter(0.0).build()?;
    Ok((source, asked))
}

#[tokio::test(start_paused = true)]
async fn a_token_ages_by_paused_time_and_not_a_moment_sooner() -> Test {
    // B1, J2: 120 s before its end the refresh begins behind the calls.
    let (source, asked) = counted()?;
    source.token().await?;
    advance(LIFETIME - Duration::from_secs(121)).await;
    source.token().await?;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    advance(Duration::from_secs(1)).await;
    assert_eq!(source.token().await?.expose(), "token-1");
    sleep(Duration::from_millis(1)).await;
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert_eq!(source.token().await?.expose(), "token-2");
    advance(LIFETIME).await;
    assert_eq!(source.token().await?.expose(), "token-3");
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn pauses_between_attempts_take_paused_time_alone() -> Test {
    // E3, J2
    let asked = Arc::new(AtomicU32::new(0));
    let counting = asked.clone();
    let grant = GrantFn::new("down", move |_| {
        counting.fetch_add(1, Ordering::SeqCst);
        async { Err(Error::unavailable("it is down").with_retry_after(Duration::from_millis(900))) }
    });
    let source = TokenSource::from(grant);
    let began = Instant::now();
    let error = source.token().await.expect_err("it is down");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    assert!(
        began.elapsed() >= Duration::from_millis(1800),
        "{:?}",
        began.elapsed()
    );
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_hanging_grant_is_left_by_paused_time() -> Test {
    // E2, J2
    let source = TokenSource::from(GrantFn::new("hangs", |_| std::future::pending()));
    let began = Instant::now();
    let error = source.token().await.expect_err("it hangs");
    assert_eq!(error.kind(), ErrorKind::Timeout, "{error}");
    assert!(began.elapsed() >= Duration::from_secs(10));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_token_is_kept_fresh_by_paused_time_with_one_refresh_for_each_life() -> Test {
    // J2, K31
    let (source, asked) = counted()?;
    let mut fresh = source.keep_fresh()?;
    assert_eq!(fresh.changed().await?.expose(), "token-1");
    for number in 2..=5 {
        let began = Instant::now();
        assert_eq!(fresh.changed().await?.expose(), format!("token-{number}"));
        assert!(
            began.elapsed() >= LIFETIME - Duration::from_secs(121),
            "{:?}",
            began.elapsed()
        );
    }
    assert_eq!(asked.load(Ordering::SeqCst), 5);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_named_client_over_a_grant_without_sockets_needs_no_more_than_held_time() -> Test {
    // J2
    let _held = hold_time();
    let (source, asked) = counted()?;
    let api = FakeApi::start_with(|_| true)?;
    let client = NamedClient::new("api", api.url(), source)?;
    for _ in 0..3 {
        assert_eq!(client.get("x").send().await?.status(), 200);
        advance(LIFETIME).await;
    }
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn held_time_moves_by_the_test_alone() -> Test {
    // J2
    let began = Instant::now();
    let held = hold_time();
    let sleeping = tokio::spawn(sleep(Duration::from_secs(1)));
    let server = FakeAuthorizationServer::start()?;
    let source = TokenSource::builder(server.client_credentials()?).build()?;
    source.token().await?;
    // The runtime has nothing to do but to wait for another thread, as for a socket.
    let (answer, answered) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(20));
        answer.send(())
    });
    answered.await?;
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert!(!sleeping.is_finished());
    drop(held);
    sleeping.await?;
    assert!(began.elapsed() >= Duration::from_secs(1));
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn expiry_revocation_and_a_refusal_go_with_held_time_and_sockets() -> Test {
    // J2
    let _held = hold_time();
    let server = FakeAuthorizationServer::start()?;
    let api = FakeApi::start(&server)?;
    let source = TokenSource::from(server.client_credentials()?);
    let client = NamedClient::new("api", api.url(), source)?;
    assert_eq!(client.get("x").send().await?.status(), 200);
    advance(server.token_lifetime()).await;
    let first = api.requests()[0].bearer_token().map(ToOwned::to_owned);
    assert!(!server.is_valid(&first.ok_or("no token")?));
    assert_eq!(client.get("x").send().await?.status(), 200);
    server.revoke_access_tokens();
    assert_eq!(client.get("x").send().await?.status(), 200);
    assert_eq!(server.token_request_count(), 3);
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn a_socket_under_time_that_is_not_held_says_why_it_fails() -> Test {
    // J2: the server is not slow, the time is.
    let server = FakeAuthorizationServer::start()?;
    server.answer_always(Answer::never());
    let source = TokenSource::from(server.client_credentials()?);
    let error = source.token().await.expect_err("no server answers so fast");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(
        error.to_string().contains("tokio's time is paused"),
        "{error}"
    );
    Ok(())
}
