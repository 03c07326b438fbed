//! F2, F5: a new refresh token is safe before anybody sees the access token that came along.

use std::ops::Range;
use std::time::Duration;

use reqwest_bearer::{ErrorKind, Event, Subject, TestClock, TokenOptions, UserSessions};

use crate::support::authorization_server::Answer;
use crate::support::http_server::Reply;
use crate::support::store::{Call, Mode};
use crate::support::{soon, time_passes, time_until, until, while_time_passes};
use crate::{World, kind, token, until_landed};

fn unsaved(event: &Event) -> bool {
    matches!(event, Event::RefreshTokenUnsaved { .. })
}

fn saved(event: &Event) -> bool {
    matches!(event, Event::RefreshTokenSaved { .. })
}

/// So many seconds, as [`time_until`] tells them.
fn about(seconds: u64) -> Range<Duration> {
    let least = Duration::from_secs(seconds);
    least..least + Duration::from_millis(100)
}

/// The access token comes to its soft window, the server rotates, and its answer does not come.
async fn lose_an_answer(world: &World, process: &UserSessions, subject: &Subject) {
    world.advance(500);
    world.login.then(Answer::Lost);
    // A process that does not know the token yet only finds it by the first call.
    assert!(token(process, subject).await.is_ok());
    assert!(token(process, subject).await.is_ok());
    world.login.until_requests(1).await;
    until_landed(process, subject).await;
}

#[tokio::test]
async fn nobody_sees_an_access_token_before_its_refresh_token_is_in_the_store() {
    // F2
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let waiting = world.refresh_under_way(&users, &alice).await;
    world.store.hold(Call::Save);
    world.login.release();
    world.store.until_held(1).await;
    assert!(!users.for_subject(&alice).status().is_usable());
    assert!(!waiting.is_finished());
    // What another process would find now is the old one, with the mark that it is away.
    let stored = world.store.record(&world.store.last_key()).await.unwrap();
    let stored = String::from_utf8(stored.data().unwrap().to_vec()).unwrap();
    assert!(stored.contains("refresh-alice-1") && stored.contains("{\"sent\":"));
    world.store.release();
    assert_eq!(waiting.await.unwrap().unwrap(), "access-alice-2");
    let stored = world.store.record(&world.store.last_key()).await.unwrap();
    let stored = String::from_utf8(stored.data().unwrap().to_vec()).unwrap();
    assert!(stored.contains("refresh-alice-2") && stored.contains("\"ready\""));
}

#[tokio::test]
async fn a_store_that_does_not_take_the_new_token_is_tried_until_it_does() {
    // F2
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let waiting = world.refresh_under_way(&users, &alice).await;
    world.store.be(Mode::Failing(Call::Save));
    world.login.release();
    // Served from memory, with an event at once.
    assert_eq!(waiting.await.unwrap().unwrap(), "access-alice-2");
    assert_eq!(world.count_events(unsaved), 1);
    assert_eq!(world.count_events(saved), 0);
    // The lease is kept, so that nobody else spends the one that the store still has.
    assert_eq!(world.store.calls(Call::Release), 0);
    let saves = world.store.calls(Call::Save);
    for attempt in 1..=3 {
        let tried = world.store.until_calls(Call::Save, saves + attempt);
        let pause = time_until(&world.clock, tried).await;
        // 1 s, 2 s, 4 s.
        assert!(about(1 << (attempt - 1)).contains(&pause), "{pause:?}");
    }
    world.store.be(Mode::Well);
    // The next pause is 8 s, and the lease has been renewed in each of them.
    let leases = world.store.calls(Call::Lease);
    let given_back = world.store.until_calls(Call::Release, 1);
    let pause = time_until(&world.clock, given_back).await;
    assert!(about(8).contains(&pause), "{pause:?}");
    assert!(
        world.store.calls(Call::Lease) > leases,
        "the lease is renewed meanwhile"
    );
    users.shutdown().await.unwrap();
    assert_eq!(world.count_events(saved), 1);
    // And another process goes on with what was saved at last.
    world.advance(601);
    assert_eq!(
        token(&world.process(), &alice).await.unwrap(),
        "access-alice-3"
    );
    assert!(!world.login.is_dead("alice"));
}

#[tokio::test]
async fn an_unsaved_refresh_token_is_not_spent_before_the_store_has_it() {
    // F2, F4
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world
        .refresh_while_store_is(Mode::Down, &users, &alice)
        .await;
    world.advance(601);
    // Nor when the store can be read again: what it has is spent.
    for mode in [Mode::Down, Mode::Failing(Call::Save)] {
        world.store.be(mode);
        let error = token(&users, &alice).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store, "{mode:?}");
        assert!(error.is_transient() && error.retry_at().is_some());
        world.advance(5);
    }
    assert_eq!(world.login.token_requests(), 1);
    // Back again: what is unsaved is saved first, and then spent.
    world.store.be(Mode::Well);
    world.advance(5);
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-3");
    assert!(!world.login.is_dead("alice"));
}

#[tokio::test]
async fn a_shutdown_waits_for_what_is_unsaved_and_tries_at_once() {
    // F2
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world
        .refresh_while_store_is(Mode::Failing(Call::Save), &users, &alice)
        .await;
    world.store.be(Mode::Well);
    // The clock stands still: nothing but the shutdown itself makes it hurry.
    soon(users.shutdown()).await.unwrap();
    assert_eq!(world.count_events(saved), 1);
    let status = users.status_of(&alice).await.unwrap().unwrap();
    assert!(status.has_refresh_token());
    let stored = world.store.record(&world.store.last_key()).await.unwrap();
    assert!(String::from_utf8_lossy(stored.data().unwrap()).contains("refresh-alice-2"));
}

#[tokio::test]
async fn a_shutdown_gives_up_after_ten_seconds() {
    // F2
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world
        .refresh_while_store_is(Mode::Failing(Call::Save), &users, &alice)
        .await;
    let closing = async {
        let error = users.shutdown().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    };
    let patience = time_until(&world.clock, closing).await;
    assert!(about(10).contains(&patience), "{patience:?}");
}

#[tokio::test]
async fn a_refusal_by_the_server_is_compared_with_what_the_store_has_now() {
    // F5
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let waiting = world.refresh_under_way(&users, &alice).await;
    // Somebody without manners, who takes no lease, signs the user in anew.
    world.sign_in(&world.process(), "alice").await;
    world.login.then(Answer::Token);
    world.login.release();
    assert_eq!(waiting.await.unwrap().unwrap(), "access-alice-2");
    assert_eq!(kind_or_none(&world).await, None);
}

#[tokio::test]
async fn a_refusal_is_healed_with_the_token_of_whoever_was_faster() {
    // F5, C1
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let client = world.client(&users).for_subject(&alice);
    world.login.end("access-alice-1");
    world.login.hold();
    let call = tokio::spawn(async move { client.get("x").send().await.unwrap().status() });
    world.login.until_held(1).await;
    world.sign_in(&world.process(), "alice").await;
    world.login.release();
    assert_eq!(soon(call).await.unwrap(), 200);
    assert_eq!(world.api.tokens(), ["access-alice-1", "access-alice-2"]);
}

#[tokio::test]
async fn a_lost_answer_holds_nobody_back_once_an_api_has_refused_the_access_token() {
    // E3
    let world = World::new().await;
    let first = world.process();
    let alice = world.sign_in(&first, "alice").await;
    world.advance(500);
    world.login.then(Answer::Cut);
    assert!(token(&first, &alice).await.is_ok());
    world.login.until_requests(1).await;
    until_landed(&first, &alice).await;
    world.login.end("access-alice-1");
    let client = world.client(&world.process()).for_subject(&alice);
    assert_eq!(soon(client.get("x").send()).await.unwrap().status(), 200);
    assert_eq!(world.login.token_requests(), 2);
}

#[tokio::test]
async fn a_refresh_token_whose_record_changes_before_it_is_sent_is_not_sent() {
    // F2, F3
    let world = World::new().await;
    let slow = world.process();
    let alice = world.sign_in(&slow, "alice").await;
    world.advance(601);
    world.store.hold(Call::Save);
    let waiting = tokio::spawn({
        let (slow, alice) = (slow.clone(), alice.clone());
        async move { token(&slow, &alice).await.unwrap() }
    });
    world.store.until_held(1).await;
    let past_the_door = world.builder().store(world.store.memory().clone());
    world
        .sign_in(&past_the_door.build().unwrap(), "alice")
        .await;
    world.store.release();
    assert_eq!(soon(waiting).await.unwrap(), "access-alice-2");
    assert_eq!(world.login.token_requests(), 0);
}

#[tokio::test]
async fn a_refresh_token_that_the_server_turned_away_is_free_for_everybody() {
    // E3
    let world = World::new().await;
    let first = world.process();
    let alice = world.sign_in(&first, "alice").await;
    world.login.then(Answer::Reply(
        Reply::new(400).json(&serde_json::json!({ "error": "invalid_scope" })),
    ));
    let narrowed = TokenOptions::new().scope("more");
    let refused = soon(first.for_subject(&alice).token_with(&narrowed)).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Rejected);
    let other = world.process();
    assert!(
        soon(other.for_subject(&alice).token_with(&narrowed))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_refusal_that_the_store_could_not_be_told_of_is_no_lost_answer() {
    // E3, B5: after its one attempt, or while it begins another one.
    for status in [500, 503] {
        let world = World::new().await;
        let users = world.process();
        let alice = world.sign_in(&users, "alice").await;
        world.advance(490);
        world.login.hold();
        world.login.then(Answer::Reply(Reply::new(status)));
        assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-1");
        world.login.until_held(1).await;
        world.store.be(Mode::Failing(Call::Save));
        world.login.release();
        if status == 503 {
            world.until_ended(1).await;
            // The pause before the next attempt is 160 ms.
            time_passes(&world.clock, Duration::from_millis(200)).await;
        }
        until_landed(&users, &alice).await;
        world.store.be(Mode::Well);
        // The pause of a refresh ahead of time.
        world.advance(24);
        assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-1");
        until_landed(&users, &alice).await;
        assert_eq!(world.login.token_requests(), 2, "{status}");
        assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-2");
        assert!(!world.login.is_dead("alice"));
    }
}

#[tokio::test]
async fn a_save_that_the_store_repeated_is_no_conflict() {
    // F2
    let world = World::new().await;
    let users = world.process();
    world.store.be(Mode::Stuttering);
    let alice = world.sign_in(&users, "alice").await;
    world.advance(601);
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-2");
    assert_eq!(world.login.token_requests(), 1);
    // Nor does such a mark pass for one of a lost answer, while the access token is good.
    let narrowed = TokenOptions::new().scope("more");
    assert!(
        soon(users.for_subject(&alice).token_with(&narrowed))
            .await
            .is_ok()
    );
    assert_eq!(world.login.token_requests(), 2);
    // What is said of a failure is not lost either.
    world.login.end_family("alice");
    world.advance(601);
    assert_eq!(kind(&users, &alice).await, ErrorKind::SignInRequired);
    assert_eq!(
        kind(&world.process(), &alice).await,
        ErrorKind::SignInRequired
    );
    assert_eq!(world.login.token_requests(), 3);
}

#[tokio::test]
async fn what_is_unsaved_is_revoked_if_the_user_signs_out_elsewhere() {
    // F2, F10
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world
        .refresh_while_store_is(Mode::Failing(Call::Save), &users, &alice)
        .await;
    world.process().sign_out(&alice).await.unwrap();
    world.store.be(Mode::Well);
    soon(users.shutdown()).await.unwrap();
    let revoked = world.login.revocations();
    let text = |text: &str| text.to_owned();
    assert!(
        revoked.contains(&(text("refresh-alice-2"), text("refresh_token"))),
        "{revoked:?}"
    );
    assert!(
        revoked.contains(&(text("access-alice-2"), text("access_token"))),
        "{revoked:?}"
    );
    assert!(world.store.memory().is_empty());
}

async fn kind_or_none(world: &World) -> Option<ErrorKind> {
    let outcome = token(&world.process(), &crate::subject("alice")).await;
    outcome.err().map(|error| error.kind())
}

#[tokio::test]
async fn a_refresh_token_that_a_server_repeats_or_leaves_out_is_kept() {
    // E6, F2
    let world = World::new().await;
    let users = world.process();
    world.login.keep_refresh_tokens();
    let alice = world.sign_in(&users, "alice").await;
    for number in 2..5 {
        world.advance(601);
        let access = token(&world.process(), &alice).await.unwrap();
        assert_eq!(access, format!("access-alice-{number}"));
    }
    let sent = world.login.requests();
    assert!(
        sent.iter()
            .all(|request| request.field("refresh_token").as_deref() == Some("refresh-alice-1"))
    );
}

#[tokio::test]
async fn what_a_user_must_do_at_the_server_ends_no_session() {
    // F5
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.advance(601);
    let wants = serde_json::json!({ "error": "interaction_required" });
    world
        .login
        .then(Answer::Reply(Reply::new(400).json(&wants)));
    assert_eq!(kind(&users, &alice).await, ErrorKind::SignInRequired);
    // B6: asked again after a pause, and not before.
    assert_eq!(kind(&users, &alice).await, ErrorKind::SignInRequired);
    assert_eq!(world.login.token_requests(), 1);
    world.advance(31);
    assert!(token(&users, &alice).await.is_ok());
}

#[tokio::test]
async fn wrong_client_credentials_end_no_session() {
    // F5
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.advance(601);
    let wrong = serde_json::json!({ "error": "invalid_client" });
    for _ in 0..4 {
        world
            .login
            .then(Answer::Reply(Reply::new(401).json(&wrong)));
        assert_eq!(kind(&users, &alice).await, ErrorKind::Rejected);
        world.advance(31);
    }
    assert!(token(&users, &alice).await.is_ok());
}

#[tokio::test]
async fn a_lost_answer_is_remembered_in_the_record_until_the_access_tokens_have_expired() {
    // E3, F6
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    // In the soft window the request is made, and its answer lost.
    world.advance(500);
    world.login.then(Answer::Cut);
    assert!(token(&users, &alice).await.is_ok());
    world.login.until_requests(1).await;
    until_landed(&users, &alice).await;
    // Another process, which knows nothing of it, keeps its hands off while there is a good token ...
    let other = world.process();
    assert_eq!(token(&other, &alice).await.unwrap(), "access-alice-1");
    let narrowed = TokenOptions::new().scope("more");
    let error = soon(other.for_subject(&alice).token_with(&narrowed))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    world.advance(95);
    assert_eq!(token(&other, &alice).await.unwrap(), "access-alice-1");
    assert_eq!(world.login.token_requests(), 1);
    // ... and tries when there is none any more. The server had never seen it.
    world.advance(6);
    assert_eq!(token(&other, &alice).await.unwrap(), "access-alice-2");
}

#[tokio::test]
async fn a_lost_answer_is_repeated_by_another_process_within_the_grace_period() {
    // E3
    let world = World::new().await;
    let alice = world.sign_in(&world.process(), "alice").await;
    let with_grace = |seconds| {
        world
            .builder()
            .reuse_grace(Duration::from_secs(seconds))
            .build()
            .unwrap()
    };
    world.advance(500);
    world.login.then(Answer::Cut);
    let first = world.process();
    // The first call takes the token from the store, and the second one sees that it is old.
    assert!(token(&first, &alice).await.is_ok());
    assert!(token(&first, &alice).await.is_ok());
    world.login.until_requests(1).await;
    until_landed(&first, &alice).await;
    world.advance(20);
    let narrowed = TokenOptions::new().scope("more");
    let too_late = with_grace(10);
    let error = soon(too_late.for_subject(&alice).token_with(&narrowed)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(world.login.token_requests(), 1);
    let in_time = with_grace(30);
    assert!(
        soon(in_time.for_subject(&alice).token_with(&narrowed))
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn a_mark_that_was_to_be_sent_under_again_still_says_that_the_answer_was_lost() {
    // E3
    let world = World::new().await;
    let alice = world.sign_in(&world.process(), "alice").await;
    lose_an_answer(&world, &world.process(), &alice).await;
    let grace = Duration::from_secs(30);
    let second = world.builder().reuse_grace(grace).build().unwrap();
    let narrowed = TokenOptions::new().scope("more");
    world.store.be(Mode::SavingSilently);
    let error = soon(second.for_subject(&alice).token_with(&narrowed)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Store);
    world.store.be(Mode::Well);
    // Longer than the server forgives.
    world.advance(40);
    // It looks for what somebody might still write.
    let of_alice = second.for_subject(&alice);
    let outcome = while_time_passes(&world.clock, of_alice.token_with(&narrowed)).await;
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(world.login.token_requests(), 1);
    assert!(!world.login.is_dead("alice"));
}

#[tokio::test]
async fn a_process_whose_clock_is_behind_forgives_nothing_longer_than_the_server_does() {
    // E3
    let world = World::new().await;
    let alice = world.sign_in(&world.process(), "alice").await;
    lose_an_answer(&world, &world.process(), &alice).await;
    // A minute and a half later, and by another machine's clock three minutes before.
    world.advance(90);
    let clock = TestClock::new();
    clock.advance(Duration::from_secs(320));
    let grace = Duration::from_secs(30);
    let builder = world.builder().clock(&clock).reuse_grace(grace);
    let behind = builder.build().unwrap();
    let narrowed = TokenOptions::new().scope("more");
    let error = soon(behind.for_subject(&alice).token_with(&narrowed)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(world.login.token_requests(), 1);
    assert!(!world.login.is_dead("alice"));
}

/// What becomes of a runtime that ends: its tasks are dropped where they stand.
async fn end(runtime: tokio::runtime::Runtime) {
    let ending = move || runtime.shutdown_timeout(Duration::from_secs(10));
    tokio::task::spawn_blocking(ending).await.unwrap();
}

fn elsewhere() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

#[tokio::test]
async fn a_new_refresh_token_outlives_the_runtime_that_was_saving_it() {
    // F2, A4
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.advance(601);
    world.login.hold();
    let runtime = elsewhere();
    runtime.spawn({
        let (users, alice) = (users.clone(), alice.clone());
        async move { token(&users, &alice).await }
    });
    world.login.until_held(1).await;
    world.store.hold(Call::Save);
    world.login.release();
    world.store.until_held(1).await;
    end(runtime).await;
    world.store.release();
    // Its lease has ended.
    world.advance(10);
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-2");
    assert_eq!(world.login.token_requests(), 1);
    world.advance(601);
    let other = world.process();
    assert_eq!(token(&other, &alice).await.unwrap(), "access-alice-3");
    assert!(!world.login.is_dead("alice"));
}

#[test]
fn a_new_refresh_token_outlives_the_runtime_that_tries_to_save_it_again() {
    // F2, A4
    let here = elsewhere();
    let world = here.block_on(World::new());
    let users = world.process();
    let alice = here.block_on(world.sign_in(&users, "alice"));
    // One that runs only while it is waited for, or its tasks would miss the time that passes.
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let ends = builder.enable_all().build().unwrap();
    ends.block_on(async {
        let waiting = world.refresh_under_way(&users, &alice).await;
        world.store.be(Mode::Failing(Call::Save));
        world.login.release();
        assert_eq!(waiting.await.unwrap().unwrap(), "access-alice-2");
        world.store.be(Mode::Well);
        world.store.hold(Call::Save);
        while_time_passes(&world.clock, world.store.until_held(1)).await;
    });
    drop(ends);
    here.block_on(async {
        world.store.release();
        world.advance(601);
        assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-3");
        assert!(!world.login.is_dead("alice"));
    });
}

#[tokio::test]
async fn a_lease_that_was_given_back_is_not_taken_again_by_who_had_kept_it() {
    // F3, F2
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let waiting = world.refresh_under_way(&users, &alice).await;
    world.store.be(Mode::Failing(Call::Save));
    world.login.release();
    assert_eq!(waiting.await.unwrap().unwrap(), "access-alice-2");
    let tries = world.store.calls(Call::Save) + 3;
    while_time_passes(&world.clock, world.store.until_calls(Call::Save, tries)).await;
    // The next try is 8 s away. A flight is sooner, and is done with it.
    world.store.be(Mode::Well);
    let narrowed = TokenOptions::new().scope("more");
    let handle = users.for_subject(&alice);
    assert!(soon(handle.token_with(&narrowed)).await.is_ok());
    let key = world.store.last_key();
    // Longer than who keeps a lease takes to renew it.
    time_passes(&world.clock, Duration::from_secs(4)).await;
    let of_another = reqwest_bearer::Lease::new(Duration::from_secs(10)).unwrap();
    let taken = reqwest_bearer::TokenStore::lease(world.store.memory(), &key, &of_another);
    assert!(taken.await.unwrap());
}

#[tokio::test]
async fn nobody_touches_a_record_whose_refresh_token_is_away() {
    // F2, F9: or its successor would find another version, and be dropped.
    let world = World::new().await;
    let short = Duration::from_secs(700);
    let users = world.builder().session_timeout(short).build().unwrap();
    let alice = world.sign_in(&users, "alice").await;
    let waiting = world.refresh_under_way(&users, &alice).await;
    world.store.be(Mode::Failing(Call::Save));
    world.login.release();
    assert_eq!(waiting.await.unwrap().unwrap(), "access-alice-2");
    // A look at the session in use, half of its time later, just before the next try to save it.
    let saves = world.store.calls(Call::Save);
    time_passes(&world.clock, Duration::from_millis(500)).await;
    world.advance(360);
    world.store.until_calls(Call::Save, saves + 1).await;
    world.store.be(Mode::Well);
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-2");
    soon(users.shutdown()).await.unwrap();
    let stored = world.store.record(&world.store.last_key()).await.unwrap();
    assert!(String::from_utf8_lossy(stored.data().unwrap()).contains("refresh-alice-2"));
}

#[tokio::test]
async fn what_the_store_has_not_taken_is_served_however_many_other_users_come() {
    // F2, F9
    let world = World::new().await;
    let users = world.builder().cache_capacity(16).build().unwrap();
    let alice = world.sign_in(&users, "alice").await;
    let waiting = world.refresh_under_way(&users, &alice).await;
    world.store.be(Mode::Failing(Call::Save));
    world.login.release();
    assert_eq!(waiting.await.unwrap().unwrap(), "access-alice-2");
    time_passes(&world.clock, Duration::from_secs(1)).await;
    for user in 0..100 {
        let nobody = crate::subject(&format!("user{user}"));
        assert_eq!(kind(&users, &nobody).await, ErrorKind::SignInRequired);
    }
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-2");
}

#[tokio::test]
async fn a_lost_answer_is_not_forgotten_because_the_next_attempt_was_turned_away() {
    // E3: only a success finds the refresh token again.
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    lose_an_answer(&world, &users, &alice).await;
    // An API refuses the token, so there is another attempt, and the server is busy.
    let busy = Reply::new(503).header("retry-after", "5");
    world.login.then(Answer::Reply(busy));
    let other = world.process();
    let refused = soon(other.for_subject(&alice).token()).await.unwrap();
    other.for_current_subject().invalidate(&refused);
    assert!(soon(other.for_subject(&alice).token()).await.is_ok());
    assert_eq!(world.login.token_requests(), 2);
    // A use of the old refresh token would end the access token, which is good elsewhere.
    let narrowed = TokenOptions::new().scope("more");
    let third = world.process();
    let error = soon(third.for_subject(&alice).token_with(&narrowed)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(world.login.token_requests(), 2);
    assert!(!world.login.is_dead("alice"));
}

#[tokio::test]
async fn what_is_saved_at_the_second_try_leaves_no_lease_behind_and_is_not_spent_before() {
    // F2, F3, C2
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let refused = soon(users.for_subject(&alice).token()).await.unwrap();
    world.login.hold();
    let forced = tokio::spawn({
        let handle = users.for_subject(&alice);
        async move {
            let options = TokenOptions::new().force_refresh();
            handle.token_with(&options).await
        }
    });
    world.login.until_held(1).await;
    // Refused meanwhile, so the flight would ask twice; but the store has not taken the first answer.
    world.clock.advance(Duration::from_millis(1));
    users.for_current_subject().invalidate(&refused);
    let saves = world.store.calls(Call::Save);
    world.store.hold(Call::Save);
    world.login.release();
    world.store.until_calls(Call::Save, saves + 1).await;
    world.store.be(Mode::Failing(Call::Save));
    world.store.release();
    assert!(soon(forced).await.unwrap().is_ok());
    assert_eq!(world.login.token_requests(), 1);
    world.store.be(Mode::Well);
    let key = world.store.last_key();
    let second = world.store.until_calls(Call::Save, saves + 2);
    while_time_passes(&world.clock, second).await;
    soon(users.shutdown()).await.unwrap();
    let of_another = reqwest_bearer::Lease::new(Duration::from_secs(10)).unwrap();
    let taken = reqwest_bearer::TokenStore::lease(world.store.memory(), &key, &of_another);
    assert!(taken.await.unwrap());
}

#[tokio::test]
async fn a_store_that_never_comes_back_keeps_no_dropped_source_alive() {
    // F2
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world
        .refresh_while_store_is(Mode::Down, &users, &alice)
        .await;
    let saves = world.store.calls(Call::Save);
    // Longer than it is tried without a source.
    while_time_passes(
        &world.clock,
        world.store.until_calls(Call::Save, saves + 15),
    )
    .await;
    drop(users);
    let saves = world.store.calls(Call::Save);
    // The hook for events goes with all else that the source had.
    let is_gone = until(async || std::sync::Arc::strong_count(&world.events) == 1);
    while_time_passes(&world.clock, is_gone).await;
    assert_eq!(world.store.calls(Call::Save), saves + 10);
}
