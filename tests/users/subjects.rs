//! F1: whose tokens a request goes out with.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest_bearer::reqwest_middleware::RequestBuilder;
use reqwest_bearer::{
    ErrorKind, GrantFn, NamedUserClient, RefreshTokenGrant, Subject, TestClock, TokenOptions,
    TokenParameters, TokenResponse, TokenSource, UserSessions,
};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::support::api::Api;
use crate::support::soon;
use crate::{World, subject, token};

/// The subjects of the tokens that the API was sent, in order.
fn owners(world: &World) -> Vec<String> {
    let tokens = world.api.tokens();
    let owners = tokens.iter().map(|token| world.login.owner(token).unwrap());
    owners.collect()
}

async fn get(request: RequestBuilder) {
    assert_eq!(soon(request.send()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_request_beats_the_handle_and_the_handle_beats_the_task() {
    // F1
    let world = World::new().await;
    let users = world.process();
    let client = world.client(&users);
    let [task, handle, request] = ["task", "handle", "request"];
    for user in [task, handle, request] {
        world.sign_in(&users, user).await;
    }
    let of_handle = client.for_subject(&subject(handle));
    subject(task)
        .run(async {
            get(client.get("x")).await;
            get(of_handle.get("x")).await;
            let explicit = of_handle.get("x").with_extension(subject(request));
            assert_eq!(explicit.send().await.unwrap().status(), 200);
            // An inner scope hides the outer one, and only while it lasts.
            subject(request).run(get(client.get("x"))).await;
            get(client.get("x")).await;
        })
        .await;
    assert_eq!(owners(&world), [task, handle, request, request, task]);
}

#[tokio::test]
async fn a_handle_survives_the_build_of_a_request() {
    // F1: `build` drops the extensions, and `execute` has none.
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let client = world.client(&users).for_subject(&alice);
    let request = client.get("x").build().unwrap();
    assert_eq!(client.inner().execute(request).await.unwrap().status(), 200);
    assert_eq!(owners(&world), ["alice"]);
}

#[tokio::test]
async fn without_a_subject_nothing_is_sent() {
    // F1
    let world = World::new().await;
    let users = world.process();
    world.sign_in(&users, "alice").await;
    let client = world.client(&users);
    let error = client.get("x").send().await.unwrap_err();
    let error = reqwest_bearer::Error::find_in(&error).unwrap();
    assert_eq!(error.kind(), ErrorKind::NoSubject);
    assert!(!error.is_transient());
    let source = users.for_current_subject();
    let error = source.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSubject);
    let error = source.invalidate_all().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSubject);
    let failure = source.status().failure().map(reqwest_bearer::Error::kind);
    assert_eq!(failure, Some(ErrorKind::NoSubject));
    assert!(world.api.seen().is_empty());
    assert_eq!(world.login.token_requests(), 0);
    // Without a user there is nothing to be fetched ahead, which is no error.
    users.warm_up().await.unwrap();
}

#[tokio::test]
async fn a_spawned_task_inherits_no_subject() {
    // F1
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let client = world.client(&users);
    let outcome = alice
        .run(async { tokio::spawn(async move { client.get("x").send().await }).await })
        .await;
    let error = outcome.unwrap().unwrap_err();
    let kind = reqwest_bearer::Error::find_in(&error).unwrap().kind();
    assert_eq!(kind, ErrorKind::NoSubject);
}

#[tokio::test]
async fn an_application_s_own_token_has_no_subject() {
    // F1
    let clock = TestClock::new();
    let issuer = crate::support::issuer::Issuer::new();
    let source = issuer.source(&clock);
    let api = Api::that_takes(|_| true).await;
    let client = api.client(&source);
    // A web back end runs each handler for its user, and some of its calls are its own.
    subject("alice").run(get(client.get("x"))).await;
    get(client.get("x")).await;
    assert_eq!(issuer.requests(), 1);
    assert!(issuer.asked()[0].subject().is_none());
}

#[tokio::test]
async fn a_user_who_is_named_never_gets_the_application_s_own_token() {
    // D8: that one may do more than the user may.
    let clock = TestClock::new();
    let issuer = crate::support::issuer::Issuer::new();
    let source = issuer.source(&clock);
    let api = Api::that_takes(|_| true).await;
    let client = api.client(&source);
    let alice = subject("alice");
    let narrowed = TokenOptions::new().scope("orders");
    for request in [
        client.get("x").with_extension(alice.clone()),
        client
            .get("x")
            .with_extension(alice.clone())
            .with_extension(narrowed),
    ] {
        let error = soon(request.send()).await.unwrap_err();
        let error = reqwest_bearer::Error::find_in(&error).unwrap();
        assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
        assert!(!error.is_transient() && error.to_string().contains("UserSessions"));
    }
    assert!(api.seen().is_empty());
    assert_eq!(issuer.requests(), 0);
    // Without a token there is nothing that could be mistaken.
    let anonymous = client.get("x").with_extension(alice);
    let anonymous = anonymous.with_extension(TokenOptions::anonymous());
    soon(anonymous.send()).await.unwrap();
    assert!(api.seen()[0].token().is_none());
}

#[tokio::test]
async fn a_grant_of_one_s_own_is_told_the_subject_and_its_tokens_are_kept_apart() {
    // F1, D8
    let grant = GrantFn::new("on behalf of", |request| async move {
        let user = request.subject().unwrap().as_str().to_owned();
        Ok(TokenResponse::bearer(format!("token-of-{user}")))
    });
    let source = UserSessions::with_grant(grant).build().unwrap();
    for user in ["alice", "bob", "alice"] {
        assert_eq!(
            token(&source, &subject(user)).await.unwrap(),
            format!("token-of-{user}")
        );
    }
}

#[tokio::test]
async fn a_flight_carries_its_own_subject_and_not_that_of_the_task_that_started_it() {
    // F1: a grant that calls an API on its way does so for the user whose token it gets.
    let grant = GrantFn::new("looks around", |_| async {
        let ambient = Subject::current().map(|subject| subject.as_str().to_owned());
        Ok(TokenResponse::bearer(ambient.unwrap()))
    });
    let source = UserSessions::with_grant(grant).build().unwrap();
    let of_bob = subject("alice").run(token(&source, &subject("bob"))).await;
    assert_eq!(of_bob.unwrap(), "bob");
}

#[tokio::test]
async fn several_resources_of_one_user_live_on_one_refresh_token() {
    // A6, F1
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let for_orders = users.with_parameters(TokenParameters::new().resource("https://orders"));
    let orders = NamedUserClient::new("orders", world.api.url(), &for_orders).unwrap();
    let options = TokenOptions::new().scope("billing");
    let (one, two, three) = tokio::join!(
        orders.get("x").with_extension(alice.clone()).send(),
        world
            .client(&users)
            .get("x")
            .with_extension(alice.clone())
            .with_extension(options.clone())
            .send(),
        orders
            .get("x")
            .with_extension(alice.clone())
            .with_extension(options)
            .send(),
    );
    for answer in [one, two, three] {
        assert_eq!(answer.unwrap().status(), 200);
    }
    assert!(
        !world.login.is_dead("alice"),
        "a refresh token was sent twice"
    );
    let mut asked: Vec<_> = world.login.requests();
    asked.sort_by_key(|request| (request.field("resource"), request.field("scope")));
    let asked: Vec<_> = asked
        .iter()
        .map(|request| (request.field("resource"), request.field("scope")))
        .collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        asked,
        [
            (None, text("billing")),
            (text("https://orders"), None),
            (text("https://orders"), text("billing"))
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_users_at_once_never_meet_whatever_panics_among_them() {
    // F1, D8
    const USERS: usize = 1_000;
    let world = World::new().await;
    let users = world.builder().cache_capacity(300).build().unwrap();
    let client = world.client(&users);
    for user in 0..USERS {
        world.sign_in(&users, &format!("user{user}")).await;
    }
    // Each may need a connection of its own, and the system resets those for which the API's queue of
    // new ones has no room, when the machine is busy.
    let connections = Arc::new(Semaphore::new(500));
    let mut handlers = JoinSet::new();
    for round in 0..3 {
        for user in 0..USERS {
            let (client, connections) = (client.clone(), connections.clone());
            handlers.spawn(async move {
                let name = format!("user{user}");
                let handler = async {
                    let connection = connections.acquire().await.unwrap();
                    // What the API is sent names the one who sends it.
                    let answer = client.get(name.clone()).send().await.unwrap();
                    drop(connection);
                    assert_eq!(answer.status(), 200);
                    assert!(user % 7 != round, "on purpose");
                };
                subject(&name).run(handler).await;
            });
        }
    }
    let mut panicked = 0;
    while let Some(outcome) = soon(handlers.join_next()).await {
        panicked += usize::from(outcome.is_err());
    }
    assert!(panicked > USERS / 4, "{panicked}");
    let seen = world.api.seen();
    assert_eq!(seen.len(), 3 * USERS);
    for request in seen {
        let owner = world.login.owner(&request.token().unwrap()).unwrap();
        assert_eq!(request.path, format!("/{owner}"));
    }
    // On the same threads, nobody's subject was left behind.
    for _ in 0..100 {
        let client = client.clone();
        let sent = tokio::spawn(async move { client.get("x").send().await });
        assert!(sent.await.unwrap().is_err());
    }
}

#[tokio::test]
async fn a_refresh_token_of_one_s_own_goes_to_a_hook_or_into_a_store_and_not_to_both() {
    // F2
    let world = World::new().await;
    let hook = |_| async { Ok::<_, std::convert::Infallible>(()) };
    let seeded = || RefreshTokenGrant::new(world.login.endpoint(), "refresh");
    let with_both = TokenSource::builder(GrantFn::new("g", |_| async {
        Ok(TokenResponse::bearer("token"))
    }));
    let with_both = with_both
        .store(world.store.clone())
        .on_new_refresh_token(hook);
    let with_store = TokenSource::builder(seeded()).store(world.store.clone());
    for error in [
        with_both.build().unwrap_err(),
        with_store.build().unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::Settings);
    }
    // Nor is the refresh token of one user all users'.
    let of_all = UserSessions::with_grant(seeded()).build().unwrap_err();
    assert_eq!(of_all.kind(), ErrorKind::Settings);
}

#[tokio::test]
async fn a_refused_token_of_a_user_who_never_signed_in_is_healed_also_when_its_record_is_gone() {
    // F1, F10, C1: no sign-in, so nobody can have taken another one's place.
    let world = World::new().await;
    let grant = GrantFn::new("on behalf of", |request| async move {
        let user = request.subject().unwrap().as_str().to_owned();
        static ISSUED: AtomicUsize = AtomicUsize::new(0);
        let number = ISSUED.fetch_add(1, Ordering::Relaxed);
        Ok(TokenResponse::bearer(format!("{user}-{number}")))
    });
    let builder = UserSessions::with_grant(grant).store(world.store.clone());
    let source = builder.clock(&world.clock).build().unwrap();
    let api = Api::that_takes(|token| token == "alice-1").await;
    let client = api.user_client(&source).for_subject(&subject("alice"));
    assert_eq!(token(&source, &subject("alice")).await.unwrap(), "alice-0");
    let key = world.store.last_key();
    let removed = reqwest_bearer::TokenStore::remove(world.store.memory(), &key).await;
    assert!(removed.unwrap().is_some());
    assert_eq!(soon(client.get("x").send()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_user_who_never_signed_in_need_not_do_so_when_the_token_has_expired() {
    // F1, F10: a grant of one's own gets the next token as it got the first one.
    let clock = TestClock::new();
    let grant = GrantFn::new("on behalf of", |_| async {
        Ok(TokenResponse::bearer("token").with_expires_in(std::time::Duration::from_secs(600)))
    });
    let source = UserSessions::with_grant(grant)
        .clock(&clock)
        .build()
        .unwrap();
    for _ in 0..3 {
        assert_eq!(token(&source, &subject("alice")).await.unwrap(), "token");
        clock.advance(std::time::Duration::from_secs(3600));
    }
}

#[tokio::test]
async fn the_source_of_the_task_s_user_asks_anew_at_each_call_who_that_is() {
    // F1
    let world = World::new().await;
    let users = world.process();
    let source = users.for_current_subject();
    for user in ["alice", "bob"] {
        let subject = world.sign_in(&users, user).await;
        let token = subject.run(source.token()).await.unwrap();
        let owner = world.login.owner(token.expose());
        assert_eq!(owner.as_deref(), Some(user));
    }
}

#[tokio::test]
async fn a_grant_of_one_s_own_whose_id_token_is_about_another_user_is_refused() {
    // F10
    use crate::support::login::id_token;
    let world = World::new().await;
    let grant = GrantFn::new("own", |request| async move {
        let response = TokenResponse::bearer("token").with_refresh_token("r-2");
        let about = request.subject().unwrap().as_str();
        Ok(response.with_id_token(id_token(if about == "mixed-up" {
            "somebody else"
        } else {
            about
        })))
    });
    let users = UserSessions::with_grant(grant).clock(&world.clock);
    let users = users.build().unwrap();
    for (user, is_served) in [("alice", true), ("mixed-up", false)] {
        let tokens = reqwest_bearer::TokenSet::from_refresh_token("r-1");
        let tokens = tokens.with_id_token(id_token(user));
        users.sign_in(&subject(user), tokens).await.unwrap();
        let served = token(&users, &subject(user)).await;
        assert_eq!(served.is_ok(), is_served, "{user}: {served:?}");
    }
}
