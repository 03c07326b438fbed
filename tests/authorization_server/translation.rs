//! A hook that translates what a server answers, and what becomes of answers when the hook is broken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest_bearer::{
    ClientAuthentication, Error, ErrorKind, RawAnswer, RefreshTokenGrant, Subject, TestClock,
    TokenEndpoint, TokenRequest, TokenSet, TokenSource, UserSessions,
};
use serde_json::{Value, json};
use wiremock::matchers::path;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::{landed, soon};
use crate::{count_at, server_with};

fn translating(
    server: &MockServer,
    clock: &TestClock,
    hook: impl Fn(&RawAnswer) -> Option<Value> + Send + Sync + 'static,
) -> TokenEndpoint {
    TokenEndpoint::builder(ClientAuthentication::none("me"))
        .token_url(format!("{}/token", server.uri()))
        .translate_answers(hook)
        .clock(clock)
        .build()
        .expect("settings")
}

async fn refresh(endpoint: &TokenEndpoint) -> Result<TokenSet, Error> {
    let request = TokenRequest::new("refresh_token").secret_field("refresh_token", "r-0");
    let response = endpoint.request_token(request).await?;
    Ok(TokenSet::from_response(response, SystemTime::UNIX_EPOCH))
}

async fn translated(
    answer: ResponseTemplate,
    hook: impl Fn(&RawAnswer) -> Option<Value> + Send + Sync + 'static,
) -> Result<TokenSet, Error> {
    let server = server_with(answer).await;
    soon(refresh(&translating(&server, &TestClock::new(), hook))).await
}

fn data(answer: &RawAnswer) -> Option<Value> {
    answer.json().get("data").cloned()
}

fn wrapped(data: Value) -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "data": data, "message": "success" }))
}

/// An answer that no rule can read, and no hook here.
fn riddle() -> ResponseTemplate {
    ResponseTemplate::new(200).set_body_json(json!({ "canary": "canary" }))
}

#[tokio::test]
async fn a_translated_answer_is_read_as_if_it_had_been_sent() {
    // K5
    let tokens = translated(
        wrapped(json!({ "access_token": "x", "expires_in": 1_296_000, "refresh_token": "y" })),
        data,
    )
    .await
    .expect("a token");
    assert_eq!(tokens.access_token().map(|t| t.expose()), Some("x"));
    assert_eq!(tokens.refresh_token().map(|t| t.expose()), Some("y"));
    let fifteen_days = Duration::from_secs(1_296_000);
    let end = SystemTime::UNIX_EPOCH + fifteen_days;
    assert_eq!(tokens.expires_at(), Some(end));
}

#[tokio::test]
async fn a_hook_sees_status_headers_and_json_of_any_kind() {
    // K5
    let answer = ResponseTemplate::new(201)
        .insert_header("x-token", "t")
        .set_body_json(json!([{ "expires_in": 60 }]));
    let tokens = translated(answer, |answer| {
        assert_eq!(answer.status(), 201);
        let token = answer.headers().get("x-token")?.to_str().ok()?;
        let lifetime = answer.json()[0]["expires_in"].clone();
        Some(json!({ "access_token": token, "expires_in": lifetime }))
    })
    .await
    .expect("a token");
    assert_eq!(tokens.access_token().map(|t| t.expose()), Some("t"));
}

#[tokio::test]
async fn a_translated_error_is_a_verdict_and_what_is_left_alone_is_read_as_it_was_sent() {
    // K5, K9
    let dead = |answer: &RawAnswer| {
        let text = answer.json()["error_description"].as_str()?;
        text.contains("is invalid")
            .then(|| json!({ "error": "invalid_grant" }))
    };
    let body = json!({ "error": "unauthorized_client", "error_description": "x is invalid" });
    let answer = ResponseTemplate::new(403).set_body_json(body);
    let error = translated(answer, dead).await.expect_err("dead");
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    let body = json!({ "access_token": "plain" });
    let answer = ResponseTemplate::new(200).set_body_json(body);
    let tokens = translated(answer, dead).await.expect("a token");
    assert_eq!(tokens.access_token().map(|t| t.expose()), Some("plain"));
}

fn id_token(sub: &str) -> String {
    let claims = URL_SAFE_NO_PAD.encode(json!({ "sub": sub }).to_string());
    format!("e30.{claims}.sig")
}

#[tokio::test]
async fn a_translated_id_token_of_another_user_is_refused_as_a_sent_one_is() {
    // K5, F10
    for (sub, served) in [("alice", true), ("bob", false)] {
        let tokens = json!({ "access_token": "t", "id_token": id_token(sub) });
        let server = server_with(wrapped(tokens)).await;
        let endpoint = translating(&server, &TestClock::new(), data);
        let source = UserSessions::new(&endpoint);
        let alice = Subject::new("session").expect("a subject");
        let tokens = TokenSet::from_refresh_token("r").with_id_token(id_token("alice"));
        soon(source.sign_in(&alice, tokens))
            .await
            .expect("signed in");
        let token = soon(source.for_subject(&alice).token()).await;
        assert_eq!(token.is_ok(), served, "{sub}");
        assert_eq!(count_at(&server, "/token").await, 1);
    }
}

#[tokio::test]
async fn a_hook_is_not_asked_about_a_server_in_trouble_and_makes_no_verdict_of_it() {
    // K5, E3
    for status in [408, 429, 500, 502, 503, 504] {
        let answer = ResponseTemplate::new(status).set_body_json(json!({ "data": {} }));
        let error = translated(answer, |_| Some(json!({ "error": "invalid_grant" })))
            .await
            .expect_err("no token");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{status}");
    }
}

#[tokio::test]
async fn a_translated_token_that_cannot_be_sent_is_an_error_that_names_the_hook() {
    // K5, D7
    for bad in ["a\r\nX: canary", "a canary", "", "tökcanary"] {
        let error = translated(wrapped(json!({ "access_token": bad })), data)
            .await
            .expect_err(bad);
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("`translate_answers`"), "{shown}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}

#[tokio::test]
async fn where_a_hook_fails_the_answer_is_read_as_it_was_sent() {
    // K5
    let token = || ResponseTemplate::new(200).set_body_json(json!({ "access_token": "own" }));
    let dead = || ResponseTemplate::new(400).set_body_json(json!({ "error": "invalid_grant" }));
    let hooks: [fn(&RawAnswer) -> Option<Value>; 4] = [
        |_| panic!("canary"),
        |_| Some(json!("nonsense")),
        |_| Some(json!({ "access_token": 7 })),
        |_| Some(json!({ "error": {} })),
    ];
    for hook in hooks {
        let tokens = translated(token(), hook).await.expect("a token");
        assert_eq!(tokens.access_token().map(|t| t.expose()), Some("own"));
        let error = translated(dead(), hook).await.expect_err("dead");
        assert_eq!(error.oauth_code(), Some("invalid_grant"));
        // What says nothing by itself is no verdict on a refresh token where the hook is at fault.
        for status in [200, 400, 401, 404] {
            let answer = ResponseTemplate::new(status).set_body_json(json!({ "x": "canary" }));
            let error = translated(answer, hook).await.expect_err("lost");
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("`translate_answers`"), "{shown}");
            assert!(!shown.contains("canary"), "{shown}");
        }
    }
}

#[tokio::test]
async fn a_hook_that_hangs_is_given_up_and_named() {
    // K5
    let (over, waits) = std::sync::mpsc::channel::<()>();
    let waits = std::sync::Mutex::new(waits);
    let error = translated(riddle(), move |_| {
        let _ = waits.lock().expect("alone").recv();
        None
    })
    .await
    .expect_err("no token");
    drop(over);
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.to_string().contains("`translate_answers`"), "{error}");
}

/// A mended hook, after it has been broken.
fn breakable(
    server: &MockServer,
    clock: &TestClock,
) -> (TokenEndpoint, Arc<AtomicBool>, Arc<AtomicUsize>) {
    let works = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicUsize::new(0));
    let (by_hook, counted) = (works.clone(), asked.clone());
    let endpoint = translating(server, clock, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        let works = by_hook.load(Ordering::SeqCst);
        Some(if works {
            json!({ "access_token": "t" })
        } else {
            json!({})
        })
    });
    (endpoint, works, asked)
}

#[tokio::test]
async fn after_the_second_answer_that_a_hook_lost_refresh_tokens_are_spent_once_per_pause() {
    // K5, B6
    let (server, clock) = (server_with(riddle()).await, TestClock::new());
    let (endpoint, works, _) = breakable(&server, &clock);
    for sent in 1..=2 {
        refresh(&endpoint).await.expect_err("lost");
        assert_eq!(count_at(&server, "/token").await, sent);
    }
    let mut sent = 2;
    for pause in [1, 2, 4, 8, 16, 30, 30] {
        for _ in 0..3 {
            let error = refresh(&endpoint).await.expect_err("stopped");
            assert!(error.to_string().contains("`translate_answers`"), "{error}");
        }
        clock.advance(Duration::from_millis(pause * 1000 - 1));
        refresh(&endpoint).await.expect_err("stopped");
        assert_eq!(count_at(&server, "/token").await, sent, "{pause}");
        clock.advance(Duration::from_millis(1));
        refresh(&endpoint).await.expect_err("lost");
        sent += 1;
        assert_eq!(count_at(&server, "/token").await, sent, "{pause}");
    }
    // What spends no refresh token goes on meanwhile.
    let other = TokenRequest::new("client_credentials");
    endpoint.request_token(other).await.expect_err("lost");
    assert_eq!(count_at(&server, "/token").await, sent + 1);
    works.store(true, Ordering::SeqCst);
    clock.advance(Duration::from_secs(30));
    for _ in 0..3 {
        refresh(&endpoint).await.expect("mended");
    }
}

#[tokio::test]
async fn after_a_pause_one_refresh_token_is_spent_and_not_all_that_waited() {
    // K5, B6
    let (server, clock) = (server_with(riddle()).await, TestClock::new());
    let (endpoint, _, _) = breakable(&server, &clock);
    for _ in 0..2 {
        refresh(&endpoint).await.expect_err("lost");
    }
    clock.advance(Duration::from_secs(1));
    let three = [refresh(&endpoint), refresh(&endpoint), refresh(&endpoint)];
    for outcome in futures_util::future::join_all(three).await {
        outcome.expect_err("no token");
    }
    assert_eq!(count_at(&server, "/token").await, 3);
}

#[tokio::test]
async fn an_answer_that_a_hook_lost_is_a_lost_answer() {
    // K5, E3
    let (server, clock) = (server_with(riddle()).await, TestClock::new());
    let (endpoint, _, _) = breakable(&server, &clock);
    let now = clock.system_time();
    let tokens = TokenSet::new("a")
        .with_refresh_token("r")
        .with_issued_at(now)
        .with_expires_at(now + Duration::from_secs(600));
    let source = TokenSource::builder(RefreshTokenGrant::from_token_set(endpoint, tokens))
        .clock(&clock)
        .build()
        .expect("settings");
    // The refresh token is not sent again while the access token lives, however often it is due.
    for passed in [500, 60, 30] {
        clock.advance(Duration::from_secs(passed));
        let token = soon(source.token()).await.expect("it is still good");
        assert_eq!(token.expose(), "a");
        landed(&source).await;
        assert_eq!(count_at(&server, "/token").await, 1, "{passed}");
    }
    clock.advance(Duration::from_secs(10));
    soon(source.token()).await.expect_err("no token");
    assert_eq!(count_at(&server, "/token").await, 2);
}

#[tokio::test]
async fn a_hook_that_works_again_in_between_is_not_stopped() {
    // K5
    let (server, clock) = (server_with(riddle()).await, TestClock::new());
    let (endpoint, works, asked) = breakable(&server, &clock);
    for _ in 0..4 {
        works.store(false, Ordering::SeqCst);
        refresh(&endpoint).await.expect_err("lost");
        works.store(true, Ordering::SeqCst);
        refresh(&endpoint).await.expect("a token");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 8);
}

#[tokio::test]
async fn a_refusal_in_between_that_says_nothing_does_not_make_a_broken_hook_a_good_one() {
    // K5
    let server = MockServer::start().await;
    let count = AtomicUsize::new(0);
    Mock::given(path("/token"))
        .respond_with(move |_: &Request| {
            if count.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
                riddle()
            } else {
                ResponseTemplate::new(400)
            }
        })
        .mount(&server)
        .await;
    let endpoint = translating(&server, &TestClock::new(), |answer| {
        (answer.status() == 200).then(|| json!({}))
    });
    for _ in 0..5 {
        refresh(&endpoint).await.expect_err("no token");
    }
    // Lost, refused, lost; and then no more.
    assert_eq!(count_at(&server, "/token").await, 3);
}

#[tokio::test]
async fn a_broken_hook_costs_two_sessions_and_the_others_go_on_when_it_is_mended() {
    // K5, E3, F5
    let (server, clock) = (server_with(riddle()).await, TestClock::new());
    let (endpoint, works, _) = breakable(&server, &clock);
    let source = UserSessions::builder(&endpoint)
        .clock(&clock)
        .build()
        .expect("settings");
    let users: Vec<Subject> = (0..10)
        .map(|n| Subject::new(format!("user-{n}")).expect("a subject"))
        .collect();
    for user in &users {
        let tokens = TokenSet::from_refresh_token("r");
        soon(source.sign_in(user, tokens)).await.expect("signed in");
    }
    for user in &users {
        let error = soon(source.for_subject(user).token())
            .await
            .expect_err("no token");
        assert_ne!(error.kind(), ErrorKind::SignInRequired);
    }
    assert_eq!(count_at(&server, "/token").await, 2);
    works.store(true, Ordering::SeqCst);
    clock.advance(Duration::from_secs(60));
    for user in &users {
        soon(source.for_subject(user).token())
            .await
            .expect("a token");
    }
}

#[tokio::test]
async fn a_body_of_1_mib_of_nesting_is_an_answer_that_says_nothing() {
    // K5, E5
    let deep = format!(
        r#"{{"data":{}1{}}}"#,
        "[".repeat(500_000),
        "]".repeat(500_000)
    );
    let answer = ResponseTemplate::new(200).set_body_raw(deep, "application/json");
    let error = translated(answer, data).await.expect_err("no token");
    assert_eq!(error.kind(), ErrorKind::Protocol);
}
