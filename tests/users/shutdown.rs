//! F10: a shutdown ends while calls go on.

use reqwest_bearer::{ClientAuthentication, TokenEndpoint, TokenSet, UserSessions};

use crate::support::soon;
use crate::support::store::Call;
use crate::{World, subject, token};

#[tokio::test]
async fn a_shutdown_does_not_wait_for_looks_into_the_store_that_calls_have_begun() {
    // F10: or it would end only in a moment without any, which busy processes hardly have.
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let bob = world.sign_in(&users, "bob").await;
    world.advance(31);
    world.store.hold(Call::Load);
    token(&users, &alice).await.unwrap();
    world.store.until_held(1).await;
    soon(users.shutdown()).await.unwrap();
    // Others' sign-outs are noticed as before.
    token(&users, &bob).await.unwrap();
    world.store.until_held(2).await;
    world.store.release();
}

#[tokio::test]
async fn sessions_in_the_memory_of_one_process_are_not_looked_up_behind_its_calls() {
    // F10: nobody else can have changed them.
    let endpoint = TokenEndpoint::new("https://as.test/token", ClientAuthentication::none("me"));
    let clock = reqwest_bearer::TestClock::new();
    let users = UserSessions::builder(&endpoint.unwrap());
    let users = users.clock(&clock).build().unwrap();
    let alice = subject("alice");
    users.sign_in(&alice, TokenSet::new("a")).await.unwrap();
    for seconds in [31, 31, 3600] {
        clock.advance(std::time::Duration::from_secs(seconds));
        assert_eq!(token(&users, &alice).await.unwrap(), "a");
        assert!(!users.for_subject(&alice).status().is_refreshing());
    }
}
