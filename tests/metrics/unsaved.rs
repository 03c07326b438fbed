//! Refresh tokens that are in memory only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use reqwest_bearer::{Subject, TestClock, TokenSource, UserSessions};

use crate::support::authorization_server::AuthorizationServer;
use crate::support::login::Login;
use crate::support::recorder::Recorder;
use crate::support::store::{Call, FragileStore, Mode};
use crate::support::{soon, until, while_time_passes};
use crate::{UNSAVED, advance, measured};

/// A user whose new refresh token the store has not taken.
struct World {
    clock: TestClock,
    login: Login,
    store: FragileStore,
    users: UserSessions,
    alice: Subject,
}

impl World {
    async fn with_unsaved_token(recorder: &Recorder) -> Self {
        let (clock, login) = (TestClock::new(), Login::start().await);
        let store = FragileStore::new(&clock);
        let users = UserSessions::builder(&login.endpoint())
            .name("users")
            .store(store.clone())
            .clock(&clock)
            .jitter(0.0)
            .build()
            .unwrap();
        let alice = Subject::new("alice").unwrap();
        let tokens = login.sign_in("alice", clock.system_time());
        users.sign_in(&alice, tokens).await.unwrap();
        advance(&clock, 601.0);
        login.hold();
        let call = tokio::spawn({
            let of_alice = users.for_subject(&alice);
            async move { of_alice.token().await.map(drop) }
        });
        login.until_held(1).await;
        assert!(recorder.shown(UNSAVED).is_empty());
        store.be(Mode::Failing(Call::Save));
        login.release();
        soon(call).await.unwrap().unwrap();
        assert_eq!(unsaved(recorder), 1.0);
        Self {
            clock,
            login,
            store,
            users,
            alice,
        }
    }
}

fn unsaved(recorder: &Recorder) -> f64 {
    recorder.sum(UNSAVED, r#"source="users""#)
}

#[tokio::test]
async fn what_the_store_has_not_taken_is_counted_until_it_has() {
    // J1, F2
    measured(async |recorder| {
        let world = World::with_unsaved_token(&recorder).await;
        // However often it is tried in vain.
        let saves = world.store.calls(Call::Save);
        let tried = world.store.until_calls(Call::Save, saves + 3);
        while_time_passes(&world.clock, tried).await;
        assert_eq!(unsaved(&recorder), 1.0);
        world.store.be(Mode::Well);
        let saved = until(async || unsaved(&recorder) == 0.0);
        while_time_passes(&world.clock, saved).await;
    })
    .await;
}

#[tokio::test]
async fn what_a_sign_out_takes_along_is_not_counted_any_more() {
    // J1, F10
    measured(async |recorder| {
        let world = World::with_unsaved_token(&recorder).await;
        world.store.be(Mode::Well);
        let sign_out = soon(world.users.sign_out(&world.alice)).await.unwrap();
        let ended = until(async || unsaved(&recorder) == 0.0);
        while_time_passes(&world.clock, ended).await;
        soon(sign_out.outcome()).await;
        drop(world.login);
    })
    .await;
}

#[tokio::test]
async fn what_the_hook_has_not_taken_is_counted_until_it_has_or_the_source_is_gone() {
    // J1, E6
    for is_mended in [true, false] {
        measured(async |recorder| {
            let (clock, server) = (TestClock::new(), AuthorizationServer::start().await);
            server.rotate(true);
            let is_well = Arc::new(AtomicBool::new(false));
            let source = TokenSource::builder(server.refresh_token_grant())
                .name("users")
                .clock(&clock)
                .jitter(0.0)
                .on_new_refresh_token({
                    let is_well = is_well.clone();
                    move |_| {
                        let is_well = is_well.load(Ordering::SeqCst);
                        async move { is_well.then_some(()).ok_or("the disk is full") }
                    }
                })
                .build()
                .unwrap();
            soon(source.token()).await.unwrap();
            assert_eq!(unsaved(&recorder), 1.0);
            if is_mended {
                is_well.store(true, Ordering::SeqCst);
            } else {
                drop(source);
            }
            let ended = until(async || unsaved(&recorder) == 0.0);
            while_time_passes(&clock, ended).await;
        })
        .await;
    }
}

#[tokio::test]
async fn a_recorder_that_looks_at_the_sessions_locks_nobody_out() {
    // A4, J1
    measured(async |recorder| {
        let world = World::with_unsaved_token(&recorder).await;
        let looks = Arc::new(AtomicUsize::new(0));
        recorder.look({
            let (of_alice, looks) = (world.users.for_subject(&world.alice), looks.clone());
            move || {
                let _ = of_alice.status();
                looks.fetch_add(1, Ordering::SeqCst);
            }
        });
        // The next refresh puts a newer token in the place of the one that is counted.
        world.store.be(Mode::Well);
        advance(&world.clock, 601.0);
        let token = world.users.for_subject(&world.alice);
        let refreshed = while_time_passes(&world.clock, token.token()).await;
        world
            .users
            .for_subject(&world.alice)
            .invalidate(&refreshed.unwrap());
        let ended = until(async || unsaved(&recorder) == 0.0);
        while_time_passes(&world.clock, ended).await;
        assert!(looks.load(Ordering::SeqCst) > 5);
    })
    .await;
}
