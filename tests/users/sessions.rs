//! F9, F10: signed in, looked at, signed out.

use std::time::Duration;

use reqwest_bearer::{ErrorKind, Event, Revocation, TokenSet, UserSessions};
use serde_json::json;

use crate::support::authorization_server::Answer;
use crate::support::http_server::Reply;
use crate::support::login::id_token;
use crate::support::store::{Call, Mode};
use crate::support::{soon, while_time_passes};
use crate::{World, kind, revocation, subject, token};

const DAY: u64 = 24 * 60 * 60;

#[tokio::test]
async fn a_user_signs_in_calls_is_refreshed_and_signs_out() {
    // F10
    let world = World::new().await;
    let users = world.process();
    let alice = subject("alice");
    assert_eq!(kind(&users, &alice).await, ErrorKind::SignInRequired);
    assert!(users.status_of(&alice).await.unwrap().is_none());
    world.sign_in(&users, "alice").await;
    let first = token(&users, &alice).await.unwrap();
    assert_eq!(
        world.login.token_requests(),
        0,
        "the sign-in's own token serves"
    );
    world.advance(601);
    let second = token(&users, &alice).await.unwrap();
    assert_ne!(first, second);
    world.advance(601);
    token(&users, &alice).await.unwrap();
    assert_eq!(
        world.login.token_requests(),
        2,
        "the rotated refresh token was kept"
    );
    let access = token(&users, &alice).await.unwrap();
    let more = reqwest_bearer::TokenOptions::new().scope("more");
    let more_access = soon(users.for_subject(&alice).token_with(&more))
        .await
        .unwrap();
    let more_access = more_access.expose().to_owned();
    let refresh = world.login.refresh_token("alice");
    revocation(&users, &alice).await;
    let text = |text: &str| text.to_owned();
    let mut revoked = world.login.revocations();
    assert_eq!(revoked.remove(0), (refresh, text("refresh_token")));
    revoked.sort();
    let mut expected = [access, more_access].map(|token| (token, text("access_token")));
    expected.sort();
    assert_eq!(revoked, expected);
    assert_eq!(kind(&users, &alice).await, ErrorKind::SignInRequired);
    let narrowed = soon(users.for_subject(&alice).token_with(&more)).await;
    assert_eq!(narrowed.unwrap_err().kind(), ErrorKind::SignInRequired);
    assert!(users.status_of(&alice).await.unwrap().is_none());
    assert!(world.store.memory().is_empty());
    // Signing out once more has nothing to do.
    users.sign_out(&alice).await.unwrap();
}

#[tokio::test]
async fn a_status_says_which_tokens_there_are_and_when_they_end_and_never_what_they_are() {
    // F10, D6
    let world = World::new().await;
    let users = world.process();
    world.login.member("refresh_token_expires_in", 3600.into());
    let alice = world.sign_in(&users, "alice").await;
    let now = world.clock.system_time();
    let options = reqwest_bearer::TokenOptions::new().scope("more");
    let narrowed = users.for_subject(&alice);
    soon(narrowed.token_with(&options)).await.unwrap();
    let status = users.status_of(&alice).await.unwrap().unwrap();
    assert!(status.has_refresh_token());
    assert!(!status.is_sign_in_required());
    assert_eq!(status.ends_at(), Some(now + Duration::from_secs(3600)));
    let tokens = status.access_tokens();
    assert_eq!(tokens.len(), 2);
    for token in tokens {
        assert_eq!(token.issued_at(), now);
        assert_eq!(token.expires_at(), Some(now + Duration::from_secs(600)));
    }
    assert!(
        tokens
            .iter()
            .any(|token| token.parameters().scope_text().as_deref() == Some("more"))
    );
    let shown = format!("{status:?} {users:?}");
    assert!(!shown.contains("access-") && !shown.contains("refresh-") && !shown.contains("alice"));
}

#[tokio::test]
async fn a_server_that_is_down_does_not_keep_a_user_signed_in() {
    // F10
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let dead_end = reqwest_bearer::TokenEndpoint::builder(
        reqwest_bearer::ClientAuthentication::none("client"),
    )
    .token_url("http://127.0.0.1:9/token")
    .revocation_url("http://127.0.0.1:9/revoke")
    .build()
    .unwrap();
    let events = world.events.clone();
    let cut_off = reqwest_bearer::UserSessions::builder(&dead_end)
        .store(world.store.clone())
        .clock(&world.clock)
        .on_event(move |event| events.lock().unwrap().push(event.clone()))
        .build()
        .unwrap();
    cut_off
        .sign_in(&alice, TokenSet::new("a").with_refresh_token("r"))
        .await
        .unwrap();
    let Revocation::Failed(error) = revocation(&cut_off, &alice).await else {
        panic!("a server that is down has revoked nothing");
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    let failed = |event: &Event| matches!(event, Event::RevocationFailed { .. });
    assert_eq!(world.count_events(failed), 2);
    assert_eq!(kind(&cut_off, &alice).await, ErrorKind::SignInRequired);
    // Another client's record of the same subject is another record (D8).
    assert!(users.status_of(&alice).await.unwrap().is_some());
}

#[tokio::test]
async fn a_store_that_is_down_at_the_sign_out_is_an_error_and_the_next_try_succeeds() {
    // F10
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.store.be(Mode::Down);
    let error = users.sign_out(&alice).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.is_transient());
    assert!(world.login.revocations().is_empty());
    world.store.be(Mode::Well);
    revocation(&users, &alice).await;
    assert_eq!(world.login.revocations().len(), 2);
}

#[tokio::test]
async fn a_sign_in_that_cannot_be_stored_is_an_error_and_leaves_the_earlier_one() {
    // F10
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let first = token(&users, &alice).await.unwrap();
    world.store.be(Mode::Failing(Call::Save));
    let tokens = TokenSet::new("second").with_refresh_token("r");
    let error = users.sign_in(&alice, tokens.clone()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert_eq!(token(&users, &alice).await.unwrap(), first);
    world.store.be(Mode::Well);
    users.sign_in(&alice, tokens).await.unwrap();
    assert_eq!(token(&users, &alice).await.unwrap(), "second");
}

#[tokio::test]
async fn a_sign_in_that_the_store_carried_out_without_an_answer_has_succeeded() {
    // F10: an earlier session is gone by then, so an error would leave the user between the two.
    for has_earlier in [false, true] {
        let world = World::new().await;
        let users = world.process();
        let alice = subject("alice");
        if has_earlier {
            world.sign_in(&users, "alice").await;
        }
        world.store.be(Mode::SavingSilently);
        let tokens = TokenSet::new("second").with_refresh_token("r");
        soon(users.sign_in(&alice, tokens)).await.unwrap();
        assert_eq!(token(&users, &alice).await.unwrap(), "second");
        world.store.be(Mode::Well);
        assert_eq!(token(&world.process(), &alice).await.unwrap(), "second");
    }
}

#[tokio::test]
async fn a_token_set_that_cannot_serve_is_no_sign_in() {
    // F10, D7
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let before = token(&users, &alice).await.unwrap();
    let bad = TokenSet::new("a b").with_refresh_token("r");
    assert_eq!(
        users.sign_in(&alice, bad).await.unwrap_err().kind(),
        ErrorKind::Protocol
    );
    assert_eq!(token(&users, &alice).await.unwrap(), before);
}

#[tokio::test]
async fn a_session_without_a_refresh_token_ends_with_its_access_token() {
    // F9, F10
    let world = World::new().await;
    let users = world.process();
    let alice = subject("alice");
    let now = world.clock.system_time();
    let tokens = TokenSet::new("only")
        .with_issued_at(now)
        .with_expires_at(now + Duration::from_secs(600));
    users.sign_in(&alice, tokens).await.unwrap();
    assert_eq!(token(&users, &alice).await.unwrap(), "only");
    world.advance(599);
    assert_eq!(token(&users, &alice).await.unwrap(), "only");
    world.advance(1);
    assert_eq!(kind(&users, &alice).await, ErrorKind::SignInRequired);
    assert!(world.store.memory().is_empty());
    assert_eq!(world.login.token_requests(), 0);
}

#[tokio::test]
async fn a_flight_that_lands_after_the_sign_out_brings_nothing_back() {
    // F10
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let waiting = world.refresh_under_way(&users, &alice).await;
    soon(users.sign_out(&alice)).await.unwrap();
    world.login.release();
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    users.shutdown().await.unwrap();
    assert!(world.store.memory().is_empty());
    // The access token had expired, so one was revoked at the sign-out; then what the flight brought.
    let revoked: Vec<_> = world
        .login
        .revocations()
        .into_iter()
        .map(|(token, _)| token)
        .collect();
    assert!(
        revoked.contains(&"refresh-alice-1".to_owned()),
        "{revoked:?}"
    );
    assert!(world.login.is_dead("alice"));
}

#[tokio::test]
async fn what_a_flight_brings_after_the_sign_out_is_revoked() {
    // F10
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let waiting = world.refresh_under_way(&users, &alice).await;
    // The record goes without a word to the server, as by another process whose server is down.
    let key = world.store.last_key();
    reqwest_bearer::TokenStore::remove(world.store.memory(), &key)
        .await
        .unwrap();
    world.login.release();
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    users.shutdown().await.unwrap();
    let revoked: Vec<_> = world
        .login
        .revocations()
        .into_iter()
        .map(|(token, _)| token)
        .collect();
    assert_eq!(revoked, ["refresh-alice-2", "access-alice-2"]);
    assert!(world.store.memory().is_empty());
}

#[tokio::test]
async fn what_a_flight_brings_after_the_sign_out_is_revoked_also_if_somebody_has_signed_in_since() {
    // F10: by this process or by another one, and also if the store was down in between.
    for (here, is_store_down) in [(true, false), (false, false), (true, true), (false, true)] {
        let world = World::new().await;
        let (users, other) = (world.process(), world.process());
        let kiosk = subject("kiosk");
        let sign_in = async |source: &reqwest_bearer::UserSessions, user: &str| {
            let tokens = world.login.sign_in(user, world.clock.system_time());
            source.sign_in(&kiosk, tokens).await.unwrap();
        };
        sign_in(&users, "alice").await;
        let waiting = world.refresh_under_way(&users, &kiosk).await;
        let past_the_door = world.builder().store(world.store.memory().clone());
        let past_the_door = past_the_door.build().unwrap();
        if is_store_down {
            // The flight lands first, and has to keep what it brought.
            world.store.be(Mode::Failing(Call::Save));
            world.login.release();
            soon(waiting).await.unwrap().unwrap();
            // The record goes without a word to the server, as by another process whose server is
            // down.
            let key = world.store.last_key();
            reqwest_bearer::TokenStore::remove(world.store.memory(), &key)
                .await
                .unwrap();
            sign_in(&past_the_door, "bob").await;
            world.store.be(Mode::Well);
        } else {
            let key = world.store.last_key();
            reqwest_bearer::TokenStore::remove(world.store.memory(), &key)
                .await
                .unwrap();
            sign_in(if here { &users } else { &other }, "bob").await;
            world.login.release();
            let error = soon(waiting).await.unwrap().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SignInRequired);
        }
        soon(users.shutdown()).await.unwrap();
        let revoked = world.login.revocations();
        let revoked: Vec<_> = revoked.iter().map(|(token, _)| token.as_str()).collect();
        let brought = world.login.refresh_token("alice");
        assert_ne!(brought, "refresh-alice-1");
        assert!(revoked.contains(&brought.as_str()), "{here} {revoked:?}");
        assert!(!world.login.is_dead("bob"), "{here} {revoked:?}");
        assert!(token(&other, &kiosk).await.unwrap().contains("bob"));
    }
}

#[tokio::test]
async fn what_a_late_writer_of_the_same_session_brings_is_not_revoked() {
    // F10, F3: it is of the same family, and revoking it would end the session that lives on.
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.login.keep_refresh_tokens();
    let waiting = world.refresh_under_way(&users, &alice).await;
    // Another process takes the record over, as after a lease that ran out.
    let key = world.store.last_key();
    let memory = world.store.memory();
    let record = reqwest_bearer::TokenStore::load(memory, &key)
        .await
        .unwrap();
    let record = record.unwrap();
    let other_version = reqwest_bearer::Version::of_bytes(b"another");
    let again = reqwest_bearer::StoredRecord::new(other_version, record.data().unwrap());
    let keep_for = Duration::from_secs(DAY);
    let saved =
        reqwest_bearer::TokenStore::save(memory, &key, again, Some(record.version()), keep_for);
    assert!(saved.await.unwrap());
    world.login.release();
    world.until_ended(1).await;
    let next = while_time_passes(&world.clock, waiting).await;
    assert!(next.unwrap().is_ok());
    soon(users.shutdown()).await.unwrap();
    assert!(world.login.revocations().is_empty());
}

#[tokio::test]
async fn a_session_that_cannot_be_refreshed_keeps_to_the_pauses_while_its_token_is_good() {
    // B4, B5, F11: without a refresh token, and with one that is known to be dead.
    for is_dead in [false, true] {
        let world = World::new().await;
        let users = world.process();
        let alice = subject("alice");
        let now = world.clock.system_time();
        let tokens = match is_dead {
            true => world.login.sign_in("alice", now),
            false => TokenSet::new("access-alice-1")
                .with_issued_at(now)
                .with_expires_at(now + Duration::from_secs(600)),
        };
        users.sign_in(&alice, tokens).await.unwrap();
        if is_dead {
            world.login.end_family("alice");
        }
        let hundred_calls = async || {
            let before = world.store.calls(Call::Load);
            for _ in 0..100 {
                assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-1");
                crate::until_landed(&users, &alice).await;
            }
            world.store.calls(Call::Load) - before
        };
        // The soft window begins at 480 s, and its longest pause is 30 s.
        for age in [480, 31, 31] {
            world.advance(age);
            assert!(hundred_calls().await <= 3, "{is_dead} {age}");
        }
        // In the hard window nobody waits for a store that hangs, since its turn was taken.
        world.advance(29);
        hundred_calls().await;
        world.store.be(Mode::Hanging);
        assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-1");
    }
}

#[tokio::test]
async fn a_second_sign_in_takes_the_place_of_the_first_also_under_a_flight() {
    // F10: for whom a call waits that began before is told by the id tokens, if there are any.
    for (id_tokens, expected) in [
        (Some(["alice", "alice"]), Ok("access-alice-2")),
        (Some(["alice", "bob"]), Err(ErrorKind::SignInRequired)),
        (None, Err(ErrorKind::SignInRequired)),
    ] {
        let world = World::new().await;
        let users = world.process();
        let subject = subject("the same");
        let sign_in = async |number: usize| {
            let tokens = world.login.sign_in("alice", world.clock.system_time());
            let tokens = match id_tokens {
                Some(about) => tokens.with_id_token(id_token(about[number])),
                None => tokens,
            };
            users.sign_in(&subject, tokens).await.unwrap();
        };
        sign_in(0).await;
        world.advance(601);
        world.login.hold();
        let waiting = tokio::spawn({
            let (users, subject) = (users.clone(), subject.clone());
            async move { token(&users, &subject).await }
        });
        world.login.until_held(1).await;
        sign_in(1).await;
        // A call that begins now has the new session's token.
        assert_eq!(token(&users, &subject).await.unwrap(), "access-alice-2");
        world.login.release();
        let outcome = soon(waiting).await.unwrap();
        let outcome = outcome.map_err(|error| error.kind());
        assert_eq!(outcome, expected.map(ToOwned::to_owned), "{id_tokens:?}");
        assert_eq!(token(&users, &subject).await.unwrap(), "access-alice-2");
    }
}

#[tokio::test]
async fn a_second_sign_in_counts_for_a_flight_that_pauses_before_its_next_attempt() {
    // F10, E3
    let world = World::new().await;
    let users = world.process();
    let subject = subject("the same");
    let sign_in = async || {
        let tokens = world.login.sign_in("alice", world.clock.system_time());
        let tokens = tokens.with_id_token(id_token("alice"));
        users.sign_in(&subject, tokens).await.unwrap();
    };
    sign_in().await;
    world.advance(601);
    world.login.then(Answer::Reply(Reply::new(503)));
    let waiting = tokio::spawn({
        let (users, subject) = (users.clone(), subject.clone());
        async move { token(&users, &subject).await }
    });
    world.until_ended(1).await;
    sign_in().await;
    let waited = while_time_passes(&world.clock, waiting).await;
    let token = waited.unwrap().unwrap();
    assert_eq!(token, "access-alice-2");
    assert_eq!(world.login.token_requests(), 1);
}

/// How one user leaves and the next one comes, as the process sees it whose call is away.
#[derive(Clone, Copy, Debug)]
struct Passing {
    with_id_tokens: bool,
    first_came_here: bool,
    leaves_here: bool,
    second_comes_here: bool,
    /// This process looks into the store while nobody is signed in.
    is_seen_empty: bool,
}

impl Passing {
    fn all() -> impl Iterator<Item = Self> {
        (0..32).map(|number: u32| {
            let is = |bit: u32| number & (1 << bit) != 0;
            Self {
                with_id_tokens: is(0),
                first_came_here: is(1),
                leaves_here: is(2),
                second_comes_here: is(3),
                is_seen_empty: is(4),
            }
        })
    }

    /// Signs the user in at the place that all share.
    async fn sign_in(self, world: &World, source: &reqwest_bearer::UserSessions, user: &str) {
        let mut tokens = world.login.sign_in(user, world.clock.system_time());
        if self.with_id_tokens {
            tokens = tokens.with_id_token(id_token(user));
        }
        source.sign_in(&subject("kiosk"), tokens).await.unwrap();
    }
}

#[tokio::test]
async fn a_request_of_one_user_is_not_sent_again_with_the_token_of_the_next() {
    // F10, C8: whichever process signs whom in and out, with or without id tokens.
    for passing in Passing::all() {
        let world = World::new().await;
        let (users, other) = (world.process(), world.process());
        let process = |here| if here { &users } else { &other };
        let kiosk = subject("kiosk");
        passing
            .sign_in(&world, process(passing.first_came_here), "alice")
            .await;
        let client = world.client(&users).for_subject(&kiosk);
        // Past the sign-in of a first refresh, so that this process knows whom the session is about.
        world.advance(30);
        assert!(client.get("x").send().await.is_ok());
        world.api.hold();
        world.login.end("access-alice-1");
        let call = tokio::spawn({
            let client = client.clone();
            async move { client.get("x").send().await.unwrap() }
        });
        world.api.until_held(1).await;
        process(passing.leaves_here).sign_out(&kiosk).await.unwrap();
        if passing.is_seen_empty {
            world.advance(61);
            assert_eq!(kind(&users, &kiosk).await, ErrorKind::SignInRequired);
        }
        passing
            .sign_in(&world, process(passing.second_comes_here), "bob")
            .await;
        world.api.release();
        let answer = soon(call).await.unwrap();
        assert_eq!(answer.status(), 401, "{passing:?}");
        let reason = reqwest_bearer::Error::find_in_response(&answer).unwrap();
        assert_eq!(reason.kind(), ErrorKind::SignInRequired, "{passing:?}");
        let tokens = world.api.tokens();
        assert!(
            tokens.iter().all(|token| token.contains("alice")),
            "{passing:?} {tokens:?}"
        );
        // The next request is the next user's.
        assert_eq!(soon(client.get("x").send()).await.unwrap().status(), 200);
    }
}

#[tokio::test]
async fn a_call_of_one_user_that_waits_is_not_served_with_the_token_of_the_next() {
    // F10: whichever process signs whom in and out, with or without id tokens.
    for passing in Passing::all().filter(|passing| !passing.is_seen_empty) {
        let world = World::new().await;
        let (users, other) = (world.process(), world.process());
        let process = |here| if here { &users } else { &other };
        let kiosk = subject("kiosk");
        passing
            .sign_in(&world, process(passing.first_came_here), "alice")
            .await;
        token(&users, &kiosk).await.unwrap();
        let waiting = world.refresh_under_way(&users, &kiosk).await;
        // One that comes when the request is out already joins the flight.
        let mut late = Box::pin(token(&users, &kiosk));
        assert!(futures_util::poll!(late.as_mut()).is_pending());
        process(passing.leaves_here).sign_out(&kiosk).await.unwrap();
        passing
            .sign_in(&world, process(passing.second_comes_here), "bob")
            .await;
        world.login.release();
        for outcome in [soon(waiting).await.unwrap(), late.await] {
            assert_eq!(
                outcome.map_err(|error| error.kind()),
                Err(ErrorKind::SignInRequired),
                "{passing:?}"
            );
        }
        let next = token(&users, &kiosk).await.unwrap();
        assert!(next.contains("bob"), "{passing:?} {next}");
    }
}

#[tokio::test]
async fn an_id_token_about_somebody_else_is_refused_with_all_that_came_along() {
    // F10
    let world = World::new().await;
    let users = world.process();
    let alice = subject("alice");
    let tokens = world.login.sign_in("alice", world.clock.system_time());
    users
        .sign_in(&alice, tokens.with_id_token(id_token("alice")))
        .await
        .unwrap();
    world.login.id_tokens_about("alice");
    world.advance(601);
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-2");
    world.login.id_tokens_about("mallory");
    world.advance(601);
    assert_eq!(kind(&users, &alice).await, ErrorKind::Protocol);
    let status = users.status_of(&alice).await.unwrap().unwrap();
    assert_eq!(status.access_tokens().len(), 1, "what came is not kept");
}

#[tokio::test]
async fn nobody_waits_for_what_was_refused_with_an_id_token_about_somebody_else() {
    // F10, E3
    let world = World::new().await;
    let users = world.process();
    let alice = subject("alice");
    let set = world.login.sign_in("alice", world.clock.system_time());
    let set = set.with_id_token(id_token("alice"));
    users.sign_in(&alice, set).await.unwrap();
    world.login.id_tokens_about("mallory");
    world.advance(601);
    assert_eq!(kind(&users, &alice).await, ErrorKind::Protocol);
    // The clock stands still: the refresh token is spent, and the server says so at once.
    assert_eq!(
        kind(&world.process(), &alice).await,
        ErrorKind::SignInRequired
    );
}

#[tokio::test]
async fn a_dead_refresh_token_is_a_redirect_to_the_sign_in_and_asks_the_server_once() {
    // F5, F10, E8
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.login.end_family("alice");
    world.advance(601);
    for _ in 0..3 {
        let error = token(&users, &alice).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignInRequired);
        assert!(!error.is_transient());
        world.advance(60);
    }
    assert_eq!(world.login.token_requests(), 1);
    // Nor does another process ask: the record says it.
    assert_eq!(
        kind(&world.process(), &alice).await,
        ErrorKind::SignInRequired
    );
    assert_eq!(world.login.token_requests(), 1);
    let status = users.status_of(&alice).await.unwrap().unwrap();
    assert!(status.is_sign_in_required());
    // And a new sign-in through that one counts here at once.
    world.sign_in(&world.process(), "alice").await;
    assert!(token(&users, &alice).await.is_ok());
}

#[tokio::test]
async fn what_one_api_wants_of_the_user_ends_its_token_alone_until_a_sign_in_or_for_ten_minutes() {
    // K12, F5: one sign-in, two APIs, and the second wants a second factor.
    let claims = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#;
    let wants = serde_json::json!({
        "error": "invalid_grant", "suberror": "basic_action", "claims": claims,
    });
    for signs_in_here in [true, false] {
        let world = World::new().await;
        let users = world.process();
        let alice = world.sign_in(&users, "alice").await;
        let handle = users.for_subject(&alice);
        let second_api = reqwest_bearer::TokenOptions::new().resource("https://second.test");
        let refused = || Answer::Reply(Reply::new(400).json(&wants));
        world.login.then(refused());
        for _ in 0..10 {
            let error = soon(handle.token_with(&second_api)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SignInRequired);
            assert_eq!(error.claims(), Some(claims));
            world.advance(59);
        }
        assert_eq!(world.login.token_requests(), 1);
        // The first one goes on, and is refreshed.
        world.advance(9);
        let status = users.status_of(&alice).await.unwrap().unwrap();
        assert!(!status.is_sign_in_required());
        world.advance(1);
        world.login.then(refused());
        let error = soon(handle.token_with(&second_api)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignInRequired);
        assert_eq!(world.login.token_requests(), 2);
        world.advance(1);
        token(&users, &alice).await.unwrap();
        assert_eq!(world.login.token_requests(), 3);
        // The user signs in again, with what the claims asked for.
        let other = world.process();
        let process = if signs_in_here { &users } else { &other };
        world.sign_in(process, "alice").await;
        soon(handle.token_with(&second_api)).await.unwrap();
    }
}

#[tokio::test]
async fn invalidated_tokens_are_replaced_at_the_next_call() {
    // F10
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let bob = world.sign_in(&users, "bob").await;
    let options = reqwest_bearer::TokenOptions::new().scope("more");
    let handle = users.for_subject(&alice);
    let more = soon(handle.token_with(&options)).await.unwrap();
    let before = [
        token(&users, &alice).await.unwrap(),
        token(&users, &bob).await.unwrap(),
    ];
    handle.invalidate_all().unwrap();
    assert_ne!(token(&users, &alice).await.unwrap(), before[0]);
    assert_ne!(
        soon(handle.token_with(&options)).await.unwrap().expose(),
        more.expose()
    );
    assert_eq!(token(&users, &bob).await.unwrap(), before[1]);
}

#[tokio::test]
async fn a_handle_with_parameters_invalidates_the_tokens_without_them_too() {
    // F10
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let parameters = reqwest_bearer::TokenParameters::new().scope("more");
    let handle = users.for_subject(&alice).with_parameters(parameters);
    let more = soon(handle.token()).await.unwrap();
    let before = token(&users, &alice).await.unwrap();
    handle.invalidate_all().unwrap();
    assert_ne!(token(&users, &alice).await.unwrap(), before);
    let after = soon(handle.token()).await.unwrap();
    assert_ne!(after.expose(), more.expose());
}

#[tokio::test]
async fn sessions_leave_after_thirty_days_without_use_and_not_before() {
    // F9
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let bob = world.sign_in(&users, "bob").await;
    world.advance(20 * DAY);
    token(&users, &alice).await.unwrap();
    world.advance(11 * DAY);
    assert_eq!(kind(&users, &bob).await, ErrorKind::SignInRequired);
    token(&users, &alice).await.unwrap();
    assert_eq!(world.store.memory().len(), 1);
}

#[tokio::test]
async fn a_session_whose_token_never_ends_stays_as_long_as_it_is_used() {
    // F9
    let world = World::new().await;
    let builder = UserSessions::builder(&world.login.endpoint());
    let without_store = builder.clock(&world.clock).build().unwrap();
    for users in [world.process(), without_store] {
        let alice = subject("alice");
        let tokens = TokenSet::new("for-ever").with_refresh_token("r");
        users.sign_in(&alice, tokens).await.unwrap();
        for _ in 0..60 {
            world.advance(DAY);
            assert_eq!(token(&users, &alice).await.unwrap(), "for-ever");
        }
        assert_eq!(world.login.token_requests(), 0);
        assert!(users.status_of(&alice).await.unwrap().is_some());
        let revoked = revocation(&users, &alice).await;
        assert!(matches!(revoked, Revocation::Revoked), "{revoked:?}");
    }
}

#[tokio::test]
async fn a_session_that_a_new_process_uses_each_day_stays_also_if_its_token_never_ends() {
    // F9: a command-line program, or one that has many more users than its cache has room for.
    let world = World::new().await;
    let alice = subject("alice");
    let tokens = TokenSet::new("for-ever").with_refresh_token("r");
    world.process().sign_in(&alice, tokens).await.unwrap();
    for _ in 0..60 {
        world.advance(DAY);
        assert_eq!(token(&world.process(), &alice).await.unwrap(), "for-ever");
    }
    assert_eq!(world.login.token_requests(), 0);
    world.advance(30 * DAY);
    let unused = kind(&world.process(), &alice).await;
    assert_eq!(unused, ErrorKind::SignInRequired);
}

#[tokio::test]
async fn a_session_ends_when_the_server_ends_its_refresh_token() {
    // F9
    let world = World::new().await;
    let users = world.process();
    world
        .login
        .member("refresh_token_expires_in", "3600".into());
    let alice = world.sign_in(&users, "alice").await;
    world.advance(601);
    token(&users, &alice).await.unwrap();
    world.advance(3599);
    assert!(users.status_of(&alice).await.unwrap().is_some());
    world.advance(1);
    assert!(users.status_of(&alice).await.unwrap().is_none());
    // One that ends before the access token leaves that one its life.
    world.login.member("refresh_token_expires_in", 60.into());
    let carol = world.sign_in(&users, "carol").await;
    world.advance(601);
    token(&users, &carol).await.unwrap();
    world.advance(599);
    assert!(token(&world.process(), &carol).await.is_ok());
    world.advance(1);
    assert!(users.status_of(&carol).await.unwrap().is_none());
    world
        .login
        .member("refresh_token_expires_in", "3600".into());
    // A new refresh token of which the server says nothing has no end that is known.
    let bob = world.sign_in(&users, "bob").await;
    world.advance(601);
    token(&users, &bob).await.unwrap();
    world.login.no_members();
    world.advance(601);
    token(&users, &bob).await.unwrap();
    world.advance(3600);
    assert!(users.status_of(&bob).await.unwrap().is_some());
}

#[tokio::test]
async fn a_session_lives_as_long_as_its_refresh_token_whatever_the_server_calls_that() {
    // K8, F9
    let hundred_days = 100 * DAY;
    let end = 1_767_225_600 + 601 + hundred_days;
    for (name, value) in [
        ("x_refresh_token_expires_in", json!(hundred_days)),
        ("refresh_token_expires_in", json!(hundred_days.to_string())),
        ("refresh_expires_in", json!(hundred_days)),
        ("refresh_token_expires_at", json!(end)),
        ("refresh_token_expires_on", json!("2026-04-11T00:10:01Z")),
    ] {
        let world = World::new().await;
        let users = world.process();
        let answer = json!({
            "access_token": "access", "refresh_token": "refresh", "expires_in": 600, name: value,
        });
        let reply = Reply::new(200).header("date", "Thu, 01 Jan 2026 00:10:01 GMT");
        world.login.then(Answer::Reply(reply.json(&answer)));
        let alice = world.sign_in(&users, "alice").await;
        world.advance(601);
        token(&users, &alice).await.unwrap();
        world.advance(hundred_days - 1);
        let status = users.status_of(&alice).await.unwrap();
        assert!(
            status.is_some_and(|status| status.has_refresh_token()),
            "{name}"
        );
        world.advance(1);
        assert!(users.status_of(&alice).await.unwrap().is_none(), "{name}");
    }
}

#[tokio::test]
async fn sessions_outlive_the_bounded_cache() {
    // F9
    let world = World::new().await;
    let users = world.builder().cache_capacity(16).build().unwrap();
    for user in 0..100 {
        world.sign_in(&users, &format!("user{user}")).await;
    }
    for user in 0..100 {
        let name = format!("user{user}");
        let access = token(&users, &subject(&name)).await.unwrap();
        assert_eq!(world.login.owner(&access).as_deref(), Some(&*name));
    }
    assert_eq!(
        world.login.token_requests(),
        0,
        "the store has their tokens"
    );
}

#[tokio::test]
async fn the_hot_path_never_asks_the_store() {
    // F11
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let client = world.client(&users).for_subject(&alice);
    let before = world.store.all_calls().len();
    world.store.be(Mode::Hanging);
    for _ in 0..100 {
        assert_eq!(soon(client.get("x").send()).await.unwrap().status(), 200);
    }
    assert_eq!(world.store.all_calls().len(), before);
}

#[tokio::test]
async fn a_sign_out_reaches_tokens_whose_user_s_own_place_was_not_used_for_long() {
    // F9, F10
    let world = World::new().await;
    let users = world
        .builder()
        .cache_capacity(16)
        // No look into the store finds out by itself.
        .notice_within(Duration::from_secs(DAY))
        .build()
        .unwrap();
    let alice = world.sign_in(&users, "alice").await;
    let handle = users.for_subject(&alice);
    let more = reqwest_bearer::TokenOptions::new().scope("more");
    for user in 0..100 {
        world.advance(1);
        soon(handle.token_with(&more)).await.unwrap();
        world.sign_in(&users, &format!("user{user}")).await;
    }
    assert_eq!(
        world.login.token_requests(),
        1,
        "alice's token is kept ready"
    );
    users.sign_out(&alice).await.unwrap();
    let error = soon(handle.token_with(&more)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
}

#[tokio::test]
async fn a_death_is_remembered_as_long_as_the_record_is_the_same() {
    // F5
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.login.end_family("alice");
    world.advance(601);
    assert_eq!(kind(&users, &alice).await, ErrorKind::SignInRequired);
    // A sign-in that brings no access token: this process has to ask for one.
    let tokens = world.login.sign_in("alice", world.clock.system_time());
    let refresh_token = tokens.refresh_token().unwrap().clone();
    let only = TokenSet::from_refresh_token(refresh_token);
    world.process().sign_in(&alice, only).await.unwrap();
    world.advance(1);
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-3");
}

#[tokio::test]
async fn a_sign_out_of_which_the_store_does_not_say_that_it_took_it_revokes_all_the_same() {
    // F10
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.store.be(Mode::RemovingSilently);
    revocation(&users, &alice).await;
    assert!(world.store.memory().is_empty());
    assert_eq!(world.login.revocations().len(), 2);
}

#[tokio::test]
async fn a_sign_out_that_the_store_does_not_take_loses_no_refresh_token() {
    // F2, F10
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world
        .refresh_while_store_is(Mode::Down, &users, &alice)
        .await;
    let error = users.sign_out(&alice).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    world.store.be(Mode::Well);
    revocation(&users, &alice).await;
    let revoked = world.login.revocations();
    let newest = ("refresh-alice-2".to_owned(), "refresh_token".to_owned());
    assert!(revoked.contains(&newest), "{revoked:?}");
    soon(users.shutdown()).await.unwrap();
    assert!(world.store.memory().is_empty());
}

#[tokio::test]
async fn a_sign_in_through_another_process_counts_at_once_whatever_is_remembered_here() {
    // F5, B6: or a user who comes back from the sign-in page would be sent there again.
    let wants = serde_json::json!({ "error": "interaction_required" });
    let wait = Reply::new(429).header("retry-after", "3600");
    let dead = serde_json::json!({ "error": "invalid_grant" });
    for (answer, expected) in [
        (Reply::new(400).json(&wants), ErrorKind::SignInRequired),
        (Reply::new(400).json(&dead), ErrorKind::SignInRequired),
        (wait, ErrorKind::Unavailable),
    ] {
        let world = World::new().await;
        let users = world.process();
        let alice = world.sign_in(&users, "alice").await;
        world.advance(601);
        world.login.then(Answer::Reply(answer));
        for _ in 0..10 {
            assert_eq!(kind(&users, &alice).await, expected);
        }
        assert_eq!(world.login.token_requests(), 1);
        world.sign_in(&world.process(), "alice").await;
        assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-2");
        assert_eq!(world.login.token_requests(), 1);
    }
}

#[tokio::test]
async fn a_sign_out_outlives_the_caller_that_went_away() {
    // F10, A2: a browser that closes its connection drops the handler in the midst.
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.store.hold(Call::Remove);
    let leaving = tokio::spawn({
        let (users, alice) = (users.clone(), alice.clone());
        async move { users.sign_out(&alice).await }
    });
    world.store.until_held(1).await;
    leaving.abort();
    assert!(leaving.await.is_err());
    world.store.release();
    soon(users.shutdown()).await.unwrap();
    assert_eq!(world.login.revocations().len(), 2);
    assert!(world.store.memory().is_empty());
    assert_eq!(kind(&users, &alice).await, ErrorKind::ShutDown);
}

#[tokio::test]
async fn a_sign_in_outlives_the_caller_that_went_away() {
    // F10, A2: the store has the new session, so this process must not go on with the earlier one.
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.store.hold(Call::Save);
    let leaving = tokio::spawn({
        let (users, alice) = (users.clone(), alice.clone());
        let tokens = world.login.sign_in("alice", world.clock.system_time());
        async move { users.sign_in(&alice, tokens).await }
    });
    world.store.until_held(1).await;
    leaving.abort();
    assert!(leaving.await.is_err());
    world.store.release();
    soon(users.shutdown()).await.unwrap();
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-2");
}

#[tokio::test]
async fn subjects_who_never_signed_in_drive_nobody_out_and_ask_nobody() {
    // F9
    let world = World::new().await;
    let users = world.builder().cache_capacity(16).build().unwrap();
    let alice = world.sign_in(&users, "alice").await;
    for stranger in 0..100 {
        let stranger = subject(&format!("stranger{stranger}"));
        assert_eq!(kind(&users, &stranger).await, ErrorKind::SignInRequired);
    }
    let loads = world.store.calls(Call::Load);
    assert!(token(&users, &alice).await.is_ok());
    assert_eq!(
        world.store.calls(Call::Load),
        loads,
        "alice's token is kept ready"
    );
    assert_eq!(world.store.calls(Call::Lease), 0);
    assert_eq!(world.login.token_requests(), 0);
}

#[tokio::test]
async fn of_two_sign_ins_at_once_the_one_that_the_store_has_counts() {
    // F10
    let world = World::new().await;
    let users = world.process();
    let alice = subject("alice");
    let tokens = world.login.sign_in("alice", world.clock.system_time());
    world.store.hold(Call::Save);
    let first = tokio::spawn({
        let (users, alice) = (users.clone(), alice.clone());
        async move { users.sign_in(&alice, tokens).await }
    });
    world.store.until_held(1).await;
    world.store.release();
    // It has written, and is about to look whether that still stands.
    world.store.hold(Call::Load);
    world.store.until_held(1).await;
    let past_the_door = world.builder().store(world.store.memory().clone());
    world
        .sign_in(&past_the_door.build().unwrap(), "alice")
        .await;
    world.store.release();
    soon(first).await.unwrap().unwrap();
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-2");
}
