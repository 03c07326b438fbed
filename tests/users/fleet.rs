//! F3: many processes, one store.

use std::time::Duration;

use reqwest_bearer::{
    ErrorKind, Event, RefreshReason, Subject, Timeouts, TokenOptions, TokenSet, TokenSource,
    UserSessions,
};
use tokio::task::JoinSet;

use crate::support::authorization_server::Answer;
use crate::support::http_server::Reply;
use crate::support::store::{Call, Mode};
use crate::support::{soon, time_passes, time_until, until, while_time_passes};
use crate::{World, kind, token, until_token};

async fn all(world: &World, processes: &[UserSessions], user: &str) -> Vec<String> {
    let ended = world.reasons().len();
    let mut calls = JoinSet::new();
    for process in processes {
        let (process, subject) = (process.clone(), crate::subject(user));
        calls.spawn(async move { token(&process, &subject).await.unwrap() });
    }
    world.until_ended(ended + 1).await;
    // Whoever has not got the lease looks again after some moments.
    while_time_passes(&world.clock, calls.join_all()).await
}

#[tokio::test]
async fn at_one_expiry_any_number_of_processes_make_one_token_request() {
    // F3, A1
    let world = World::new().await;
    let processes: Vec<_> = (0..8).map(|_| world.process()).collect();
    world.sign_in(&processes[0], "alice").await;
    for round in 2..5 {
        world.advance(601);
        let tokens = soon(all(&world, &processes, "alice")).await;
        assert_eq!(tokens, vec![format!("access-alice-{round}"); 8]);
        assert_eq!(world.login.token_requests(), round - 1);
    }
    assert!(!world.login.is_dead("alice"));
}

#[tokio::test]
async fn at_the_soft_edge_one_process_refreshes_and_the_others_take_its_token() {
    // F3
    let world = World::new().await;
    let (one, other) = (world.process(), world.process());
    let alice = world.sign_in(&one, "alice").await;
    token(&other, &alice).await.unwrap();
    world.advance(500);
    token(&one, &alice).await.unwrap();
    world.login.until_requests(1).await;
    until_token(&one, &alice, "access-alice-2").await;
    until_token(&other, &alice, "access-alice-2").await;
    assert_eq!(world.login.token_requests(), 1);
    assert_eq!(world.reasons(), [RefreshReason::Soft]);
}

#[tokio::test]
async fn a_token_that_an_api_refused_is_looked_for_in_the_store_before_it_is_asked_for() {
    // F3, C1
    let world = World::new().await;
    let (one, other) = (world.process(), world.process());
    let alice = world.sign_in(&one, "alice").await;
    let clients = [&one, &other].map(|process| world.client(process).for_subject(&alice));
    for client in &clients {
        assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    }
    world.login.end("access-alice-1");
    for client in &clients {
        assert_eq!(soon(client.get("x").send()).await.unwrap().status(), 200);
    }
    assert_eq!(world.login.token_requests(), 1);
}

#[tokio::test]
async fn a_forced_refresh_takes_what_another_process_asked_for_later() {
    // F3
    let world = World::new().await;
    let (one, other) = (world.process(), world.process());
    let alice = world.sign_in(&one, "alice").await;
    world.login.hold();
    let forced = |process: &UserSessions| {
        let process = process.for_subject(&alice);
        tokio::spawn(async move {
            let options = TokenOptions::new().force_refresh();
            process
                .token_with(&options)
                .await
                .unwrap()
                .expose()
                .to_owned()
        })
    };
    let first = forced(&one);
    world.login.until_held(1).await;
    let second = forced(&other);
    // It waits for the lease.
    world.store.until_calls(Call::Lease, 2).await;
    world.login.release();
    assert_eq!(soon(first).await.unwrap(), "access-alice-2");
    time_passes(&world.clock, Duration::from_millis(500)).await;
    let second = soon(second).await.unwrap();
    assert!(
        ["access-alice-2", "access-alice-3"].contains(&&*second),
        "{second}"
    );
    assert!(!world.login.is_dead("alice"));
}

#[tokio::test]
async fn an_application_s_token_is_shared_by_all_replicas() {
    // F3: a hundred replicas make one token request.
    let world = World::new().await;
    let server = crate::support::authorization_server::AuthorizationServer::start().await;
    let replicas: Vec<_> = (0..100)
        .map(|_| {
            let events = world.events.clone();
            TokenSource::builder(server.client_credentials())
                .store(world.store.clone())
                .clock(&world.clock)
                .jitter(0.0)
                .on_event(move |event| events.lock().unwrap().push(event.clone()))
                .build()
                .unwrap()
        })
        .collect();
    let mut calls = JoinSet::new();
    for replica in &replicas {
        let replica = replica.clone();
        calls.spawn(async move { replica.token().await.unwrap().expose().to_owned() });
    }
    world.until_ended(1).await;
    let tokens = while_time_passes(&world.clock, calls.join_all()).await;
    assert_eq!(tokens, vec!["access-1"; 100]);
    assert_eq!(server.token_requests(), 1);
}

#[tokio::test]
async fn an_application_s_request_that_hangs_holds_up_no_other_audience_in_any_process() {
    // A5, F3: without a refresh token to be protected nothing is shared, neither turn nor lease.
    let world = World::new().await;
    let server = crate::support::authorization_server::AuthorizationServer::start().await;
    let process = || {
        TokenSource::builder(server.client_credentials())
            .store(world.store.clone())
            .clock(&world.clock)
            .jitter(0.0)
            .build()
            .unwrap()
    };
    let (one, other) = (process(), process());
    server.hold();
    let hanging = tokio::spawn({
        let one = one.clone();
        async move {
            let hangs = TokenOptions::new().audience("hangs");
            one.token_with(&hangs).await.map(drop)
        }
    });
    server.until_held(1).await;
    server.hold_no_more();
    for (process, audience) in [(&one, "y"), (&other, "z"), (&one, "z"), (&other, "y")] {
        let options = TokenOptions::new().audience(audience);
        soon(process.token_with(&options)).await.unwrap();
    }
    soon(other.token()).await.unwrap();
    assert!(!hanging.is_finished());
    assert_eq!(server.token_requests(), 4, "what is shared is the token");
}

#[tokio::test]
async fn replicas_share_an_application_s_tokens_however_many_audiences_there_are() {
    // F3, A5: no audience drives the token of another one out of the store.
    let world = World::new().await;
    let server = crate::support::authorization_server::AuthorizationServer::start().await;
    let replica = || {
        TokenSource::builder(server.client_credentials())
            .store(world.store.clone())
            .clock(&world.clock)
            .build()
            .unwrap()
    };
    for replica in [replica(), replica()] {
        for number in 0..100 {
            let options = TokenOptions::new().audience(number.to_string());
            soon(replica.token_with(&options)).await.unwrap();
        }
        // All of them are the application's, and one word invalidates them.
        assert_eq!(server.token_requests(), 100);
    }
    let last = replica();
    let options = TokenOptions::new().audience("7");
    let before = soon(last.token_with(&options)).await.unwrap();
    last.invalidate_all().unwrap();
    let after = soon(last.token_with(&options)).await.unwrap();
    assert_ne!(before.expose(), after.expose());
}

#[tokio::test]
async fn sources_that_share_a_store_share_a_token_only_if_they_ask_for_the_same() {
    // D8, K25: the order of scopes shapes the token, too.
    let world = World::new().await;
    let server = crate::support::authorization_server::AuthorizationServer::start().await;
    let source = |scope: &str| {
        TokenSource::builder(server.client_credentials().scope(scope))
            .store(world.store.clone())
            .clock(&world.clock)
            .build()
            .unwrap()
    };
    let mut tokens = Vec::new();
    for scope in ["a", "b", "a", "b a", "a b", "b a b"] {
        let token = source(scope).token().await.unwrap();
        tokens.push(token.expose().replace("access-", ""));
    }
    assert_eq!(tokens, ["1", "2", "1", "3", "4", "3"]);
}

#[tokio::test]
async fn a_holder_that_died_is_waited_for_until_its_lease_has_ended() {
    // F3, F6
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let key = world.store.last_key();
    world.advance(601);
    let of_the_dead = reqwest_bearer::Lease::new(Duration::from_secs(10)).unwrap();
    let taken = reqwest_bearer::TokenStore::lease(world.store.memory(), &key, &of_the_dead);
    assert!(taken.await.unwrap());
    let waiting = tokio::spawn({
        let (users, alice) = (users.clone(), alice.clone());
        async move {
            users
                .for_subject(&alice)
                .token()
                .await
                .unwrap()
                .expose()
                .to_owned()
        }
    });
    // It sends the refresh token when it has marked it as away.
    let marks = world.store.calls(Call::Save) + 1;
    let marked = world.store.until_calls(Call::Save, marks);
    let waited = time_until(&world.clock, marked).await;
    assert_eq!(soon(waiting).await.unwrap(), "access-alice-2");
    assert!(
        waited >= Duration::from_secs(10) && waited < Duration::from_secs(12),
        "{waited:?}"
    );
}

#[tokio::test]
async fn a_late_writer_is_fenced_off_and_its_tokens_are_not_used() {
    // F3
    let world = World::new().await;
    let users = world.process();
    world.login.keep_refresh_tokens();
    let alice = world.sign_in(&users, "alice").await;
    world.advance(601);
    world.login.hold();
    let stopped = tokio::spawn({
        let (users, alice) = (users.clone(), alice.clone());
        async move {
            users
                .for_subject(&alice)
                .token()
                .await
                .unwrap()
                .expose()
                .to_owned()
        }
    });
    world.login.until_held(1).await;
    // It is stopped, as by SIGSTOP: its lease ends, and another process goes on. To tell the two
    // apart, the other one brings a session of its own.
    let other = world.process();
    world.sign_in(&other, "alice").await;
    let theirs = token(&other, &alice).await.unwrap();
    world.login.release();
    assert_eq!(soon(stopped).await.unwrap(), theirs);
    assert_eq!(token(&users, &alice).await.unwrap(), theirs);
    assert_eq!(token(&world.process(), &alice).await.unwrap(), theirs);
}

#[tokio::test]
async fn a_process_that_was_stopped_before_it_sent_sends_nothing() {
    // F3: a holder that cannot renew does not send.
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.advance(601);
    // Stopped between the taking of the lease and the sending.
    world.store.hold(Call::Save);
    let stopped = tokio::spawn({
        let (users, alice) = (users.clone(), alice.clone());
        async move {
            users
                .for_subject(&alice)
                .token()
                .await
                .unwrap()
                .expose()
                .to_owned()
        }
    });
    world.store.until_held(1).await;
    // Only the wall clock goes on, as on a machine that is suspended.
    world.clock.suspend(Duration::from_secs(11));
    let leases = world.store.calls(Call::Lease);
    world.store.release();
    assert_eq!(soon(stopped).await.unwrap(), "access-alice-2");
    assert!(
        world.store.calls(Call::Lease) > leases,
        "it takes the lease anew"
    );
    assert_eq!(world.login.token_requests(), 1);
}

#[tokio::test]
async fn a_process_whose_lease_ran_out_begins_anew_although_it_gets_the_lease_back() {
    // F3, A6: somebody else may have spent the refresh token in between.
    let world = World::new().await;
    let other = world.process();
    let alice = world.sign_in(&other, "alice").await;
    let bob = world.sign_in(&other, "bob").await;
    world.advance(601);
    let way = world.store.another_way();
    let endpoint = world.login.endpoint_with(|set| set.requests_at_once(1));
    let (told, mut ended) = tokio::sync::mpsc::unbounded_channel();
    let minutes = Duration::from_secs(100);
    let cut_off = UserSessions::builder(&endpoint)
        .store(way.clone())
        .clock(&world.clock)
        .jitter(0.0)
        .timeouts(
            Timeouts::new()
                .attempt(Duration::from_secs(25))
                .refresh(minutes)
                .wait(minutes),
        )
        .on_event(move |event| {
            if let Event::TokenRequest { .. } = event {
                let _ = told.send(());
            }
        })
        .build()
        .unwrap();
    let asking = |source: &UserSessions, user: &Subject| {
        let (source, user) = (source.clone(), user.clone());
        tokio::spawn(async move { token(&source, &user).await })
    };
    // Alice's flight is turned away, and queues behind bob's before its next attempt.
    world.login.then(Answer::Reply(Reply::new(503)));
    let waiting = asking(&cut_off, &alice);
    soon(ended.recv()).await.unwrap();
    world.login.hold();
    let _hanging = asking(&cut_off, &bob);
    world.login.until_held(1).await;
    world.login.hold();
    world.login.release();
    time_passes(&world.clock, Duration::from_millis(200)).await;
    // Its lease runs out while it cannot reach the store, and the other process goes on.
    way.be(Mode::Down);
    time_passes(&world.clock, Duration::from_secs(12)).await;
    let marks = world.store.calls(Call::Save) + 1;
    let theirs = asking(&other, &alice);
    let marked = world.store.until_calls(Call::Save, marks);
    while_time_passes(&world.clock, marked).await;
    let theirs = soon(theirs).await.unwrap().unwrap();
    // The store is back and gives it the lease, before bob's attempt is over and it is its turn.
    way.be(Mode::Well);
    time_passes(&world.clock, Duration::from_secs(9)).await;
    assert_eq!(soon(waiting).await.unwrap().unwrap(), theirs);
    assert!(!world.login.is_dead("alice"));
}

#[tokio::test]
async fn a_source_without_limits_waits_for_another_process_too() {
    // F3, E2: all that is long is as good as no limit.
    let world = World::new().await;
    let patient = || {
        let endless = Timeouts::new()
            .attempt(Duration::MAX)
            .refresh(Duration::MAX)
            .wait(Duration::MAX);
        world.builder().timeouts(endless).build().unwrap()
    };
    let (one, other) = (patient(), patient());
    let alice = world.sign_in(&one, "alice").await;
    let first = world.refresh_under_way(&one, &alice).await;
    let second = tokio::spawn({
        let alice = alice.clone();
        async move { token(&other, &alice).await }
    });
    world.store.until_calls(Call::Lease, 2).await;
    world.login.release();
    assert_eq!(soon(first).await.unwrap().unwrap(), "access-alice-2");
    let second = while_time_passes(&world.clock, second).await;
    assert_eq!(second.unwrap().unwrap(), "access-alice-2");
}

#[tokio::test]
async fn a_sign_out_by_another_process_is_noticed_within_a_minute() {
    // F-bound: F3, F10
    let world = World::new().await;
    let (one, other) = (world.process(), world.process());
    let alice = world.sign_in(&one, "alice").await;
    token(&other, &alice).await.unwrap();
    soon(one.sign_out(&alice)).await.unwrap();
    // Up to half a minute nobody asks, then somebody asks behind the calls.
    world.advance(29);
    assert!(token(&other, &alice).await.is_ok());
    let loads = world.store.calls(Call::Load);
    world.advance(1);
    assert!(token(&other, &alice).await.is_ok());
    until(async || token(&other, &alice).await.is_err()).await;
    assert!(world.store.calls(Call::Load) > loads);
    assert_eq!(kind(&other, &alice).await, ErrorKind::SignInRequired);
    assert_eq!(world.login.token_requests(), 0);
}

#[tokio::test]
async fn whoever_comes_after_a_minute_is_not_given_a_token_of_one_who_signed_out() {
    // F10
    let world = World::new().await;
    let (one, other) = (world.process(), world.process());
    let alice = world.sign_in(&one, "alice").await;
    token(&other, &alice).await.unwrap();
    let client = world.client(&other).for_subject(&alice);
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    soon(one.sign_out(&alice)).await.unwrap();
    world.advance(60);
    let error = soon(client.get("x").send()).await.unwrap_err();
    let reason = reqwest_bearer::Error::find_in(&error).unwrap();
    assert_eq!(reason.kind(), ErrorKind::SignInRequired);
    assert_eq!(world.api.seen().len(), 1);
}

#[tokio::test]
async fn whoever_comes_after_a_minute_waits_for_the_store_also_when_the_token_is_about_to_expire() {
    // F10, B3, B4: in the soft window and in the hard one.
    for (last_call, idle) in [(410, 90), (505, 75)] {
        let world = World::new().await;
        let (one, other) = (world.process(), world.process());
        let alice = world.sign_in(&one, "alice").await;
        world.advance(last_call);
        token(&other, &alice).await.unwrap();
        crate::until_landed(&other, &alice).await;
        soon(one.sign_out(&alice)).await.unwrap();
        world.advance(idle);
        world.store.hold(Call::Load);
        let calls = [(); 2].map(|()| {
            let (other, alice) = (other.clone(), alice.clone());
            tokio::spawn(async move { kind(&other, &alice).await })
        });
        world.store.until_held(1).await;
        world.clock.advance(Duration::from_millis(300));
        world.store.release();
        for call in calls {
            assert_eq!(soon(call).await.unwrap(), ErrorKind::SignInRequired);
        }
    }
}

#[tokio::test]
async fn whoever_comes_seldom_is_refreshed_ahead_of_the_expiry_all_the_same() {
    // B3, F10: the look into the store takes the place of no refresh.
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.advance(410);
    token(&users, &alice).await.unwrap();
    crate::until_landed(&users, &alice).await;
    world.advance(90);
    world.login.hold();
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-1");
    world.login.until_held(1).await;
    world.login.release();
    until_token(&users, &alice, "access-alice-2").await;
}

#[tokio::test]
async fn a_first_sign_in_through_another_process_counts_at_once() {
    // F5, B6: what was found out without asking the server is not remembered.
    let world = World::new().await;
    let (one, other) = (world.process(), world.process());
    let alice = crate::subject("alice");
    assert_eq!(kind(&other, &alice).await, ErrorKind::SignInRequired);
    world.sign_in(&one, "alice").await;
    assert!(token(&other, &alice).await.is_ok());
    // Nor is it when the session was dead before.
    world.login.end_family("alice");
    world.advance(601);
    for process in [&one, &other] {
        assert_eq!(kind(process, &alice).await, ErrorKind::SignInRequired);
    }
    world.sign_in(&one, "alice").await;
    assert!(token(&other, &alice).await.is_ok());
}

#[tokio::test]
async fn a_new_sign_in_by_another_process_is_noticed_too() {
    // F10
    let world = World::new().await;
    let (one, other) = (world.process(), world.process());
    let alice = world.sign_in(&one, "alice").await;
    token(&other, &alice).await.unwrap();
    world.sign_in(&one, "alice").await;
    world.advance(60);
    assert_eq!(token(&other, &alice).await.unwrap(), "access-alice-2");
    assert_eq!(world.login.token_requests(), 0);
}

#[tokio::test]
async fn a_call_whose_session_ends_meanwhile_ends_with_the_api_s_answer_and_the_reason() {
    // F10, C8: never with the next user's token.
    let world = World::new().await;
    let (one, other) = (world.process(), world.process());
    let alice = world.sign_in(&one, "alice").await;
    let client = world.client(&other).for_subject(&alice);
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    world.api.hold();
    let call = tokio::spawn({
        let client = client.clone();
        async move { client.get("x").send().await.unwrap() }
    });
    world.api.until_held(1).await;
    world.api.release();
    call.await.unwrap();
    soon(one.sign_out(&alice)).await.unwrap();
    world.sign_in(&one, "bob").await;
    let answer = soon(client.get("x").send()).await.unwrap();
    assert_eq!(answer.status(), 401);
    let reason = answer.extensions().get::<reqwest_bearer::Error>().unwrap();
    assert_eq!(reason.kind(), ErrorKind::SignInRequired);
    let error = soon(client.get("x").send()).await.unwrap_err();
    let reason = reqwest_bearer::Error::find_in(&error).unwrap();
    assert_eq!(reason.kind(), ErrorKind::SignInRequired);
}

#[tokio::test]
async fn what_is_in_the_store_is_taken_whoever_has_the_lease() {
    // F3
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let key = world.store.last_key();
    let of_another = reqwest_bearer::Lease::new(Duration::from_secs(10)).unwrap();
    let taken = reqwest_bearer::TokenStore::lease(world.store.memory(), &key, &of_another);
    assert!(taken.await.unwrap());
    // The clock stands still: it would wait for ever.
    assert!(token(&world.process(), &alice).await.is_ok());
}

#[tokio::test]
async fn whoever_gets_the_lease_reads_the_store_first() {
    // F3
    let world = World::new().await;
    let slow = world.process();
    let alice = world.sign_in(&slow, "alice").await;
    world.advance(601);
    world.store.hold(Call::Lease);
    let waiting = tokio::spawn({
        let (slow, alice) = (slow.clone(), alice.clone());
        async move { token(&slow, &alice).await.unwrap() }
    });
    world.store.until_held(1).await;
    // Past the door that the slow one waits at, to the same records.
    let fast = world
        .builder()
        .store(world.store.memory().clone())
        .build()
        .unwrap();
    assert_eq!(token(&fast, &alice).await.unwrap(), "access-alice-2");
    world.store.release();
    assert_eq!(soon(waiting).await.unwrap(), "access-alice-2");
    assert_eq!(world.login.token_requests(), 1);
}

#[tokio::test]
async fn a_token_of_the_store_that_is_itself_due_is_no_help_in_the_soft_window() {
    // F3, B3
    let world = World::new().await;
    let (one, other) = (world.process(), world.process());
    let alice = world.sign_in(&one, "alice").await;
    token(&other, &alice).await.unwrap();
    world.advance(430);
    world.login.lifetime(60);
    let options = TokenOptions::new().force_refresh();
    soon(one.for_subject(&alice).token_with(&options))
        .await
        .unwrap();
    // The one before is in its soft window since 480 s, the newer one since 478 s.
    world.advance(55);
    assert_eq!(token(&other, &alice).await.unwrap(), "access-alice-1");
    until_token(&other, &alice, "access-alice-3").await;
    assert_eq!(world.login.token_requests(), 2);
}

#[tokio::test]
async fn an_older_token_never_takes_the_place_of_a_newer_one() {
    // F3, C8
    let world = World::new().await;
    let server = crate::support::authorization_server::AuthorizationServer::start().await;
    let source = TokenSource::builder(server.client_credentials())
        .store(world.store.clone())
        .clock(&world.clock)
        .build()
        .unwrap();
    source.invalidate(&source.token().await.unwrap());
    world.advance(1);
    // The second one does not come into the store.
    world.store.be(Mode::Failing(Call::Save));
    let second = source.token().await.unwrap();
    assert_eq!(second.expose(), "access-2");
    world.store.be(Mode::Well);
    world.advance(5);
    source.invalidate(&second);
    assert_eq!(source.token().await.unwrap().expose(), "access-3");
}

#[tokio::test]
async fn who_wants_a_new_token_is_not_content_with_a_look_into_the_store() {
    // C1, F10
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let client = world.client(&users).for_subject(&alice);
    world.advance(30);
    // The store is asked behind this call, and does not answer yet.
    world.store.hold(Call::Load);
    assert!(token(&users, &alice).await.is_ok());
    world.store.until_held(1).await;
    world.login.end("access-alice-1");
    let call = tokio::spawn(async move { client.get("x").send().await.unwrap().status() });
    // It has been refused, and waits for the look that is under way.
    let handle = users.for_subject(&alice);
    until(async || handle.status().is_refused()).await;
    world.store.release();
    assert_eq!(soon(call).await.unwrap(), 200);
    assert_eq!(world.login.token_requests(), 1);
}

#[tokio::test]
async fn a_call_that_needs_a_longer_life_asks_although_the_store_has_a_token() {
    // B9, F3
    let world = World::new().await;
    let alice = world.sign_in(&world.process(), "alice").await;
    world.advance(300);
    let users = world.process().for_subject(&alice);
    let options = TokenOptions::new().minimum_lifetime(Duration::from_secs(400));
    let token = soon(users.token_with(&options)).await.unwrap();
    assert_eq!(token.expose(), "access-alice-2");
    // One that the server cannot give costs one request, and not one for each call.
    let options = TokenOptions::new().minimum_lifetime(Duration::from_secs(4_000));
    for _ in 0..3 {
        assert!(soon(users.token_with(&options)).await.is_ok());
    }
    assert_eq!(world.login.token_requests(), 2);
}

#[tokio::test]
async fn a_new_sign_in_by_another_process_takes_all_tokens_of_the_earlier_one_away() {
    // F10, D8: also those that the new session has no successor of.
    let world = World::new().await;
    let (one, other) = (world.process(), world.process());
    let alice = world.sign_in(&one, "alice").await;
    let handle = other.for_subject(&alice);
    let more = TokenOptions::new().scope("more");
    let earlier = [
        soon(handle.token()).await.unwrap(),
        soon(handle.token_with(&more)).await.unwrap(),
    ];
    let tokens = world.login.sign_in("alice", world.clock.system_time());
    let refresh_token = tokens.refresh_token().unwrap().clone();
    let without_access_token = TokenSet::from_refresh_token(refresh_token);
    one.sign_in(&alice, without_access_token).await.unwrap();
    world.advance(60);
    let later = [
        soon(handle.token_with(&more)).await.unwrap(),
        soon(handle.token()).await.unwrap(),
    ];
    for (earlier, later) in earlier.iter().zip([&later[1], &later[0]]) {
        assert_ne!(earlier.expose(), later.expose());
        assert!(world.login.owner(later.expose()).is_some());
    }
    assert!(!world.login.is_dead("alice"));
}

#[tokio::test]
async fn a_process_that_was_stopped_before_it_sent_does_not_take_its_own_mark_for_a_lost_answer() {
    // F3, E3
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.advance(500);
    // Stopped between the mark and the sending, while the access token is still good.
    world.store.hold(Call::Save);
    token(&users, &alice).await.unwrap();
    world.store.until_held(1).await;
    world.clock.suspend(Duration::from_secs(11));
    world.store.release();
    until_token(&users, &alice, "access-alice-2").await;
    assert_eq!(world.login.token_requests(), 1);
}

#[tokio::test]
async fn a_refused_token_is_looked_for_in_the_store_also_while_the_server_wants_to_be_left_alone() {
    // F3, C1: in time, and not when an hour of `Retry-After` has passed.
    let world = World::new().await;
    let (one, other) = (world.process(), world.process());
    let alice = world.sign_in(&one, "alice").await;
    let refused = soon(one.for_subject(&alice).token()).await.unwrap();
    let wait = Reply::new(429).header("retry-after", "3600");
    world.login.then(Answer::Reply(wait));
    one.for_current_subject().invalidate(&refused);
    assert_eq!(token(&one, &alice).await.unwrap(), "access-alice-1");
    assert_eq!(world.login.token_requests(), 1);
    let theirs = soon(other.for_subject(&alice).token()).await.unwrap();
    other.for_current_subject().invalidate(&theirs);
    assert_eq!(token(&other, &alice).await.unwrap(), "access-alice-2");
    world.advance(60);
    assert_eq!(token(&one, &alice).await.unwrap(), "access-alice-2");
}

#[tokio::test]
async fn a_process_that_never_keeps_its_lease_sends_nobody_to_the_sign_in() {
    // F3, E8
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.advance(601);
    world.store.hold(Call::Save);
    let waiting = tokio::spawn({
        let (users, alice) = (users.clone(), alice.clone());
        async move { kind(&users, &alice).await }
    });
    let saves = world.store.calls(Call::Save);
    let stops = async {
        for stopped in 1.. {
            world.store.until_calls(Call::Save, saves + stopped).await;
            world.clock.suspend(Duration::from_secs(11));
            world.store.release_and_hold(Call::Save);
        }
    };
    let ended = tokio::select! {
        kind = waiting => kind.unwrap(),
        () = stops => unreachable!(),
    };
    assert_eq!(ended, ErrorKind::Store);
    assert_eq!(world.login.token_requests(), 0);
}

#[tokio::test]
async fn what_a_dead_process_had_sent_is_sent_again_when_nobody_can_write_the_answer_any_more() {
    // F6, F2: whoever has watched the record for 6 s knows that, and waiting for the lease is
    // watching.
    for (idle, least, most) in [(0, 10, 11), (3600, 6, 7)] {
        let world = World::new().await;
        let alice = world.sign_in(&world.process(), "alice").await;
        world.advance(601);
        // It dies while its request is under way: the server does nothing with that, and the store
        // never hears of it again.
        let way = world.store.another_way();
        let dead = world.builder().store(way.clone()).build().unwrap();
        world.login.then(Answer::Cut).hold();
        let call = tokio::spawn({
            let alice = alice.clone();
            async move { token(&dead, &alice).await }
        });
        world.login.until_held(1).await;
        way.be(Mode::Down);
        world.login.release();
        soon(call).await.unwrap().unwrap_err();

        world.advance(idle);
        let users = world.process();
        let waiting = tokio::spawn(async move { token(&users, &alice).await });
        // It sends the refresh token when it has marked it as away.
        let marks = world.store.calls(Call::Save) + 1;
        let marked = world.store.until_calls(Call::Save, marks);
        let waited = time_until(&world.clock, marked).await;
        let token = soon(waiting).await.unwrap().unwrap();
        assert_eq!(token, "access-alice-2");
        let bounds = Duration::from_secs(least)..Duration::from_secs(most);
        assert!(bounds.contains(&waited), "{idle}: {waited:?}");
    }
}
