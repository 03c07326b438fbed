//! F4, F11, A4: a store that is down, hangs or panics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest_bearer::{
    Error, ErrorKind, Event, GrantFn, Lease, MemoryStore, StoreKey, StoredRecord, Timeouts,
    TokenOptions, TokenResponse, TokenSource, TokenStore, Version,
};

use crate::support::authorization_server::AuthorizationServer;
use crate::support::store::{Call, Mode};
use crate::support::{soon, time_passes, until, while_time_passes};
use crate::{World, kind, revocation, token};

fn store_failed(event: &Event) -> bool {
    matches!(event, Event::StoreFailed { .. })
}

#[tokio::test]
async fn without_the_store_a_user_s_access_token_serves_until_it_expires() {
    // F4
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.store.be(Mode::Down);
    for _ in 0..599 {
        world.advance(1);
        assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-1");
    }
    world.advance(1);
    let error = token(&users, &alice).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.is_transient() && error.retry_at().is_some());
    assert_eq!(world.login.token_requests(), 0, "no refresh token is spent");
    assert!(world.count_events(store_failed) > 0);
    world.store.be(Mode::Well);
    world.advance(5);
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-2");
}

#[tokio::test]
async fn a_refresh_token_is_not_spent_if_only_the_writing_fails() {
    // F4, F2
    for call in [Call::Save, Call::Lease] {
        let world = World::new().await;
        let users = world.process();
        let alice = world.sign_in(&users, "alice").await;
        world.advance(601);
        world.store.be(Mode::Failing(call));
        let error = token(&users, &alice).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store, "{call:?}");
        assert_eq!(world.login.token_requests(), 0, "{call:?}");
    }
}

#[tokio::test]
async fn without_the_store_an_application_gets_its_own_token() {
    // F4
    let world = World::new().await;
    let server = AuthorizationServer::start().await;
    let source = TokenSource::builder(server.client_credentials())
        .store(world.store.clone())
        .clock(&world.clock)
        .build()
        .unwrap();
    for mode in [
        Mode::Down,
        Mode::Failing(Call::Load),
        Mode::Failing(Call::Lease),
        Mode::Failing(Call::Save),
        Mode::Panicking(Call::Load),
        Mode::Panicking(Call::Lease),
        Mode::Panicking(Call::Save),
    ] {
        world.store.be(mode);
        assert!(soon(source.token()).await.is_ok(), "{mode:?}");
        world.advance(601);
    }
    assert_eq!(server.token_requests(), 7);
}

#[tokio::test]
async fn a_store_that_hangs_has_two_seconds() {
    // F11
    let world = World::new().await;
    let server = AuthorizationServer::start().await;
    let source = TokenSource::builder(server.client_credentials())
        .store(world.store.clone())
        .clock(&world.clock)
        .build()
        .unwrap();
    world.store.be(Mode::Hanging);
    let waiting = tokio::spawn(async move { source.token().await });
    world.store.until_calls(Call::Load, 1).await;
    time_passes(&world.clock, Duration::from_millis(1_999)).await;
    assert_eq!(server.token_requests(), 0);
    world.clock.advance(Duration::from_millis(1));
    assert!(soon(waiting).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_store_that_panics_costs_an_error_and_locks_nothing() {
    // A4
    for call in [Call::Load, Call::Save, Call::Lease, Call::Release] {
        let world = World::new().await;
        let users = world.process();
        let alice = world.sign_in(&users, "alice").await;
        world.advance(601);
        world.store.be(Mode::Panicking(call));
        let outcome = token(&users, &alice).await;
        assert_eq!(outcome.is_ok(), call == Call::Release, "{call:?}");
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::Panicked, "{call:?}");
        }
        world.store.be(Mode::Well);
        world.advance(12);
        assert!(token(&users, &alice).await.is_ok(), "{call:?}");
        assert!(!world.login.is_dead("alice"));
    }
}

#[tokio::test]
async fn a_grant_that_panics_leaves_no_lease_behind() {
    // A4
    async fn token_of(fails: bool, at_once: bool) -> Result<TokenResponse, Error> {
        assert!(!fails || at_once, "on purpose");
        Ok(TokenResponse::bearer("t").with_expires_in(Duration::from_secs(600)))
    }
    for at_once in [true, false] {
        let world = World::new().await;
        let fails = Arc::new(AtomicBool::new(true));
        let failing = fails.clone();
        let grant = GrantFn::new("mine", move |_| {
            let fails = failing.load(Ordering::Relaxed);
            assert!(!fails || !at_once, "on purpose");
            token_of(fails, at_once)
        });
        let process = || {
            let builder = TokenSource::builder(grant.clone()).store(world.store.clone());
            builder.clock(&world.clock).build().unwrap()
        };
        let error = soon(process().token()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panicked);
        // The clock stands still: nobody waits until the lease has ended.
        fails.store(false, Ordering::Relaxed);
        assert_eq!(soon(process().token()).await.unwrap().expose(), "t");
    }
}

/// A store whose calls are no `async fn`s, and that panics before there is anything to await.
struct Rash(Arc<AtomicBool>, MemoryStore);

impl Rash {
    fn calm(&self) -> &MemoryStore {
        assert!(!self.0.load(Ordering::Relaxed), "on purpose");
        &self.1
    }
}

impl TokenStore for Rash {
    fn load(
        &self,
        key: &StoreKey,
    ) -> impl Future<Output = Result<Option<StoredRecord>, Error>> + Send {
        self.calm().load(key)
    }

    fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> impl Future<Output = Result<bool, Error>> + Send {
        self.calm().save(key, record, expected, keep_for)
    }

    fn remove(
        &self,
        key: &StoreKey,
    ) -> impl Future<Output = Result<Option<StoredRecord>, Error>> + Send {
        self.calm().remove(key)
    }

    fn lease(
        &self,
        key: &StoreKey,
        lease: &Lease,
    ) -> impl Future<Output = Result<bool, Error>> + Send {
        self.calm().lease(key, lease)
    }

    fn release(
        &self,
        key: &StoreKey,
        lease: &Lease,
    ) -> impl Future<Output = Result<(), Error>> + Send {
        self.calm().release(key, lease)
    }
}

#[tokio::test]
async fn a_store_that_panics_before_it_returns_a_future_is_one_that_panics() {
    // A4, F4
    let world = World::new().await;
    let panics = Arc::new(AtomicBool::new(false));
    let rash = || Rash(panics.clone(), world.store.memory().clone());
    let users = world.builder().store(rash()).build().unwrap();
    let alice = world.sign_in(&users, "alice").await;
    let server = AuthorizationServer::start().await;
    let application = TokenSource::builder(server.client_credentials())
        .store(rash())
        .build()
        .unwrap();
    panics.store(true, Ordering::Relaxed);
    assert!(soon(application.token()).await.is_ok());
    // The store has to be asked about her before this call goes out.
    world.advance(61);
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-1");
    world.advance(600);
    assert_eq!(kind(&users, &alice).await, ErrorKind::Panicked);
    assert_eq!(world.login.token_requests(), 0);
}

#[tokio::test]
async fn a_store_that_is_down_when_others_are_looked_for_takes_no_good_token_away() {
    // F4, F11
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.store.be(Mode::Down);
    world.advance(61);
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-1");
    // And the next call does not wait for it again, but behind its back the store is asked soon.
    let calls = world.store.all_calls().len();
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-1");
    assert_eq!(world.store.all_calls().len(), calls);
    world.store.be(Mode::Well);
    world.process().sign_out(&alice).await.unwrap();
    world.advance(5);
    until(async || token(&users, &alice).await.is_err()).await;
}

#[tokio::test]
async fn a_refresh_that_hangs_keeps_no_call_with_a_good_token_from_the_store() {
    // A5, F11: neither the calls, nor the news of a sign-out.
    let world = World::new().await;
    let hour = Duration::from_secs(3600);
    let patient = Timeouts::new().attempt(hour).refresh(hour).wait(hour);
    let users = world.builder().timeouts(patient).build().unwrap();
    let alice = world.sign_in(&users, "alice").await;
    world.login.hold();
    let hanging = tokio::spawn({
        let handle = users.for_subject(&alice);
        async move { handle.token_with(&TokenOptions::new().scope("more")).await }
    });
    world.login.until_held(1).await;
    world.advance(60);
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-1");
    assert!(!hanging.is_finished());
    soon(world.process().sign_out(&alice)).await.unwrap();
    world.advance(60);
    assert_eq!(kind(&users, &alice).await, ErrorKind::SignInRequired);
    world.login.release();
    assert!(soon(hanging).await.unwrap().is_err());
}

#[tokio::test]
async fn a_mark_that_the_store_took_without_saying_so_holds_nobody_back() {
    // E3, F4: nothing was sent.
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let narrowed = TokenOptions::new().scope("more");
    world.store.be(Mode::SavingSilently);
    let handle = users.for_subject(&alice);
    let error = soon(handle.token_with(&narrowed)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert_eq!(world.login.token_requests(), 0);
    world.store.be(Mode::Well);
    world.advance(5);
    assert!(soon(handle.token_with(&narrowed)).await.is_ok());
}

#[tokio::test]
async fn a_token_that_is_refused_while_the_store_is_down_says_that_it_is_down() {
    // C8, E8: in each of its ages, and while the failure is waited out.
    for age in [100, 500, 590] {
        let world = World::new().await;
        let users = world.process();
        let alice = world.sign_in(&users, "alice").await;
        let client = world.client(&users).for_subject(&alice);
        world.store.be(Mode::Down);
        world.advance(age);
        world.login.end("access-alice-1");
        for call in 0..3 {
            let answer = soon(client.get("x").send()).await.unwrap();
            assert_eq!(answer.status(), 401);
            let reason = answer.extensions().get::<reqwest_bearer::Error>().unwrap();
            assert_eq!(reason.kind(), ErrorKind::Store, "{age} {call}: {reason}");
            assert!(reason.is_transient());
        }
        world.store.be(Mode::Well);
        world.advance(5);
        assert_eq!(soon(client.get("x").send()).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn what_the_store_could_not_take_is_not_spent_by_another_process_when_the_store_comes_back() {
    // F2, F3: the outage outlives the lease, so that the next one can take it.
    for outage in [12, 40, 300] {
        let world = World::new().await;
        let (one, other) = (world.process(), world.process());
        let alice = world.sign_in(&one, "alice").await;
        world.advance(601);
        world.login.hold();
        let waiting = tokio::spawn({
            let (one, alice) = (one.clone(), alice.clone());
            async move { token(&one, &alice).await }
        });
        world.login.until_held(1).await;
        world.store.be(Mode::Down);
        world.login.release();
        assert_eq!(waiting.await.unwrap().unwrap(), "access-alice-2");
        for _ in 0..outage {
            time_passes(&world.clock, Duration::from_secs(1)).await;
        }
        world.store.be(Mode::Well);
        // The first one to come is not the one that has the new refresh token.
        let coming = while_time_passes(&world.clock, token(&other, &alice)).await;
        assert_eq!(coming.unwrap(), "access-alice-2", "{outage}");
        assert!(!world.login.is_dead("alice"), "{outage}");
        assert_eq!(world.login.token_requests(), 1, "{outage}");
    }
}

#[tokio::test]
async fn without_the_store_a_refresh_token_of_the_application_s_own_makes_no_flight_wait_for_itself()
 {
    // F4, A6, C2
    let world = World::new().await;
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(1));
    let asked = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let grant = {
        let (gate, asked) = (gate.clone(), asked.clone());
        GrantFn::new("with a refresh token", move |_| {
            let (gate, asked) = (gate.clone(), asked.clone());
            async move {
                asked.add_permits(1);
                gate.acquire().await.unwrap().forget();
                Ok(TokenResponse::bearer("token").with_refresh_token("refresh"))
            }
        })
    };
    let source = TokenSource::builder(grant)
        .store(world.store.clone())
        .clock(&world.clock)
        .build()
        .unwrap();
    world.store.be(Mode::Down);
    let first = soon(source.token()).await.unwrap();
    asked.acquire().await.unwrap().forget();
    let forced = tokio::spawn({
        let source = source.clone();
        async move {
            let options = TokenOptions::new().force_refresh();
            source.token_with(&options).await
        }
    });
    asked.acquire().await.unwrap().forget();
    // Refused while the request is under way: the flight makes one more.
    world.clock.advance(Duration::from_millis(1));
    source.invalidate(&first);
    gate.add_permits(2);
    assert!(soon(forced).await.unwrap().is_ok());
}

#[tokio::test]
async fn a_sign_out_asks_a_server_that_hangs_for_all_access_tokens_at_once() {
    // F10
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    for scope in ["a", "b", "c"] {
        let options = TokenOptions::new().scope(scope);
        let handle = users.for_subject(&alice);
        assert!(soon(handle.token_with(&options)).await.is_ok());
    }
    world.login.revoke_together(4);
    revocation(&users, &alice).await;
    let revoked = world.login.revocations();
    assert_eq!(revoked[0].1, "refresh_token");
    assert_eq!(revoked.len(), 5);
}
