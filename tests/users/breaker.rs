//! A7, A8: the queue before the authorization server, and who leaves it when that one fails.

use std::time::Duration;

use reqwest_bearer::{Error, ErrorKind, Lease, Subject, TokenStore, UserSessions};
use tokio::task::JoinSet;

use crate::support::authorization_server::Answer;
use crate::support::http_server::Reply;
use crate::support::store::Call;
use crate::support::{soon, time_passes};
use crate::{World, token};

/// More than run at once.
const USERS: usize = 60;

/// Users whose access tokens have expired.
async fn expired(world: &World, users: &UserSessions) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for number in 0..USERS {
        subjects.push(world.sign_in(users, &format!("user-{number}")).await);
    }
    world.advance(601);
    subjects
}

type Outcomes = Vec<Result<String, Error>>;

fn call(users: &UserSessions, subjects: &[Subject]) -> JoinSet<Result<String, Error>> {
    let mut calls = JoinSet::new();
    for subject in subjects {
        let (users, subject) = (users.clone(), subject.clone());
        calls.spawn(async move { token(&users, &subject).await });
    }
    calls
}

async fn outcomes(mut calls: JoinSet<Result<String, Error>>) -> Outcomes {
    let mut outcomes = Vec::new();
    while let Some(outcome) = soon(calls.join_next()).await {
        outcomes.push(outcome.unwrap());
    }
    outcomes
}

/// How many succeeded. The others failed in a way that says when to come back.
fn succeeded(outcomes: &Outcomes) -> usize {
    let errors = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
    for error in errors {
        assert!(error.is_transient(), "{error:?}");
        assert!(error.retry_at().is_some(), "{error:?}");
    }
    outcomes.iter().filter(|outcome| outcome.is_ok()).count()
}

#[tokio::test]
async fn a_server_that_hangs_costs_each_caller_one_attempt_s_time_and_is_probed_by_one_at_a_time() {
    // A8, A7
    let world = World::new().await;
    let users = world.process();
    // Otherwise the lost answers would have ended sessions.
    world.login.keep_refresh_tokens();
    let subjects = expired(&world, &users).await;
    world.login.hold();
    let calls = call(&users, &subjects);
    world.login.until_held(16).await;
    // The attempt's limit, and nobody waits for another one's.
    world.advance(10);
    let first = outcomes(calls).await;
    assert_eq!(succeeded(&first), 0);
    assert_eq!(world.login.token_requests(), 16);
    let mut retry_at: Vec<_> = first
        .iter()
        .map(|outcome| outcome.as_ref().unwrap_err().retry_at().unwrap())
        .collect();
    retry_at.sort();
    retry_at.dedup();
    // Its own back-off for those who asked, the breaker's for all others.
    assert!(retry_at.len() <= 2, "{retry_at:?}");
    // From now on one probe for each pause, whether or not the one before has ended.
    let some_at_a_time = subjects.chunks(USERS / 5);
    for (probes, (pause, some)) in [1, 2, 4, 5, 5].into_iter().zip(some_at_a_time).enumerate() {
        world.advance(pause);
        world.clock.advance(Duration::from_millis(250));
        let mut calls = call(&users, some);
        world.login.until_requests(16 + probes + 1).await;
        // All but the probe's caller hear of it at once.
        let mut failed = Vec::new();
        while failed.len() < some.len() - 1 {
            failed.push(soon(calls.join_next()).await.unwrap().unwrap());
        }
        assert_eq!(succeeded(&failed), 0);
        calls.detach_all();
        assert_eq!(world.login.token_requests(), 16 + probes + 1);
    }
    // Mended: whoever comes next finds out, and then everybody is served.
    world.login.release();
    world.advance(6);
    soon(async {
        loop {
            let outcomes = outcomes(call(&users, &subjects)).await;
            if succeeded(&outcomes) == USERS {
                break;
            }
            world.advance(5);
        }
    })
    .await;
}

#[tokio::test]
async fn a_server_that_turns_everybody_away_is_left_alone_for_as_long_as_it_asked() {
    // A8, E3
    for reply in [
        Reply::new(429).header("retry-after", "60"),
        Reply::new(503).header("retry-after", "60"),
    ] {
        let world = World::new().await;
        let users = world.process();
        let subjects = expired(&world, &users).await;
        for _ in 0..3 {
            world.login.then(Answer::Reply(reply.clone()));
        }
        for subject in &subjects[..3] {
            let error = token(&users, subject).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable);
        }
        world.advance(59);
        let outcomes = outcomes(call(&users, &subjects[3..])).await;
        assert_eq!(succeeded(&outcomes), 0);
        assert_eq!(world.login.token_requests(), 3);
        world.advance(2);
        token(&users, &subjects[4]).await.unwrap();
        token(&users, &subjects[5]).await.unwrap();
    }
}

#[tokio::test]
async fn the_failures_of_one_user_or_of_two_are_nobody_else_s() {
    // A8
    let world = World::new().await;
    let users = world.process();
    let subjects = expired(&world, &users).await;
    for round in 0..4 {
        world.login.then(Answer::Reply(Reply::new(500)));
        token(&users, &subjects[round % 2]).await.unwrap_err();
        world.advance(6);
    }
    for subject in &subjects[2..5] {
        token(&users, subject).await.unwrap();
    }
}

#[tokio::test]
async fn a_verdict_is_no_failure_of_the_server() {
    // A8
    let world = World::new().await;
    let users = world.process();
    let subjects = expired(&world, &users).await;
    for subject in &subjects[..5] {
        let refused = Reply::new(400).json(&serde_json::json!({ "error": "invalid_grant" }));
        world.login.then(Answer::Reply(refused));
        token(&users, subject).await.unwrap_err();
    }
    token(&users, &subjects[6]).await.unwrap();
}

#[tokio::test]
async fn an_error_of_the_breaker_s_says_nothing_of_the_others_errors() {
    // A8, D8: the names and the server's words in them are another source's.
    let world = World::new().await;
    let users = world.process();
    let subjects = expired(&world, &users).await;
    for subject in &subjects[..3] {
        world.login.then(Answer::Reply(Reply::new(503)));
        world.login.then(Answer::Reply(Reply::new(503)));
        world.login.then(Answer::Reply(Reply::new(503)));
        let error = world.repeated(&users, subject).await.unwrap_err();
        assert!(error.to_string().contains("503"));
    }
    let error = token(&users, &subjects[4]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(!error.to_string().contains("503"), "{error}");
}

#[tokio::test]
async fn a_queued_refresh_that_all_callers_have_given_up_is_dropped_and_one_by_age_is_not() {
    // A7, A2
    let world = World::new().await;
    let endpoint = world.login.endpoint_with(|set| set.requests_at_once(1));
    let builder = UserSessions::builder(&endpoint).store(world.store.clone());
    let users = builder.clock(&world.clock).jitter(0.0).build().unwrap();
    let subjects = expired(&world, &users).await;
    let soft = world.sign_in(&users, "soft").await;
    world.advance(500);
    world.login.hold();
    let first = call(&users, &subjects[..1]);
    world.login.until_held(1).await;
    let looks = world.store.calls(Call::Load);
    let mut given_up = Box::pin(token(&users, &subjects[1]));
    assert!(futures_util::poll!(given_up.as_mut()).is_pending());
    let mut one_of_two = Box::pin(token(&users, &subjects[2]));
    let mut two = call(&users, &subjects[2..3]);
    assert!(futures_util::poll!(one_of_two.as_mut()).is_pending());
    // Its caller has the present token, and waits for nothing.
    token(&users, &soft).await.unwrap();
    // When each of the three has looked into the store, it stands in the queue.
    world.store.until_calls(Call::Load, looks + 3).await;
    drop((given_up, one_of_two));
    world.login.release();
    assert_eq!(succeeded(&outcomes(first).await), 1);
    soon(two.join_next()).await.unwrap().unwrap().unwrap();
    crate::until_landed(&users, &soft).await;
    crate::until_landed(&users, &subjects[1]).await;
    let sent: Vec<_> = world
        .login
        .requests()
        .iter()
        .map(|request| request.field("refresh_token").unwrap())
        .collect();
    let of = |user: &str| sent.iter().filter(|token| token.contains(user)).count();
    assert_eq!(
        (of("user-0-"), of("user-1-"), of("user-2-"), of("soft")),
        (1, 0, 1, 1),
        "{sent:?}"
    );
    // Whoever comes again is served.
    token(&users, &subjects[1]).await.unwrap();
}

#[tokio::test]
async fn a_refresh_that_waits_for_another_process_leaves_its_place_to_the_others() {
    // A7
    let world = World::new().await;
    let endpoint = world.login.endpoint_with(|set| set.requests_at_once(1));
    let builder = UserSessions::builder(&endpoint).store(world.store.clone());
    let users = builder.clock(&world.clock).jitter(0.0).build().unwrap();
    let alice = world.sign_in(&users, "alice").await;
    let of_alice = world.store.last_key();
    let bob = world.sign_in(&users, "bob").await;
    world.advance(601);
    let of_another = Lease::new(Duration::from_secs(10)).unwrap();
    let taken = world.store.memory().lease(&of_alice, &of_another).await;
    assert!(taken.unwrap());
    let mut waiting = call(&users, std::slice::from_ref(&alice));
    world.store.until_calls(Call::Lease, 1).await;
    // The clock stands still, so hers sleeps until it looks again.
    assert_eq!(token(&users, &bob).await.unwrap(), "access-bob-3");
    assert!(waiting.try_join_next().is_none());
    let released = world.store.memory().release(&of_alice, &of_another).await;
    released.unwrap();
    time_passes(&world.clock, Duration::from_millis(50)).await;
    let served = soon(waiting.join_next()).await.unwrap().unwrap();
    assert_eq!(served.unwrap(), "access-alice-4");
}

#[tokio::test]
async fn a_queued_warm_up_stays_when_its_caller_has_given_up() {
    // A7, B12
    let world = World::new().await;
    let endpoint = world.login.endpoint_with(|set| set.requests_at_once(1));
    let builder = UserSessions::builder(&endpoint).store(world.store.clone());
    let users = builder.clock(&world.clock).jitter(0.0).build().unwrap();
    let alice = world.sign_in(&users, "alice").await;
    let bob = world.sign_in(&users, "bob").await;
    let waiting = world.refresh_under_way(&users, &alice).await;
    let looks = world.store.calls(Call::Load);
    let of_bob = users.for_subject(&bob);
    let mut warming = Box::pin(of_bob.warm_up());
    assert!(futures_util::poll!(warming.as_mut()).is_pending());
    // When it has looked into the store, it stands in the queue.
    world.store.until_calls(Call::Load, looks + 1).await;
    drop(warming);
    world.login.release();
    soon(waiting).await.unwrap().unwrap();
    world.login.until_requests(2).await;
    crate::until_landed(&users, &bob).await;
    assert_eq!(token(&users, &bob).await.unwrap(), "access-bob-4");
    assert_eq!(world.login.token_requests(), 2);
}
