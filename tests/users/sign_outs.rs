//! F10, K21: a sign-out forgets at once, and says what became of the tokens at the authorization server.

use reqwest_bearer::{
    ClientAuthentication, Error, ErrorKind, Event, GrantFn, Revocation, Secret, SecretSource,
    TokenEndpoint, TokenSet, UserSessions,
};

use crate::support::{soon, until};
use crate::{World, kind, revocation, subject};

#[tokio::test]
async fn a_sign_out_waits_for_no_authorization_server_and_a_shutdown_waits_for_its_revocations() {
    // F10
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.login.hold_revocations();
    let sign_out = soon(users.sign_out(&alice)).await.unwrap();
    assert_eq!(kind(&users, &alice).await, ErrorKind::SignInRequired);
    assert!(world.store.memory().is_empty());
    // Dropping it stops nothing.
    drop(sign_out);
    world.login.until_held(1).await;
    let closing = tokio::spawn({
        let users = users.clone();
        async move { users.shutdown().await }
    });
    // The closing source starts no more requests, so it is waiting.
    let bob = subject("bob");
    until(async || kind(&users, &bob).await == ErrorKind::ShutDown).await;
    assert!(!closing.is_finished());
    world.login.release_revocations();
    soon(closing).await.unwrap().unwrap();
    let revoked = world.login.revocations();
    let of_alice = |token: &str, kind: &str| (format!("{token}-alice-1"), kind.to_owned());
    assert_eq!(
        revoked,
        [
            of_alice("refresh", "refresh_token"),
            of_alice("access", "access_token")
        ]
    );
}

#[tokio::test]
async fn revocations_that_hang_hold_a_shutdown_up_for_10_seconds() {
    // F10
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    world.login.hold_revocations();
    soon(users.sign_out(&alice)).await.unwrap();
    world.login.until_held(1).await;
    let closing = crate::support::while_time_passes(&world.clock, users.shutdown()).await;
    assert_eq!(closing.unwrap_err().kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn revocations_take_the_one_place_of_theirs_and_what_the_token_requests_leave() {
    // A7
    let world = World::new().await;
    let endpoint = world.login.endpoint_with(|set| set.requests_at_once(1));
    let builder = UserSessions::builder(&endpoint).store(world.store.clone());
    let users = builder.clock(&world.clock).build().unwrap();
    let alice = world.sign_in(&users, "alice").await;
    let bob = world.sign_in(&users, "bob").await;
    let carol = world.sign_in(&users, "carol").await;
    let waiting = world.refresh_under_way(&users, &carol).await;
    world.login.hold_revocations();
    let of_alice = soon(users.sign_out(&alice)).await.unwrap();
    let of_bob = soon(users.sign_out(&bob)).await.unwrap();
    world.login.until_held(2).await;
    // Calls of an API take at least as long as another revocation would to arrive.
    let dave = world.sign_in(&users, "dave").await;
    let client = world.client(&users).for_subject(&dave);
    for _ in 0..10 {
        soon(client.get("/").send()).await.unwrap();
        assert_eq!(world.login.held(), 2);
    }
    world.login.release();
    soon(waiting).await.unwrap().unwrap();
    world.login.until_held(2).await;
    world.login.release_revocations();
    for sign_out in [of_alice, of_bob] {
        let revoked = soon(sign_out.outcome()).await;
        assert!(matches!(revoked, Revocation::Revoked), "{revoked:?}");
    }
}

#[tokio::test]
async fn the_outcome_says_whether_the_tokens_are_revoked() {
    // F10, K21
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let revoked = revocation(&users, &alice).await;
    assert!(matches!(revoked, Revocation::Revoked), "{revoked:?}");
    let again = revocation(&users, &alice).await;
    assert!(matches!(again, Revocation::NothingToRevoke), "{again:?}");
    let short = TokenSet::new("access").with_expires_at(world.clock.system_time());
    users.sign_in(&alice, short).await.unwrap();
    let over = revocation(&users, &alice).await;
    assert!(matches!(over, Revocation::NothingToRevoke), "{over:?}");
    assert_eq!(world.login.revocations().len(), 2);
    assert_eq!(not_told(&world), 0);
}

#[tokio::test]
async fn where_no_revocation_endpoint_is_known_the_outcome_and_an_event_say_that_nothing_was_revoked()
 {
    // F10, K21
    let world = World::new().await;
    let client = ClientAuthentication::none("me");
    let endpoint = TokenEndpoint::new("https://as.test/token", client).unwrap();
    let nowhere = GrantFn::new("nowhere", |_| async { Err(Error::unavailable("down")) });
    let builders = [
        UserSessions::builder(&endpoint),
        UserSessions::with_grant(nowhere),
    ];
    for (number, builder) in builders.into_iter().enumerate() {
        let events = world.events.clone();
        let users = builder
            .on_event(move |event| events.lock().unwrap().push(event.clone()))
            .build()
            .unwrap();
        let alice = subject("alice");
        let tokens = TokenSet::new("a").with_refresh_token("r");
        users.sign_in(&alice, tokens).await.unwrap();
        let revoked = revocation(&users, &alice).await;
        let expected = matches!(revoked, Revocation::NoRevocationEndpoint);
        assert!(expected, "{revoked:?}");
        assert_eq!(not_told(&world), number + 1);
        let again = revocation(&users, &alice).await;
        assert!(matches!(again, Revocation::NothingToRevoke), "{again:?}");
        assert_eq!(not_told(&world), number + 1);
    }
}

#[tokio::test]
async fn a_client_secret_that_cannot_be_used_is_a_failed_revocation_and_no_missing_endpoint() {
    // F10, K21
    let with_line_break = || async { Ok::<_, Error>(Secret::new("s3cr3t\nx")) };
    let nowhere = || async { Err(Error::store("the vault is sealed")) };
    let panicking = || async { panic!("on purpose") };
    for (secret, expected) in [
        (SecretSource::from_fn(with_line_break), ErrorKind::Settings),
        (SecretSource::from_fn(nowhere), ErrorKind::Store),
        (
            SecretSource::from_fn::<_, _, Error>(panicking),
            ErrorKind::Panicked,
        ),
    ] {
        let client = ClientAuthentication::client_secret_post("me", secret);
        let endpoint = TokenEndpoint::builder(client)
            .token_url("http://127.0.0.1:9/token")
            .revocation_url("http://127.0.0.1:9/revoke")
            .build()
            .unwrap();
        let world = World::new().await;
        let events = world.events.clone();
        let users = UserSessions::builder(&endpoint)
            .name("users")
            .on_event(move |event| events.lock().unwrap().push(event.clone()))
            .build()
            .unwrap();
        let alice = subject("alice");
        let tokens = TokenSet::new("a").with_refresh_token("r");
        users.sign_in(&alice, tokens).await.unwrap();
        let Revocation::Failed(error) = revocation(&users, &alice).await else {
            panic!("{expected:?}: nothing was revoked");
        };
        assert_eq!(error.kind(), expected);
        assert_eq!(error.token_source(), Some("users"));
        assert_eq!(not_told(&world), 0);
        let failed = |event: &Event| matches!(event, Event::RevocationFailed { .. });
        assert_ne!(world.count_events(failed), 0);
    }
}

/// How often it was told that no revocation endpoint is known.
fn not_told(world: &World) -> usize {
    world.count_events(|event| matches!(event, Event::NoRevocationEndpoint { .. }))
}
