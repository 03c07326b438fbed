//! F5: refusals of a refresh token that do not say why.

use std::time::Duration;

use reqwest_bearer::{Error, ErrorKind, Subject, TokenOptions, UserSessions};
use serde_json::json;

use crate::support::authorization_server::Answer;
use crate::support::http_server::Reply;
use crate::support::soon;
use crate::{World, token};

fn silent() -> Reply {
    Reply::new(400)
}

pub(crate) fn invalid_request() -> Reply {
    let description = "Too many requests.";
    Reply::new(400).json(&json!({ "error": "invalid_request", "error_description": description }))
}

/// Calls when the error before says that it is worth it, for this long; returns the last error.
pub(crate) async fn refused_for(
    world: &World,
    users: &UserSessions,
    subject: &Subject,
    reply: &Reply,
    seconds: u64,
) -> Error {
    let end = world.clock.system_time() + Duration::from_secs(seconds);
    loop {
        world.login.then(Answer::Reply(reply.clone()));
        let before = world.login.token_requests();
        let error = token(users, subject).await.unwrap_err();
        assert_eq!(world.login.token_requests(), before + 1);
        let next = error.retry_at().unwrap();
        if next > end {
            return error;
        }
        let pause = next.duration_since(world.clock.system_time()).unwrap();
        world.clock.advance(pause);
    }
}

/// A session whose access token has expired.
pub(crate) async fn expired(world: &World, users: &UserSessions, user: &str) -> Subject {
    let subject = world.sign_in(users, user).await;
    world.advance(601);
    subject
}

#[tokio::test]
async fn refusals_that_do_not_say_why_end_no_session_within_minutes() {
    // F5, K11
    for reply in [
        silent(),
        invalid_request(),
        invalid_request().header("retry-after", "60"),
    ] {
        let world = World::new().await;
        let users = world.process();
        let bob = expired(&world, &users, "bob").await;
        let alice = expired(&world, &users, "alice").await;
        let error = refused_for(&world, &users, &alice, &reply, 240).await;
        assert!(world.login.token_requests() >= 3);
        assert_eq!(error.kind(), ErrorKind::Rejected);
        // Not even if the server renews others.
        token(&users, &bob).await.unwrap();
        let status = users.status_of(&alice).await.unwrap().unwrap();
        assert!(!status.is_sign_in_required());
        world.advance(60);
        token(&users, &alice).await.unwrap();
    }
}

#[tokio::test]
async fn refusals_with_a_retry_after_end_no_session_ever() {
    // F5, K11
    let world = World::new().await;
    let users = world.process();
    let bob = expired(&world, &users, "bob").await;
    let alice = expired(&world, &users, "alice").await;
    let reply = invalid_request().header("retry-after", "60");
    refused_for(&world, &users, &alice, &reply, 180).await;
    token(&users, &bob).await.unwrap();
    world.advance(60);
    let error = refused_for(&world, &users, &alice, &reply, 300).await;
    assert_eq!(error.kind(), ErrorKind::Rejected);
    world.advance(60);
    token(&users, &alice).await.unwrap();
}

#[tokio::test]
async fn what_one_request_asks_for_besides_ends_no_session() {
    // F5: a code path that sends a parameter which the server does not take is polled.
    let world = World::new().await;
    let users = world.process();
    let bob = expired(&world, &users, "bob").await;
    let alice = world.sign_in(&users, "alice").await;
    let handle = users.for_subject(&alice);
    let wrong = TokenOptions::new().extra("tenant", "no such");
    for round in 0..20 {
        world.login.then(Answer::Reply(invalid_request()));
        let error = soon(handle.token_with(&wrong)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Rejected, "round {round}");
        world.advance(30);
        if round == 10 {
            token(&users, &bob).await.unwrap();
        }
    }
    world.advance(601);
    token(&users, &alice).await.unwrap();
}

#[tokio::test]
async fn a_setting_that_is_wrong_for_everybody_leaves_all_sessions_in_doubt_and_ends_none() {
    // F5, K11: a rollout that the server refuses, and that is rolled back.
    let world = World::new().await;
    // So that it is the success that ends the doubt, and not that there is another refresh token.
    world.login.keep_refresh_tokens();
    let users = world.process();
    let bob = expired(&world, &users, "bob").await;
    let alice = expired(&world, &users, "alice").await;
    for subject in [&alice, &bob] {
        let error = refused_for(&world, &users, subject, &invalid_request(), 330).await;
        assert_eq!(error.kind(), ErrorKind::SignInRequired);
        assert!(error.is_doubtful());
        assert!(!error.is_transient());
        let pause = error
            .retry_at()
            .unwrap()
            .duration_since(world.clock.system_time());
        assert_eq!(pause.unwrap(), Duration::from_secs(300));
        // The refresh token is asked about no sooner, for whatever scope.
        let before = world.login.token_requests();
        world.advance(299);
        let handle = users.for_subject(subject);
        for options in [TokenOptions::new(), TokenOptions::new().scope("more")] {
            let error = soon(handle.token_with(&options)).await.unwrap_err();
            assert!(error.is_doubtful(), "{error}");
        }
        assert_eq!(world.login.token_requests(), before);
        // Nothing of it is in the record, so no other process has doubts.
        let status = users.status_of(subject).await.unwrap().unwrap();
        assert!(!status.is_sign_in_required());
        world.advance(1);
        let error = refused_for(&world, &users, subject, &invalid_request(), 0).await;
        assert!(error.is_doubtful());
    }
    token(&world.process(), &bob).await.unwrap();
    world.advance(300);
    for subject in [&alice, &bob] {
        token(&users, subject).await.unwrap();
    }
    // A success ends the doubt: the next refusal is the first again.
    world.advance(601);
    let error = refused_for(&world, &users, &alice, &invalid_request(), 0).await;
    assert_eq!(error.kind(), ErrorKind::Rejected);
}

#[tokio::test]
async fn a_refresh_token_that_alone_is_refused_for_minutes_is_dead() {
    // F5: the server renews another user's, so it is not the server, nor the settings.
    for reply in [silent(), invalid_request()] {
        let world = World::new().await;
        let users = world.process();
        let bob = expired(&world, &users, "bob").await;
        let alice = expired(&world, &users, "alice").await;
        refused_for(&world, &users, &alice, &reply, 240).await;
        token(&users, &bob).await.unwrap();
        world.advance(90);
        let error = refused_for(&world, &users, &alice, &reply, 0).await;
        assert_eq!(error.kind(), ErrorKind::SignInRequired);
        assert!(!error.is_doubtful());
        let status = users.status_of(&alice).await.unwrap().unwrap();
        assert!(status.is_sign_in_required());
        let before = world.login.token_requests();
        world.advance(600);
        for process in [&users, &world.process()] {
            let error = token(process, &alice).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SignInRequired);
        }
        assert_eq!(world.login.token_requests(), before);
    }
}

#[tokio::test]
async fn a_success_of_the_same_user_s_or_before_the_first_refusal_is_no_evidence() {
    // F5
    let world = World::new().await;
    let users = world.process();
    let bob = expired(&world, &users, "bob").await;
    let alice = expired(&world, &users, "alice").await;
    token(&users, &bob).await.unwrap();
    world.advance(1);
    let error = refused_for(&world, &users, &alice, &silent(), 330).await;
    assert!(error.is_doubtful());
}

#[tokio::test]
async fn wrong_client_credentials_never_count() {
    // F5, E8
    let world = World::new().await;
    let users = world.process();
    let bob = expired(&world, &users, "bob").await;
    let alice = expired(&world, &users, "alice").await;
    let wrong = Reply::new(401).json(&json!({ "error": "invalid_client" }));
    for reply in [wrong, Reply::new(401), Reply::new(403)] {
        refused_for(&world, &users, &alice, &reply, 240).await;
        token(&users, &bob).await.unwrap();
        world.advance(30);
        let error = refused_for(&world, &users, &alice, &reply, 100).await;
        assert_eq!(error.kind(), ErrorKind::Rejected);
        world.advance(30);
    }
    token(&users, &alice).await.unwrap();
}

#[tokio::test]
async fn a_new_sign_in_ends_the_doubt() {
    // F5, F10
    let world = World::new().await;
    let users = world.process();
    let alice = expired(&world, &users, "alice").await;
    let error = refused_for(&world, &users, &alice, &silent(), 330).await;
    assert!(error.is_doubtful());
    world.sign_in(&world.process(), "alice").await;
    token(&users, &alice).await.unwrap();
    world.advance(601);
    token(&users, &alice).await.unwrap();
}

#[tokio::test]
async fn a_rule_of_one_s_own_decides_at_once_what_refuses_a_refresh_token() {
    // F5
    let says = |description: &str| {
        let error = json!({ "error": "unauthorized_client", "error_description": description });
        Reply::new(403).json(&error)
    };
    let world = World::new().await;
    let builder = world.builder().refused_refresh_when(|response| {
        assert_ne!(response.error_description(), Some("panic"), "on purpose");
        response.error_description() == Some("refresh_token is invalid")
    });
    let users = builder.build().unwrap();
    let alice = expired(&world, &users, "alice").await;
    let bob = world.sign_in(&users, "bob").await;
    world.advance(601);
    for (description, expected) in [
        ("something else", ErrorKind::Rejected),
        ("panic", ErrorKind::Rejected),
        ("refresh_token is invalid", ErrorKind::SignInRequired),
    ] {
        world.login.then(Answer::Reply(says(description)));
        let error = token(&users, &alice).await.unwrap_err();
        assert_eq!(error.kind(), expected, "{description}");
        assert!(!error.is_doubtful());
        let words = error.error_response().unwrap().error_description();
        assert_eq!(words, Some(description));
        world.advance(30);
    }
    let status = users.status_of(&alice).await.unwrap().unwrap();
    assert!(status.is_sign_in_required());
    // A server in trouble may say anything.
    let trouble = Reply {
        status: 500,
        ..says("refresh_token is invalid")
    };
    world.login.then(Answer::Reply(trouble));
    let error = token(&users, &bob).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
