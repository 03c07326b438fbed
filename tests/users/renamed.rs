//! F12, F13: sessions that go on under another id, and all sessions of a user that end at once.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::time::Duration;

use reqwest_bearer::{
    Error, ErrorKind, Lease, MemoryStore, Revocation, StoreKey, StoredRecord, TokenStore,
    UserSessions, Version,
};

use crate::support::login::id_token;
use crate::support::store::{Call, Mode};
use crate::support::{soon, time_passes};
use crate::{World, kind, subject, token};

#[tokio::test]
async fn a_renamed_session_goes_on_under_the_new_id_and_no_more_under_the_old_one() {
    // F12
    let world = World::new().await;
    let (one, other) = (world.process(), world.process());
    let old = world.sign_in(&one, "alice").await;
    let new = subject("renewed");
    assert_eq!(token(&other, &old).await.unwrap(), "access-alice-1");
    one.rename(&old, &new).await.unwrap();
    assert_eq!(token(&one, &new).await.unwrap(), "access-alice-1");
    assert_eq!(kind(&one, &old).await, ErrorKind::SignInRequired);
    assert!(one.status_of(&old).await.unwrap().is_none());
    // The other process notices within a minute, and its next refresh is the new id's.
    world.advance(61);
    assert_eq!(kind(&other, &old).await, ErrorKind::SignInRequired);
    world.advance(600);
    assert_eq!(token(&other, &new).await.unwrap(), "access-alice-2");
    assert!(!world.login.is_dead("alice"));
    assert_eq!(world.login.revocations(), []);
}

#[tokio::test]
async fn a_rename_takes_no_other_session_s_place_and_moves_none_that_is_not_there() {
    // F12
    let world = World::new().await;
    let users = world.process();
    let (alice, bob) = (
        world.sign_in(&users, "alice").await,
        world.sign_in(&users, "bob").await,
    );
    let error = users.rename(&alice, &bob).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    let error = users.rename(&subject("nobody"), &subject("new")).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::SignInRequired);
    users.rename(&alice, &alice).await.unwrap();
    world.store.be(Mode::Failing(Call::Lease));
    let error = users.rename(&alice, &subject("new")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    world.store.be(Mode::Well);
    for (user, session) in [("alice", &alice), ("bob", &bob)] {
        let token = token(&users, session).await.unwrap();
        assert_eq!(world.login.owner(&token).as_deref(), Some(user));
    }
}

#[tokio::test]
async fn a_rename_whose_answer_is_lost_or_that_the_store_repeats_leaves_one_record() {
    // F12, E3: two would spend one refresh token twice.
    let world = World::new().await;
    let users = world.process();
    let new = subject("renewed");
    for mode in [Mode::SavingSilently, Mode::Stuttering] {
        let old = world.sign_in(&users, "alice").await;
        world.store.be(mode);
        let renamed = users.rename(&old, &new).await;
        world.store.be(Mode::Well);
        assert!(renamed.is_ok(), "{mode:?}: {renamed:?}");
        assert!(users.status_of(&old).await.unwrap().is_none(), "{mode:?}");
        assert!(token(&users, &new).await.is_ok(), "{mode:?}");
        users.sign_out(&new).await.unwrap();
    }
}

#[tokio::test]
async fn a_rename_that_the_store_fails_at_half_way_leaves_the_session_where_it_was() {
    // F12, E3: also if the record has arrived, and the store says so later only.
    for mode in [Mode::Down, Mode::SavingSilently] {
        let world = World::new().await;
        let users = world.process();
        let (old, new) = (world.sign_in(&users, "alice").await, subject("renewed"));
        let (loads, saves) = (world.store.calls(Call::Load), world.store.calls(Call::Save));
        world.store.hold(Call::Save);
        let renaming = tokio::spawn({
            let (users, old, new) = (users.clone(), old.clone(), new.clone());
            async move { users.rename(&old, &new).await }
        });
        world.store.until_calls(Call::Save, saves + 1).await;
        // Neither the save nor the question what became of it is answered.
        world.store.be(mode);
        let asked = world.store.calls(Call::Load);
        assert!(asked > loads);
        world.store.release_and_hold(Call::Load);
        world.store.until_calls(Call::Load, asked + 1).await;
        world.store.be(Mode::Down);
        world.store.release_and_hold(Call::Save);
        world.store.until_calls(Call::Save, saves + 2).await;
        world.store.be(Mode::Well);
        world.store.release();
        let error = soon(renaming).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store, "{mode:?}");
        assert!(token(&users, &old).await.is_ok(), "{mode:?}");
        assert!(users.status_of(&new).await.unwrap().is_none(), "{mode:?}");
    }
}

/// A store that renames in one step, as Redis does; the answer is lost, or that to a second try.
struct AtOnce {
    below: MemoryStore,
    tries_again: bool,
}

impl TokenStore for AtOnce {
    async fn load(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        self.below.load(key).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        self.below.save(key, record, expected, keep_for).await
    }

    async fn remove(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        self.below.remove(key).await
    }

    async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        self.below.lease(key, lease).await
    }

    async fn release(&self, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
        self.below.release(key, lease).await
    }

    async fn rename(
        &self,
        from: &StoreKey,
        expected: Version,
        to: &StoreKey,
        record: StoredRecord,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        let first = self
            .below
            .rename(from, expected, to, record.clone(), keep_for);
        assert!(first.await?);
        if self.tries_again {
            return self
                .below
                .rename(from, expected, to, record, keep_for)
                .await;
        }
        Err(Error::store("no answer comes, on purpose"))
    }
}

#[tokio::test]
async fn a_rename_in_one_step_whose_answer_is_lost_has_succeeded() {
    // F12
    let world = World::new().await;
    for tries_again in [false, true] {
        let store = AtOnce {
            below: MemoryStore::with_clock(&world.clock),
            tries_again,
        };
        let users = world.builder().store(store).build().unwrap();
        let old = world.sign_in(&users, "alice").await;
        let new = subject("renewed");
        let renamed = users.rename(&old, &new).await;
        assert!(renamed.is_ok(), "{tries_again} {renamed:?}");
        assert!(users.status_of(&old).await.unwrap().is_none());
        assert!(token(&users, &new).await.is_ok());
    }
}

#[tokio::test]
async fn a_rename_waits_for_the_refresh_that_is_under_way_in_whichever_process() {
    // F12, F2: or the successor of the refresh token would find no record.
    let world = World::new().await;
    let (one, other) = (world.process(), world.process());
    let alice = world.sign_in(&one, "alice").await;
    for process in [&one, &other] {
        let waiting = world.refresh_under_way(process, &alice).await;
        let renamed = tokio::spawn({
            let (one, alice) = (one.clone(), alice.clone());
            async move { one.rename(&alice, &subject("renewed")).await }
        });
        time_passes(&world.clock, Duration::from_secs(1)).await;
        assert!(!renamed.is_finished());
        world.login.release();
        // It was answered before the rename, or heard of it first.
        if let Err(error) = waiting.await.unwrap() {
            assert_eq!(error.kind(), ErrorKind::SignInRequired);
        }
        let renamed = crate::support::while_time_passes(&world.clock, renamed);
        renamed.await.unwrap().unwrap();
        // And back, for the next round.
        one.rename(&subject("renewed"), &alice).await.unwrap();
    }
    assert!(!world.login.is_dead("alice"));
    assert_eq!(world.login.revocations(), []);
}

/// An id token with a `sid`, unsigned.
fn id_token_of(sub: &str, sid: &str) -> String {
    let claims = format!(r#"{{"sub":"{sub}","sid":"{sid}"}}"#);
    format!("e30.{}.x", URL_SAFE_NO_PAD.encode(claims))
}

async fn sign_in(world: &World, users: &UserSessions, session: &str, sub: &str, sid: &str) {
    let tokens = world.login.sign_in(session, world.clock.system_time());
    let tokens = tokens.with_id_token(id_token_of(sub, sid));
    users.sign_in(&subject(session), tokens).await.unwrap();
}

#[tokio::test]
async fn all_sessions_of_a_user_or_of_one_sign_in_end_at_once_and_no_others() {
    // F13
    let world = World::new().await;
    let process = || world.builder().index_sessions().build().unwrap();
    let (one, other) = (process(), process());
    for (session, sub, sid) in [
        ("phone", "alice", "sid-1"),
        ("laptop", "alice", "sid-2"),
        ("tablet", "alice", "sid-2"),
        ("desk", "bob", "sid-3"),
    ] {
        sign_in(&world, &one, session, sub, sid).await;
        token(&other, &subject(session)).await.unwrap();
    }
    let ended = other.sign_out_sid("sid-2").await.unwrap();
    assert_eq!(ended.len(), 2);
    for sign_out in ended {
        let outcome = soon(sign_out.outcome()).await;
        assert!(matches!(outcome, Revocation::Revoked), "{outcome:?}");
    }
    for (session, is_alive) in [
        ("phone", true),
        ("laptop", false),
        ("tablet", false),
        ("desk", true),
    ] {
        // At once in the process that was told.
        let outcome = token(&other, &subject(session)).await;
        assert_eq!(outcome.is_ok(), is_alive, "{session}");
    }
    assert_eq!(one.sign_out_sub("alice").await.unwrap().len(), 1);
    assert_eq!(
        kind(&one, &subject("phone")).await,
        ErrorKind::SignInRequired
    );
    assert!(token(&one, &subject("desk")).await.is_ok());
    for sub in ["alice", "nobody"] {
        assert!(one.sign_out_sub(sub).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_session_that_is_another_user_s_by_now_does_not_end_with_the_one_before() {
    // F13, F10
    let world = World::new().await;
    let users = world.builder().index_sessions().build().unwrap();
    sign_in(&world, &users, "kiosk", "alice", "sid-1").await;
    sign_in(&world, &users, "kiosk", "bob", "sid-2").await;
    assert!(users.sign_out_sub("alice").await.unwrap().is_empty());
    assert!(token(&users, &subject("kiosk")).await.is_ok());
}

#[tokio::test]
async fn a_renamed_session_is_found_by_its_claims_and_one_that_is_signed_out_is_not() {
    // F12, F13
    let world = World::new().await;
    let users = world.builder().index_sessions().build().unwrap();
    sign_in(&world, &users, "old", "alice", "sid-1").await;
    users
        .rename(&subject("old"), &subject("new"))
        .await
        .unwrap();
    assert_eq!(users.sign_out_sub("alice").await.unwrap().len(), 1);
    assert_eq!(
        kind(&users, &subject("new")).await,
        ErrorKind::SignInRequired
    );
    sign_in(&world, &users, "again", "alice", "sid-1").await;
    users.sign_out(&subject("again")).await.unwrap();
    assert!(users.sign_out_sub("alice").await.unwrap().is_empty());
}

#[tokio::test]
async fn without_an_index_ending_all_sessions_is_an_error_and_costs_a_sign_in_nothing() {
    // F13
    let world = World::new().await;
    let users = world.process();
    let tokens = world.login.sign_in("alice", world.clock.system_time());
    let tokens = tokens.with_id_token(id_token("alice"));
    users.sign_in(&subject("alice"), tokens).await.unwrap();
    assert_eq!(world.store.calls(Call::Save), 1);
    let error = users.sign_out_sub("alice").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
}
