//! K31: a user's token that is kept fresh without calls.

use std::time::Duration;

use reqwest_bearer::{ErrorKind, TokenParameters, TokenWatch, UserSessions};

use crate::doubt::{expired, invalid_request, refused_for};
use crate::support::login::id_token;
use crate::support::store::{Call, Mode};
use crate::support::{soon, time_passes, until};
use crate::{World, subject, token, until_token};

async fn next(tokens: &mut TokenWatch) -> Result<String, ErrorKind> {
    match soon(tokens.changed()).await {
        Ok(token) => Ok(token.expose().to_owned()),
        Err(error) => Err(error.kind()),
    }
}

/// Alice, signed in, and a watch of her token.
async fn watching(users: &UserSessions, world: &World) -> TokenWatch {
    let alice = world.sign_in(users, "alice").await;
    let mut tokens = users.for_subject(&alice).keep_fresh().unwrap();
    assert_eq!(next(&mut tokens).await.as_deref(), Ok("access-alice-1"));
    tokens
}

#[tokio::test]
async fn a_user_s_token_is_renewed_ahead_of_its_expiry_each_time_with_the_newest_refresh_token() {
    // K31, F2
    let world = World::new().await;
    let users = world.process();
    let mut tokens = watching(&users, &world).await;
    for round in 2..5 {
        world.advance(500);
        assert_eq!(next(&mut tokens).await, Ok(format!("access-alice-{round}")));
        assert_eq!(world.login.token_requests(), round - 1);
    }
    assert!(!world.login.is_dead("alice"));
}

#[tokio::test]
async fn a_watch_hears_of_another_process_s_token_and_of_a_sign_out_there_within_the_notice_time() {
    // K31, F3, F10
    let world = World::new().await;
    let (here, there) = (world.process(), world.process());
    let alice = subject("alice");
    let mut tokens = watching(&here, &world).await;
    assert_eq!(token(&there, &alice).await.unwrap(), "access-alice-1");
    world.login.end("access-alice-1");
    let answer = soon(world.client(&there).for_subject(&alice).get("/").send()).await;
    assert_eq!(answer.unwrap().status(), 200);
    until_token(&there, &alice, "access-alice-2").await;
    time_passes(&world.clock, Duration::from_secs(60)).await;
    assert_eq!(next(&mut tokens).await.as_deref(), Ok("access-alice-2"));
    assert_eq!(world.login.token_requests(), 1);
    drop(soon(there.sign_out(&alice)).await.unwrap());
    time_passes(&world.clock, Duration::from_secs(60)).await;
    assert_eq!(next(&mut tokens).await, Err(ErrorKind::SignInRequired));
    assert!(tokens.has_ended() && tokens.present().is_none());
}

#[tokio::test]
async fn a_sign_out_ends_a_watch_for_good_and_the_next_user_s_token_is_not_told() {
    // K31, F10
    let world = World::new().await;
    let users = world.process();
    let mut tokens = watching(&users, &world).await;
    let alice = subject("alice");
    drop(soon(users.sign_out(&alice)).await.unwrap());
    // Under the same subject, before the watch has looked.
    let of_bob = world.login.sign_in("bob", world.clock.system_time());
    let of_bob = of_bob.with_id_token(id_token("bob"));
    users.sign_in(&alice, of_bob).await.unwrap();
    assert!(tokens.present().is_none());
    for _ in 0..2 {
        assert_eq!(next(&mut tokens).await, Err(ErrorKind::SignInRequired));
        assert!(tokens.has_ended() && tokens.present().is_none());
    }
    let mut anew = users.for_subject(&alice).keep_fresh().unwrap();
    assert_eq!(next(&mut anew).await.as_deref(), Ok("access-bob-2"));
    assert_eq!(world.login.token_requests(), 0);
}

#[tokio::test]
async fn a_watch_whose_first_look_failed_is_not_told_the_next_user_s_token_either() {
    // K31, F10
    for signs_out in [true, false] {
        let world = World::new().await;
        let (here, there) = (world.process(), world.process());
        let alice = world.sign_in(&there, "alice").await;
        world.store.be(Mode::Down);
        let mut tokens = here.for_subject(&alice).keep_fresh().unwrap();
        assert_eq!(next(&mut tokens).await, Err(ErrorKind::Store));
        assert!(!tokens.has_ended());
        world.store.be(Mode::Well);
        if signs_out {
            drop(soon(here.sign_out(&alice)).await.unwrap());
        }
        let of_bob = world.login.sign_in("bob", world.clock.system_time());
        let of_bob = of_bob.with_id_token(id_token("bob"));
        soon(here.sign_in(&alice, of_bob)).await.unwrap();
        let told = next(&mut tokens).await;
        assert_eq!(told, Err(ErrorKind::SignInRequired), "{signs_out}");
        assert!(tokens.has_ended() && tokens.present().is_none());
    }
}

#[tokio::test]
async fn a_watch_that_was_opened_after_the_subject_had_passed_on_is_the_next_user_s() {
    // K31, F10: this process had seen the user before, and does not know yet.
    let world = World::new().await;
    let (here, there) = (world.process(), world.process());
    let alice = world.sign_in(&here, "alice").await;
    assert_eq!(token(&here, &alice).await.unwrap(), "access-alice-1");
    let of_bob = world.login.sign_in("bob", world.clock.system_time());
    let of_bob = of_bob.with_id_token(id_token("bob"));
    there.sign_in(&alice, of_bob).await.unwrap();
    world.advance(601);
    let mut tokens = here.for_subject(&alice).keep_fresh().unwrap();
    assert_eq!(next(&mut tokens).await.as_deref(), Ok("access-bob-3"));
    assert!(!tokens.has_ended());
}

#[tokio::test]
async fn a_look_that_failed_and_left_no_pause_is_taken_again_after_one_second_then_two_then_four() {
    // K31, B6: the refresh token is in doubt, which costs the server no request.
    let world = World::new().await;
    let users = world.process();
    let alice = expired(&world, &users, "alice").await;
    let error = refused_for(&world, &users, &alice, &invalid_request(), 330).await;
    assert!(error.is_doubtful());
    let requests = world.login.token_requests();
    let handle = users.for_subject(&alice);
    let scoped = handle.with_parameters(TokenParameters::new().scope("more"));
    let mut tokens = scoped.keep_fresh().unwrap();
    assert_eq!(next(&mut tokens).await, Err(ErrorKind::SignInRequired));
    assert!(!tokens.has_ended());
    for pause in [1, 2, 4, 8] {
        let looks = world.store.calls(Call::Load);
        time_passes(&world.clock, Duration::from_millis(pause * 1000 - 100)).await;
        assert_eq!(world.store.calls(Call::Load), looks, "{pause}");
        time_passes(&world.clock, Duration::from_millis(100)).await;
        until(async || world.store.calls(Call::Load) > looks).await;
        until(async || !scoped.status().is_refreshing()).await;
    }
    assert_eq!(world.login.token_requests(), requests);
}

#[tokio::test]
async fn a_sign_out_is_told_at_once() {
    // K31, F10
    let world = World::new().await;
    let users = world.process();
    let mut tokens = watching(&users, &world).await;
    drop(soon(users.sign_out(&subject("alice"))).await.unwrap());
    assert_eq!(next(&mut tokens).await, Err(ErrorKind::SignInRequired));
}

#[tokio::test]
async fn another_user_s_sign_in_under_the_same_subject_ends_a_watch() {
    // K31, F10
    let world = World::new().await;
    let users = world.process();
    let mut tokens = watching(&users, &world).await;
    let of_bob = world.login.sign_in("bob", world.clock.system_time());
    let of_bob = of_bob.with_id_token(id_token("bob"));
    users.sign_in(&subject("alice"), of_bob).await.unwrap();
    assert_eq!(next(&mut tokens).await, Err(ErrorKind::SignInRequired));
    assert!(tokens.has_ended() && tokens.present().is_none());
}

#[tokio::test]
async fn the_same_user_s_next_sign_in_is_told() {
    // K31, F10
    let world = World::new().await;
    let users = world.process();
    let mut tokens = watching(&users, &world).await;
    world.sign_in(&users, "alice").await;
    until(async || next(&mut tokens).await.as_deref() == Ok("access-alice-2")).await;
    assert!(!tokens.has_ended());
}

#[tokio::test]
async fn nobody_is_kept_fresh_who_has_not_signed_in_and_a_dead_session_is_told() {
    // K31, F5
    let world = World::new().await;
    let users = world.process();
    let mut nobody = users.for_subject(&subject("nobody")).keep_fresh().unwrap();
    assert_eq!(next(&mut nobody).await, Err(ErrorKind::SignInRequired));
    assert!(nobody.has_ended());
    let unnamed = users.for_current_subject().keep_fresh().unwrap_err();
    assert_eq!(unnamed.kind(), ErrorKind::NoSubject);
    let mut tokens = watching(&users, &world).await;
    world.login.end_family("alice");
    world.advance(601);
    assert_eq!(next(&mut tokens).await, Err(ErrorKind::SignInRequired));
    assert!(tokens.has_ended());
    assert_eq!(world.login.token_requests(), 1);
}
