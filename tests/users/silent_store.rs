//! A7, F2, F4: a store that gives no answers, and what is not lost by it.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest_bearer::{ErrorKind, GrantFn, Lease, TokenResponse, TokenSource, TokenStore};

use crate::support::store::{Call, Mode};
use crate::support::{soon, time_passes, until, while_time_passes};
use crate::{World, kind, token};

#[tokio::test]
async fn a_store_that_has_not_answered_three_times_in_a_row_is_left_alone_but_for_a_probe() {
    // A7, F4
    let world = World::new().await;
    let users = world.process();
    let mut strangers = Vec::new();
    for name in ["a", "b", "c", "d", "e"] {
        strangers.push(world.sign_in(&users, name).await);
    }
    world.advance(601);
    world.store.be(Mode::Hanging);
    for stranger in &strangers[..3] {
        let failed = while_time_passes(&world.clock, kind(&users, stranger)).await;
        assert_eq!(failed, ErrorKind::Store);
    }
    let loads = world.store.calls(Call::Load);
    // The clock stands still: this one waits for nothing.
    let error = token(&users, &strangers[3]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.is_transient() && error.retry_at().is_some());
    assert_eq!(world.store.calls(Call::Load), loads);
    world.store.be(Mode::Well);
    world.advance(1);
    // The probe finds it well again, and so do all others.
    for stranger in &strangers[4..] {
        assert!(token(&users, stranger).await.is_ok());
    }
    world.advance(5);
    for stranger in &strangers[..4] {
        assert!(token(&users, stranger).await.is_ok());
    }
}

#[tokio::test]
async fn a_store_that_ends_its_own_waits_by_errors_is_left_alone_as_well() {
    // A7
    for (waits, is_left_alone) in [
        ([1_000; 3], true),
        ([999; 3], false),
        ([1_500, 1_500, 999], false),
    ] {
        let world = World::new().await;
        let users = world.process();
        let mut strangers = Vec::new();
        for name in ["a", "b", "c", "d"] {
            strangers.push(world.sign_in(&users, name).await);
        }
        world.advance(601);
        world.store.be(Mode::Down);
        for (stranger, wait) in strangers.iter().zip(waits) {
            world.store.hold(Call::Load);
            let call = tokio::spawn({
                let (users, stranger) = (users.clone(), stranger.clone());
                async move { kind(&users, &stranger).await }
            });
            world.store.until_held(1).await;
            world.clock.advance(Duration::from_millis(wait));
            world.store.release();
            assert_eq!(soon(call).await.unwrap(), ErrorKind::Store);
        }
        let loads = world.store.calls(Call::Load);
        assert_eq!(kind(&users, &strangers[3]).await, ErrorKind::Store);
        let is_asked = world.store.calls(Call::Load) > loads;
        assert_eq!(is_asked, !is_left_alone, "{waits:?}");

        world.store.be(Mode::Well);
        world.advance(5);
        assert!(token(&users, &strangers[3]).await.is_ok());
    }
}

#[tokio::test]
async fn the_lease_of_an_unsaved_refresh_token_is_renewed_also_while_the_saves_hang() {
    // F2
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let waiting = world.refresh_under_way(&users, &alice).await;
    let key = world.store.last_key();
    world.store.be(Mode::HangingAt(Call::Save));
    world.login.release();
    let served = while_time_passes(&world.clock, waiting).await;
    assert_eq!(served.unwrap().unwrap(), "access-alice-2");
    // Of another process that tries all the time, as one with a refresh to make would.
    let other = Lease::new(Duration::from_secs(10)).unwrap();
    for _ in 0..40 {
        time_passes(&world.clock, Duration::from_millis(500)).await;
        let taken = world.store.memory().lease(&key, &other).await.unwrap();
        assert!(!taken, "the lease has run out");
    }
    world.store.be(Mode::Well);
    let released = until(async || world.store.calls(Call::Release) > 0);
    while_time_passes(&world.clock, released).await;
    assert!(world.store.memory().lease(&key, &other).await.unwrap());
}

#[tokio::test]
async fn what_an_application_s_grant_brings_while_the_store_is_down_is_saved_when_it_is_back() {
    // F4, F2
    let world = World::new().await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let process = || {
        let seen = seen.clone();
        let grant = GrantFn::new("app", move |request| {
            let seen = seen.clone();
            async move {
                let spent = request
                    .refresh_token()
                    .map(|token| token.expose().to_owned());
                let mut seen = seen.lock().unwrap();
                seen.push(spent);
                let token = TokenResponse::bearer(format!("token-{}", seen.len()));
                let token = token.with_expires_in(Duration::from_secs(600));
                Ok(token.with_refresh_token(format!("refresh-{}", seen.len())))
            }
        });
        let builder = TokenSource::builder(grant).store(world.store.clone());
        builder.clock(&world.clock).jitter(0.0).build().unwrap()
    };
    let source = process();
    world.store.be(Mode::Down);
    assert_eq!(soon(source.token()).await.unwrap().expose(), "token-1");
    world.store.be(Mode::Well);
    soon(source.shutdown()).await.unwrap();
    world.advance(601);
    assert_eq!(soon(process().token()).await.unwrap().expose(), "token-2");
    let seen = seen.lock().unwrap();
    assert_eq!(*seen, [None, Some("refresh-1".to_owned())]);
}
