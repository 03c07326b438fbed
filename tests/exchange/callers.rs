//! Whose token a request's is exchanged for, and in which ways that is said.

use reqwest_bearer::{
    BearerTokenProvider, Error, ErrorKind, MemoryStore, NamedClient, NamedUserClient, Subject,
    SubjectToken, TokenSet, TokenSource, UserSessions,
};

use crate::server::{
    ACCESS_TOKEN, EXCHANGE, Exchange, api, assert_kind, client, error_of, subject,
};
use crate::support::authorization_server::AuthorizationServer;

#[tokio::test]
async fn a_request_says_for_whom_it_is_by_itself_before_its_handle_and_by_that_before_its_task() {
    // I1, F1
    let (server, api) = (Exchange::start().await, api().await);
    let tokens = server.grant().audience("orders").scope("read");
    let tokens = reqwest_bearer::ExchangedTokens::new(tokens).unwrap();
    let orders = client(&api, &tokens);
    let (task, handle, request) = (subject("task"), subject("handle"), subject("request"));
    task.run(async {
        assert!(SubjectToken::current().is_some());
        orders.get("a").send().await.unwrap();
        let of_caller = orders.for_subject_token(&handle);
        of_caller.get("b").send().await.unwrap();
        let named = of_caller.get("c").with_extension(request.clone());
        named.send().await.unwrap();
        let named = orders.get("d").with_extension(request);
        named.send().await.unwrap();
        // What is spawned inherits nothing.
        let spawned = tokio::spawn(orders.get("e").send()).await.unwrap();
        assert_kind(&error_of(spawned), ErrorKind::NoSubject);
    })
    .await;
    assert_eq!(
        api.tokens(),
        ["1~task", "1~handle", "1~request", "1~request"]
    );
    let first = &server.requests()[0];
    for (name, value) in [
        ("grant_type", EXCHANGE),
        ("subject_token", "task"),
        ("subject_token_type", ACCESS_TOKEN),
        ("audience", "orders"),
        ("scope", "read"),
    ] {
        assert_eq!(first.field(name).as_deref(), Some(value), "{name}");
    }
    for absent in ["actor_token", "requested_token_type", "requested_token_use"] {
        assert_eq!(first.field(absent), None, "{absent}");
    }
}

#[tokio::test]
async fn without_a_caller_nothing_is_sent() {
    // I1, F1
    let (server, api) = (Exchange::start().await, api().await);
    let tokens = reqwest_bearer::ExchangedTokens::new(server.grant()).unwrap();
    let orders = client(&api, &tokens);
    assert_kind(
        &error_of(orders.get("a").send().await),
        ErrorKind::NoSubject,
    );
    // A user is no caller with a token.
    let user = Subject::new("alice").unwrap();
    let outcome = user.run(orders.get("a").send()).await;
    assert_kind(&error_of(outcome), ErrorKind::NoSubject);
    let error = tokens
        .for_current_subject_token()
        .token()
        .await
        .unwrap_err();
    assert_kind(&error, ErrorKind::NoSubject);
    assert_eq!((server.count(), api.seen().len()), (0, 0));
}

#[tokio::test]
async fn a_caller_that_is_named_explicitly_to_a_client_of_another_kind_is_an_error() {
    // I1, D8: the application's token may do more than the caller's.
    let (server, api) = (Exchange::start().await, api().await);
    let issuer = AuthorizationServer::start().await;
    let caller = subject("caller");
    let own = NamedClient::new("own", api.url(), issuer.client_credentials()).unwrap();
    let users = UserSessions::builder(&issuer.endpoint());
    let users = users.store(MemoryStore::new()).build().unwrap();
    let session = Subject::new("alice").unwrap();
    users
        .sign_in(&session, TokenSet::new("of~alice"))
        .await
        .unwrap();
    let of_users = NamedUserClient::new("users", api.url(), &users).unwrap();
    for request in [
        own.get("a"),
        of_users.get("a").with_extension(session.clone()),
        of_users.for_subject(&session).get("a"),
    ] {
        let outcome = request.with_extension(caller.clone()).send().await;
        assert_kind(&error_of(outcome), ErrorKind::Settings);
    }
    let exchanged = reqwest_bearer::ExchangedTokens::new(server.grant()).unwrap();
    let orders = client(&api, &exchanged).for_subject_token(&caller);
    let outcome = orders.get("a").with_extension(session.clone()).send().await;
    assert_kind(&error_of(outcome), ErrorKind::Settings);
    assert_eq!(api.seen().len(), 0);
    // The caller of the task is no wish of the request's.
    let outcome = caller
        .run(of_users.for_subject(&session).get("a").send())
        .await;
    outcome.unwrap();
    assert_eq!(api.tokens(), ["of~alice"]);
}

#[tokio::test]
async fn each_combination_of_token_type_actor_and_parameters_is_exchanged_for_itself() {
    // I1, D8
    let (server, api) = (Exchange::start().await, api().await);
    let tokens = reqwest_bearer::ExchangedTokens::new(server.grant()).unwrap();
    let narrowed = tokens.with_parameters(reqwest_bearer::TokenParameters::new().scope("less"));
    let one = subject("one");
    let callers = [
        one.clone(),
        one.clone().token_type(SubjectToken::JWT),
        one.clone().actor("a").unwrap(),
        one.clone().actor("b").unwrap(),
    ];
    for tokens in [&tokens, &narrowed] {
        for caller in &callers {
            for _ in 0..2 {
                let orders = client(&api, tokens).for_subject_token(caller);
                orders.get("x").send().await.unwrap();
            }
        }
    }
    assert_eq!(server.count(), 8);
    let actors: Vec<_> = server
        .requests()
        .iter()
        .map(|seen| seen.field("actor_token"))
        .collect();
    assert_eq!(actors[2].as_deref(), Some("a"));
    assert_eq!(actors[3].as_deref(), Some("b"));
    assert_eq!(actors[0], None);
}

#[tokio::test]
async fn the_actor_of_the_service_is_read_anew_for_each_exchange() {
    // I1
    let (server, api) = (Exchange::start().await, api().await);
    let issuer = AuthorizationServer::start().await;
    let own = TokenSource::from(issuer.client_credentials());
    let exchange = server.grant().actor_token(&own);
    let exchange = exchange.actor_token_type(SubjectToken::JWT);
    let tokens = reqwest_bearer::ExchangedTokens::new(exchange).unwrap();
    let orders = client(&api, &tokens);
    let call = async |name: &str| {
        let caller = subject(name);
        orders
            .for_subject_token(&caller)
            .get("x")
            .send()
            .await
            .unwrap();
    };
    call("a").await;
    call("b").await;
    assert_eq!(issuer.token_requests(), 1);
    own.invalidate(&own.token().await.unwrap());
    call("c").await;
    // A caller's own actor comes first.
    let with_actor = subject("d").actor("somebody").unwrap();
    let orders = orders.for_subject_token(&with_actor);
    orders.get("x").send().await.unwrap();
    let requests = server.requests();
    let actors: Vec<_> = requests
        .iter()
        .map(|seen| seen.field("actor_token").unwrap())
        .collect();
    assert_eq!(actors, ["access-1", "access-1", "access-2", "somebody"]);
    let kinds = requests
        .iter()
        .map(|seen| seen.field("actor_token_type").unwrap());
    let jwt = SubjectToken::JWT;
    assert_eq!(kinds.collect::<Vec<_>>(), [jwt, jwt, jwt, ACCESS_TOKEN]);
}

#[tokio::test]
async fn a_flight_for_a_caller_carries_that_caller_and_no_user() {
    // I1, E1: a source that exchanges in order to exchange is an error and no deadlock.
    let server = Exchange::start().await;
    let outer = std::sync::Arc::new(std::sync::OnceLock::<reqwest_bearer::ExchangedTokens>::new());
    let inner = outer.clone();
    let actor = reqwest_bearer::SecretSource::from_fn(move || {
        let tokens = inner.get().unwrap().for_current_subject_token();
        async move {
            assert!(Subject::current().is_none());
            assert!(SubjectToken::current().is_some());
            let token = tokens.token().await?;
            Ok::<_, Error>(reqwest_bearer::Secret::new(token.expose()))
        }
    });
    let tokens = reqwest_bearer::ExchangedTokens::new(server.grant().actor_token(actor)).unwrap();
    outer.set(tokens.clone()).unwrap();
    let error = tokens
        .for_subject_token(&subject("a"))
        .token()
        .await
        .unwrap_err();
    assert_kind(&error, ErrorKind::Reentrant);
}

#[tokio::test]
async fn a_library_is_given_the_token_of_one_caller() {
    // J2, I1
    let server = Exchange::start().await;
    let tokens = reqwest_bearer::ExchangedTokens::new(server.grant()).unwrap();
    for (caller, expected) in [("alice", "1~alice"), ("bob", "1~bob")] {
        let library: Box<dyn BearerTokenProvider> =
            Box::new(tokens.for_subject_token(&subject(caller)));
        let token = library.bearer_token().await.unwrap();
        assert_eq!(token.expose(), expected);
    }
    let nobody = tokens.for_current_subject_token();
    let error = nobody.bearer_token().await.unwrap_err();
    assert_kind(&error, ErrorKind::NoSubject);
}
