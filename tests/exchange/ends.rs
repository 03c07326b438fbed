//! Until when an exchanged token is used, and by what it is renewed.

use std::time::Duration;

use reqwest_bearer::{ErrorKind, ExchangedTokens, SubjectToken, TestClock, TokenExchange};
use serde_json::json;

use crate::server::{EXCHANGE, Exchange, api, assert_kind, client, ending, error_of, subject};
use crate::support::{landed, until, while_time_passes};

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

#[tokio::test]
async fn no_exchanged_token_is_used_longer_than_the_one_it_was_exchanged_for() {
    // I1: the server says 600 s, the incoming token ends after 100 s.
    let (clock, server, api) = (TestClock::new(), Exchange::start().await, api().await);
    let tokens = server.tokens(&clock);
    let caller = subject(&ending("alice", &clock, 100));
    let orders = client(&api, &tokens).for_subject_token(&caller);
    let call = async || orders.get("x").send().await;
    call().await.unwrap();
    // Nor is it exchanged ahead of that, since nothing would last longer.
    clock.advance(seconds(99));
    call().await.unwrap();
    landed(&tokens.for_subject_token(&caller)).await;
    assert_eq!(server.count(), 1);
    clock.advance(seconds(1));
    let error = error_of(call().await);
    assert_kind(&error, ErrorKind::InvalidSubjectToken);
    assert_eq!(
        (server.count(), api.seen().len()),
        (1, 2),
        "nobody is asked"
    );
}

#[tokio::test]
async fn a_token_is_renewed_ahead_by_the_incoming_token_it_was_exchanged_for() {
    // I1, B3: the refresh token in the answer is dropped.
    let (clock, server, api) = (TestClock::new(), Exchange::start().await, api().await);
    server.differ(json!({ "refresh_token": "never-sent" }));
    let tokens = server.tokens(&clock);
    let of = |name: &str| subject(&ending(name, &clock, 700));
    let (one, other) = (of("alice"), of("bob"));
    let orders = client(&api, &tokens);
    for caller in [&one, &other] {
        orders
            .for_subject_token(caller)
            .get("x")
            .send()
            .await
            .unwrap();
    }
    clock.advance(seconds(481));
    orders
        .for_subject_token(&one)
        .get("x")
        .send()
        .await
        .unwrap();
    until(async || server.count() == 3).await;
    landed(&tokens.for_subject_token(&one)).await;
    orders
        .for_subject_token(&one)
        .get("x")
        .send()
        .await
        .unwrap();
    let sent = api.tokens();
    assert!(
        sent[2].starts_with("1~") && sent[3].starts_with("2~"),
        "{sent:?}"
    );
    for request in server.requests() {
        assert_eq!(request.field("grant_type").as_deref(), Some(EXCHANGE));
        assert_eq!(request.field("refresh_token"), None);
    }
    assert_eq!(
        server.requests()[2].field("subject_token"),
        server.requests()[0].field("subject_token")
    );
    // The renewed one ends with its subject token, 700 s after the start.
    clock.advance(seconds(218));
    orders
        .for_subject_token(&one)
        .get("x")
        .send()
        .await
        .unwrap();
    assert_eq!(server.count(), 3);
    clock.advance(seconds(1));
    let error = error_of(orders.for_subject_token(&one).get("x").send().await);
    assert_kind(&error, ErrorKind::InvalidSubjectToken);
}

#[tokio::test]
async fn where_nothing_tells_an_end_a_token_lives_for_five_minutes() {
    // I1
    let (clock, server, api) = (TestClock::new(), Exchange::start().await, api().await);
    server.differ(json!({ "expires_in": null }));
    let tokens = server.tokens(&clock);
    let token = tokens
        .for_subject_token(&subject("opaque"))
        .token()
        .await
        .unwrap();
    let left = token
        .expires_at()
        .unwrap()
        .duration_since(clock.system_time());
    assert_eq!(left.unwrap(), seconds(300));
    drop(api);
}

#[tokio::test]
async fn the_end_of_an_actor_and_one_that_the_program_states_count_as_well() {
    // I1
    let (clock, server) = (TestClock::new(), Exchange::start().await);
    let by_actor =
        TokenExchange::new(server.endpoint_by(&clock)).actor_token(ending("service", &clock, 50));
    let by_actor = ExchangedTokens::builder(by_actor)
        .clock(&clock)
        .build()
        .unwrap();
    let tokens = server.tokens(&clock);
    let opaque = subject("opaque");
    let stated = opaque.clone().expires_at(clock.system_time() + seconds(70));
    let acting = opaque.clone().actor(ending("a", &clock, 60)).unwrap();
    let both = subject(&ending("alice", &clock, 40)).expires_at(clock.system_time() + seconds(70));
    for (tokens, caller, end) in [
        (&tokens, &opaque, 600),
        (&tokens, &stated, 70),
        (&tokens, &acting, 60),
        (&by_actor, &opaque, 50),
        (&tokens, &both, 40),
    ] {
        let token = tokens.for_subject_token(caller).token().await.unwrap();
        let left = token
            .expires_at()
            .unwrap()
            .duration_since(clock.system_time());
        let left = left.unwrap();
        assert!(
            left <= seconds(end) && left > seconds(end - 2),
            "{end}: {left:?}"
        );
    }
}

#[tokio::test]
async fn an_incoming_token_that_has_expired_is_not_sent() {
    // I1
    let (clock, server) = (TestClock::new(), Exchange::start().await);
    let tokens = server.tokens(&clock);
    for old in [
        subject(&ending("alice", &clock, 0)),
        subject("opaque").expires_at(clock.system_time()),
    ] {
        let error = tokens.for_subject_token(&old).token().await.unwrap_err();
        assert_kind(&error, ErrorKind::InvalidSubjectToken);
    }
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn a_token_that_is_kept_fresh_is_so_until_the_incoming_one_ends() {
    // I1, K31: for the caller's WebSocket.
    let (clock, server) = (TestClock::new(), Exchange::start().await);
    let tokens = server.tokens(&clock);
    let caller = subject(&ending("alice", &clock, 700));
    let mut watch = tokens.for_subject_token(&caller).keep_fresh().unwrap();
    let first = watch.changed().await.unwrap();
    assert!(first.expose().starts_with("1~"));
    clock.advance(seconds(481));
    let second = watch.changed().await.unwrap();
    assert!(second.expose().starts_with("2~"));
    let error = while_time_passes(&clock, watch.changed())
        .await
        .unwrap_err();
    assert_kind(&error, ErrorKind::InvalidSubjectToken);
    assert!(watch.has_ended());
    assert_eq!(server.count(), 2);
}

#[tokio::test]
async fn the_callers_who_were_not_heard_of_for_longest_leave_the_cache_first() {
    // I1, F9
    let server = Exchange::start().await;
    let tokens = ExchangedTokens::builder(server.grant()).cache_capacity(32);
    let tokens = tokens.build().unwrap();
    let call = async |number: usize| {
        let caller = SubjectToken::new(format!("caller-{number}")).unwrap();
        tokens.for_subject_token(&caller).token().await.unwrap();
    };
    for number in 0..200 {
        call(number).await;
    }
    assert_eq!(server.count(), 200);
    call(199).await;
    assert_eq!(server.count(), 200, "the last one is there");
    call(0).await;
    assert_eq!(server.count(), 201, "the first one is exchanged anew");
}
