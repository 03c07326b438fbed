//! F7: what is found in the store and cannot be read.

use std::time::Duration;

use reqwest_bearer::{ErrorKind, Event, GrantFn, TokenResponse, TokenSource};

use crate::support::soon;
use crate::{World, kind, token};

fn unreadable(event: &Event) -> bool {
    matches!(event, Event::RecordUnreadable { .. })
}

#[tokio::test]
async fn a_record_that_cannot_be_read_counts_as_absent_and_the_next_sign_in_replaces_it() {
    // F7
    for bad in [
        &b""[..],
        b"canary",
        b"\xff\x00",
        b"{\"format\":0}",
        b"{\"format\":2,\"refresh_token\":\"canary\"}",
        b"{\"format\":1,\"refresh_token\":7}",
    ] {
        let world = World::new().await;
        let alice = world.sign_in(&world.process(), "alice").await;
        let key = world.store.last_key();
        world.store.overwrite(&key, bad).await;
        let users = world.process();
        assert_eq!(kind(&users, &alice).await, ErrorKind::SignInRequired);
        assert!(users.status_of(&alice).await.unwrap().is_none());
        assert!(world.count_events(unreadable) > 0);
        let shown = format!("{:?}", world.events.lock().unwrap());
        assert!(!shown.contains("canary"), "{shown}");
        world.sign_in(&users, "alice").await;
        assert_eq!(
            token(&world.process(), &alice).await.unwrap(),
            "access-alice-2"
        );
        // And signing out of such a record has nothing to revoke.
        world.store.overwrite(&key, bad).await;
        users.sign_out(&alice).await.unwrap();
        assert!(world.store.memory().is_empty());
    }
}

#[tokio::test]
async fn a_process_that_has_a_token_goes_on_when_the_record_is_replaced_by_a_good_one() {
    // F7, F10
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let key = world.store.last_key();
    world.store.overwrite(&key, b"junk").await;
    world.advance(60);
    assert_eq!(kind(&users, &alice).await, ErrorKind::SignInRequired);
    world.sign_in(&world.process(), "alice").await;
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-2");
}

#[tokio::test]
async fn a_stored_token_that_cannot_be_sent_is_replaced_and_not_kept_until_it_ends() {
    // D7, F7
    let world = World::new().await;
    let texts = std::sync::Mutex::new(vec!["good", "a b"]);
    let texts = std::sync::Arc::new(texts);
    let grant = GrantFn::new("careless", move |_| {
        let text = texts.lock().unwrap().pop().unwrap();
        let hour = Duration::from_secs(3600);
        async move { Ok(TokenResponse::bearer(text).with_expires_in(hour)) }
    });
    let source = TokenSource::builder(grant)
        .store(world.store.clone())
        .clock(&world.clock)
        .build()
        .unwrap();
    let error = soon(source.token()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    world.advance(5);
    assert_eq!(soon(source.token()).await.unwrap().expose(), "good");
}
