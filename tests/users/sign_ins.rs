//! F10: a sign-in, and what is under way when it comes.

use reqwest_bearer::{ErrorKind, TokenSet};

use crate::support::soon;
use crate::support::store::{Call, Mode};
use crate::{World, subject, token};

#[tokio::test]
async fn the_first_call_after_a_sign_in_does_not_wait_for_the_refresh_of_the_session_before() {
    // F10, A5
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let hanging = world.refresh_under_way(&users, &alice).await;
    let again = world.login.sign_in("alice", world.clock.system_time());
    let refresh_token = again.refresh_token().unwrap().clone();
    let without_access_token = TokenSet::from_refresh_token(refresh_token);
    users.sign_in(&alice, without_access_token).await.unwrap();
    let call = tokio::spawn({
        let (users, alice) = (users.clone(), alice.clone());
        async move { token(&users, &alice).await }
    });
    // Both are with the server now.
    world.login.until_held(2).await;
    world.login.release();
    assert!(call.await.unwrap().is_ok());
    let error = hanging.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
}

#[tokio::test]
async fn of_two_sign_ins_at_once_the_later_one_in_the_store_is_served_and_no_other() {
    // F10
    let world = World::new().await;
    let (one, other) = (world.process(), world.process());
    let kiosk = subject("kiosk");
    let tokens = |user| world.login.sign_in(user, world.clock.system_time());
    world.store.hold(Call::Save);
    let first = tokio::spawn({
        let (one, kiosk, tokens) = (one.clone(), kiosk.clone(), tokens("alice"));
        async move { one.sign_in(&kiosk, tokens).await }
    });
    world.store.until_held(1).await;
    let loads = world.store.calls(Call::Load);
    world.store.release_and_hold(Call::Load);
    // It is written, and looks whether it still is what was written last. Meanwhile another one comes.
    world.store.until_calls(Call::Load, loads + 1).await;
    let key = world.store.last_key();
    let elsewhere = world
        .builder()
        .store(world.store.another_way())
        .build()
        .unwrap();
    soon(elsewhere.sign_in(&kiosk, tokens("bob")))
        .await
        .unwrap();
    assert!(world.store.record(&key).await.is_some());
    world.store.be(Mode::Failing(Call::Load));
    world.store.release();
    soon(first).await.unwrap().unwrap();
    world.store.be(Mode::Well);
    assert_eq!(token(&one, &kiosk).await.unwrap(), "access-bob-2");
    assert_eq!(token(&other, &kiosk).await.unwrap(), "access-bob-2");
}
