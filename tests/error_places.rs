//! Every error says which token source it is about and which server was asked: a program with five
//! clients would not know otherwise which one is in trouble.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest_bearer::{
    AuthorizationCode, ClientAuthentication, ClientCredentials, Error, ErrorKind, Event, GrantFn,
    MemoryStore, NamedUserClient, Revocation, SecretSource, Subject, TestClock, Timeouts,
    TokenEndpoint, TokenKind, TokenOptions, TokenSet, TokenSource, UserSessions,
};
use support::api::Api;
use support::authorization_server::{Answer, AuthorizationServer};
use support::http_server::{HttpServer, Reply};
use support::issuer::{self, Issuer};
use support::login::Login;
use support::soon;
use support::store::{FragileStore, Mode};

/// What the error says of where it happened; its message, its `Debug` output and its getters agree.
fn is_at(error: &Error, source: Option<&str>, server: Option<&str>) {
    assert_eq!(error.token_source(), source, "{error:?}");
    assert_eq!(error.server(), server, "{error:?}");
    let message = error.to_string();
    let place = match (source, server) {
        (Some(source), Some(server)) => format!("; token source `{source}`, {server}"),
        (Some(source), None) => format!("; token source `{source}`"),
        (None, Some(server)) => format!("; {server}"),
        (None, None) => String::new(),
    };
    assert!(message.ends_with(&place), "{message}");
    assert_eq!(
        message.matches("token source `").count(),
        source.iter().len()
    );
    let shown = format!("{error:?}");
    assert!(
        shown.contains(&format!("token_source: {source:?}")),
        "{shown}"
    );
    assert!(shown.contains(&format!("server: {server:?}")), "{shown}");
    for hidden in ["canary", "/token", "/revoke", "well-known"] {
        assert!(!format!("{message} {shown}").contains(hidden), "{shown}");
    }
}

fn origin(url: &str) -> String {
    let url = reqwest::Url::parse(url).unwrap();
    url.origin().ascii_serialization()
}

fn client() -> ClientAuthentication {
    ClientAuthentication::client_secret_basic("client", "secret")
}

#[tokio::test]
async fn a_failed_token_request_names_source_and_server_wherever_its_error_comes_out() {
    // E8, K15
    let server = AuthorizationServer::start().await;
    let api = Api::start(&server).await;
    let clock = TestClock::new();
    let at = origin(&server.token_url());
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let told = events.clone();
    let url = format!("{}?key=canary", server.token_url());
    let endpoint = TokenEndpoint::new(url, client()).unwrap();
    let source = TokenSource::builder(ClientCredentials::new(endpoint))
        .name("orders")
        .clock(&clock)
        .on_event(move |event| told.lock().unwrap().push(event.clone()))
        .build()
        .unwrap();
    let orders = api.client(&source);

    // An answer of the API that could not be healed.
    assert_eq!(orders.get("x").send().await.unwrap().status(), 200);
    server.always(Answer::Reply(Reply::new(400)));
    server.revoke_all();
    let answer = orders.get("x").send().await.unwrap();
    is_at(
        Error::find_in_response(&answer).unwrap(),
        Some("orders"),
        Some(&at),
    );
    // And one that is not even tried, for the same reason.
    let answer = orders.get("x").send().await.unwrap();
    is_at(
        Error::find_in_response(&answer).unwrap(),
        Some("orders"),
        Some(&at),
    );

    // A call without a usable token, a second one in the pause after it, and one by hand.
    clock.advance(Duration::from_secs(3600));
    for _ in 0..2 {
        let error = orders.get("x").send().await.unwrap_err();
        is_at(Error::find_in(&error).unwrap(), Some("orders"), Some(&at));
        is_at(
            &source.token().await.unwrap_err(),
            Some("orders"),
            Some(&at),
        );
        is_at(
            &source.warm_up().await.unwrap_err(),
            Some("orders"),
            Some(&at),
        );
        is_at(
            source.status().failure().unwrap(),
            Some("orders"),
            Some(&at),
        );
    }
    let events = events.lock().unwrap();
    let errors: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            Event::TokenRequest { outcome, .. } => outcome.as_ref().err(),
            _ => None,
        })
        .collect();
    assert!(!errors.is_empty());
    for error in errors {
        is_at(error, Some("orders"), Some(&at));
    }
}

#[tokio::test]
async fn whatever_goes_wrong_at_a_server_names_its_origin() {
    // E8, K15
    let cut = HttpServer::start(|_| async { None }).await;
    let at = origin(cut.url());

    // The discovery, in a call and in a warm-up; and where no call is at it.
    let discovered = TokenEndpoint::discover(cut.url(), client()).unwrap();
    let source = TokenSource::builder(ClientCredentials::new(discovered.clone()));
    // Shorter than the pause before another attempt.
    let source = source.timeouts(Timeouts::new().refresh(Duration::from_millis(1)));
    let source = source.name("orders").clock(&TestClock::new());
    let error = soon(source.build().unwrap().token()).await.unwrap_err();
    is_at(&error, Some("orders"), Some(&at));
    let exchange = AuthorizationCode::new("canary").exchange(&discovered).await;
    is_at(&exchange.unwrap_err(), None, Some(&at));
    let users = UserSessions::new(&discovered);
    let error = soon(users.warm_up()).await.unwrap_err();
    is_at(&error, Some("refresh_token"), Some(&at));

    // A token request without an answer, and a revocation.
    let url = format!("{}/token?canary", cut.url());
    let elsewhere = HttpServer::start(|_| async { Some(Reply::new(503)) }).await;
    let endpoint = TokenEndpoint::builder(client())
        .token_url(url)
        .revocation_url(format!("{}/revoke?canary", elsewhere.url()))
        .build()
        .unwrap();
    let exchange = AuthorizationCode::new("canary").exchange(&endpoint).await;
    is_at(&exchange.unwrap_err(), None, Some(&at));
    let revoked = endpoint.revoke("canary", TokenKind::AccessToken).await;
    is_at(&revoked.unwrap_err(), None, Some(&origin(elsewhere.url())));

    // A secret that cannot be read for it.
    let secret = SecretSource::from_fn(|| async { Err(Error::unavailable("no vault")) });
    let client = ClientAuthentication::client_secret_post("client", secret);
    let endpoint = TokenEndpoint::new(format!("{}/token", cut.url()), client).unwrap();
    let error = AuthorizationCode::new("c").exchange(&endpoint).await;
    is_at(&error.unwrap_err(), None, Some(&at));
}

#[tokio::test]
async fn a_server_that_does_not_answer_in_time_is_named() {
    // E2, K15
    let server = AuthorizationServer::start().await;
    server.hold();
    let clock = TestClock::new();
    let at = origin(&server.token_url());
    let [short, long] = [1, 9].map(Duration::from_secs);
    // The attempt's time is over, or that of the call.
    for (number, (attempt, call)) in [(short, long), (long, short)].into_iter().enumerate() {
        let source = TokenSource::builder(server.client_credentials())
            .name("orders")
            .clock(&clock)
            .timeouts(Timeouts::new().attempt(attempt).refresh(attempt).wait(call))
            .build()
            .unwrap();
        let waiting = tokio::spawn(async move { source.token().await });
        server.until_held(number + 1).await;
        clock.advance(short);
        let error = soon(waiting).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        is_at(&error, Some("orders"), Some(&at));
    }
}

#[tokio::test]
async fn an_error_that_no_server_is_the_cause_of_names_the_source_alone() {
    // E8, F4, K15
    let clock = TestClock::new();
    let login = Login::start().await;
    let store = FragileStore::new(&clock);
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let told = events.clone();
    let users = UserSessions::builder(&login.endpoint())
        .name("users")
        .store(store.clone())
        .clock(&clock)
        .on_event(move |event| told.lock().unwrap().push(event.clone()))
        .build()
        .unwrap();
    let named = |error: Error| is_at(&error, Some("users"), None);
    let orders = NamedUserClient::new("orders", "https://api.test", &users).unwrap();
    let alice = Subject::new("canary").unwrap();
    let handle = users.for_subject(&alice);

    // Settings and calls that cannot be served.
    let of_task = users.for_current_subject();
    named(of_task.token().await.unwrap_err());
    named(of_task.invalidate_all().unwrap_err());
    let error = orders.get("x").send().await.unwrap_err();
    named(Error::find_in(&error).unwrap().clone());
    let error = orders
        .get("https://elsewhere.test")
        .send()
        .await
        .unwrap_err();
    named(Error::find_in(&error).unwrap().clone());
    named(
        of_task
            .token_with(&TokenOptions::anonymous())
            .await
            .unwrap_err(),
    );
    let bad = TokenOptions::new().extra("scope", "x");
    named(handle.token_with(&bad).await.unwrap_err());
    named(handle.token().await.unwrap_err());
    named(
        users
            .sign_in(&alice, TokenSet::new("canary\n"))
            .await
            .unwrap_err(),
    );

    // The store.
    store.be(Mode::Down);
    let tokens = login.sign_in("alice", clock.system_time());
    named(users.sign_in(&alice, tokens).await.unwrap_err());
    named(users.status_of(&alice).await.unwrap_err());
    named(users.sign_out(&alice).await.unwrap_err());
    let error = soon(handle.token()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    named(error);
    let failed = |event: &Event| match event {
        Event::StoreFailed { error, .. } => Some(error.clone()),
        _ => None,
    };
    let errors: Vec<_> = events.lock().unwrap().iter().filter_map(failed).collect();
    assert!(!errors.is_empty());
    errors.into_iter().for_each(named);

    // A grant of one's own, a source that was shut down, and an application's that has no users.
    let clock = TestClock::new();
    let issuer = Issuer::new();
    issuer.always(issuer::failure());
    let own = issuer.builder(&clock).name("users").build().unwrap();
    named(own.token().await.unwrap_err());
    clock.advance(Duration::from_secs(60));
    own.shutdown().await.unwrap();
    named(own.token().await.unwrap_err());
}

#[tokio::test]
async fn a_revocation_that_fails_names_the_source_and_where_it_was_tried() {
    // F10, K15
    let down = HttpServer::start(|_| async { Some(Reply::new(503)) }).await;
    let at = origin(down.url());
    let endpoint = TokenEndpoint::builder(client())
        .token_url("https://as.test/token")
        .revocation_url(format!("{}/revoke", down.url()))
        .build()
        .unwrap();
    let events: Arc<Mutex<Vec<Event>>> = Arc::default();
    let told = events.clone();
    let users = UserSessions::builder(&endpoint)
        .name("users")
        .store(MemoryStore::new())
        .on_event(move |event| told.lock().unwrap().push(event.clone()))
        .build()
        .unwrap();
    let alice = Subject::new("alice").unwrap();
    let tokens = TokenSet::new("t").with_refresh_token("r");
    users.sign_in(&alice, tokens).await.unwrap();
    let sign_out = users.sign_out(&alice).await.unwrap();
    let Revocation::Failed(error) = sign_out.outcome().await else {
        panic!("a server that is down has revoked nothing");
    };
    is_at(&error, Some("users"), Some(&at));
    let events = events.lock().unwrap();
    let failed = events.iter().find_map(|event| match event {
        Event::RevocationFailed { error, .. } => Some(error),
        _ => None,
    });
    is_at(failed.unwrap(), Some("users"), Some(&at));
}

#[tokio::test]
async fn an_error_that_came_through_another_source_keeps_its_name() {
    // E8, K15
    let server = AuthorizationServer::start().await;
    server.always(Answer::Reply(Reply::new(400)));
    let clock = TestClock::new();
    let inner = TokenSource::builder(server.client_credentials());
    let inner = inner.name("inner").clock(&clock).build().unwrap();
    let grant = GrantFn::new("outer", move |_| {
        let inner = inner.clone();
        async move { Err(inner.token().await.unwrap_err()) }
    });
    let outer = TokenSource::builder(grant).clock(&clock).build().unwrap();
    let error = outer.token().await.unwrap_err();
    is_at(&error, Some("inner"), Some(&origin(&server.token_url())));
}
