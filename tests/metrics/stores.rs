//! Calls of a store, and the leases that processes wait for.

use std::time::Duration;

use reqwest_bearer::{Lease, Subject, TestClock, TokenStore, UserSessions};

use crate::support::login::Login;
use crate::support::store::{Call, FragileStore, Mode};
use crate::support::{soon, until, while_time_passes};
use crate::{LEASE_WAIT, STORE_CALL, advance, measured};

/// A user who has signed in, in one process.
struct World {
    clock: TestClock,
    login: Login,
    store: FragileStore,
    users: UserSessions,
    alice: Subject,
}

impl World {
    async fn new() -> Self {
        let (clock, login) = (TestClock::new(), Login::start().await);
        let store = FragileStore::new(&clock);
        let users = process(&login, &store, &clock, "users");
        let alice = Subject::new("alice").unwrap();
        let tokens = login.sign_in("alice", clock.system_time());
        users.sign_in(&alice, tokens).await.unwrap();
        Self {
            clock,
            login,
            store,
            users,
            alice,
        }
    }

    /// A call of Alice's in this process.
    fn call(&self, users: &UserSessions) -> tokio::task::JoinHandle<bool> {
        let of_alice = users.for_subject(&self.alice);
        tokio::spawn(async move { of_alice.token().await.is_ok() })
    }
}

fn process(login: &Login, store: &FragileStore, clock: &TestClock, name: &str) -> UserSessions {
    UserSessions::builder(&login.endpoint())
        .name(name)
        .store(store.clone())
        .clock(clock)
        .jitter(0.0)
        .build()
        .unwrap()
}

fn call(name: &str, outcome: &str) -> String {
    format!(r#"call="{name}", outcome="{outcome}", source="users""#)
}

#[tokio::test]
async fn the_calls_of_a_refresh_are_measured_by_their_names() {
    // J1
    measured(async |recorder| {
        let world = World::new().await;
        let before = recorder.values(STORE_CALL, &call("save", "ok")).len();
        advance(&world.clock, 601.0);
        assert!(soon(world.call(&world.users)).await.unwrap());
        let times = |name| recorder.values(STORE_CALL, &call(name, "ok")).len();
        assert_eq!(times("lease_and_load"), 1);
        assert_eq!(times("save_and_release"), 1);
        // The mark that the refresh token is away.
        assert_eq!(times("save"), before + 1);
        assert!(times("load") > 0);
        soon(world.users.sign_out(&world.alice)).await.unwrap();
        assert!(times("remove") + times("save") > before + 1);
    })
    .await;
}

#[tokio::test]
async fn a_store_that_fails_or_gives_no_answer_is_measured_as_that() {
    // J1, F11
    measured(async |recorder| {
        let world = World::new().await;
        advance(&world.clock, 601.0);
        world.store.be(Mode::Failing(Call::Load));
        assert!(!soon(world.call(&world.users)).await.unwrap());
        let failed = call("load", "store");
        assert_eq!(recorder.values(STORE_CALL, &failed), [0.0]);
        world.store.be(Mode::Panicking(Call::Load));
        advance(&world.clock, 10.0);
        assert!(!soon(world.call(&world.users)).await.unwrap());
        assert_eq!(
            recorder.values(STORE_CALL, &call("load", "panicked")),
            [0.0]
        );
        world.store.be(Mode::HangingAt(Call::Load));
        advance(&world.clock, 60.0);
        let calls = world.store.calls(Call::Load);
        let waiting = world.call(&world.users);
        world.store.until_calls(Call::Load, calls + 1).await;
        advance(&world.clock, 2.0);
        assert!(!soon(waiting).await.unwrap());
        assert_eq!(recorder.values(STORE_CALL, &failed), [0.0, 2.0]);
    })
    .await;
}

#[tokio::test]
async fn a_refresh_that_waits_for_another_process_is_measured_with_what_came_of_it() {
    // J1, F3
    measured(async |recorder| {
        let world = World::new().await;
        let other = process(&world.login, &world.store, &world.clock, "other");
        advance(&world.clock, 601.0);
        world.login.hold();
        let winner = world.call(&world.users);
        world.login.until_held(1).await;
        assert!(recorder.shown(LEASE_WAIT).is_empty());
        let leases = world.store.calls(Call::Lease);
        let waits = world.call(&other);
        world.store.until_calls(Call::Lease, leases + 1).await;
        advance(&world.clock, 1.0);
        world.login.release();
        assert!(soon(winner).await.unwrap());
        assert!(while_time_passes(&world.clock, waits).await.unwrap());
        let waited = recorder.values(LEASE_WAIT, r#"outcome="ok", source="other""#);
        assert!(
            matches!(waited[..], [seconds] if seconds >= 1.0),
            "{waited:?}"
        );
        assert_eq!(
            recorder.shown(LEASE_WAIT).len(),
            1,
            "the winner has not waited"
        );
    })
    .await;
}

#[tokio::test]
async fn a_lease_that_another_process_never_gives_back_is_measured_as_such() {
    // J1, F3
    measured(async |recorder| {
        let world = World::new().await;
        let key = world.store.last_key();
        advance(&world.clock, 601.0);
        let of_another = Lease::new(Duration::from_secs(3_600)).unwrap();
        let taken = world.store.memory().lease(&key, &of_another);
        assert!(taken.await.unwrap());
        let waits = world.call(&world.users);
        let ended = until(async || !recorder.shown(LEASE_WAIT).is_empty());
        while_time_passes(&world.clock, ended).await;
        assert!(!soon(waits).await.unwrap());
        let waited = recorder.values(LEASE_WAIT, r#"outcome="timeout", source="users""#);
        assert!(
            matches!(waited[..], [seconds] if seconds > 30.0),
            "{waited:?}"
        );
    })
    .await;
}
