//! I3: how often the server is asked, and what is waited for.

use std::sync::Arc;
use std::time::Duration;

use reqwest_bearer::{DeviceAuthorizationRequest, MemoryStore, Subject, UserSessions};
use serde_json::json;

use crate::server::{Say, Server, error, fields, seconds};
use crate::support::http_server::Reply;
use crate::support::{time_passes, under_way, until, while_time_passes};

/// That the pauses were no shorter than these: that they were no longer is what tables beside the code show,
/// since the clock of this test goes on while a socket is waited for.
fn assert_no_shorter(pauses: &[f64], expected: &[f64]) {
    assert_eq!(pauses.len(), expected.len(), "{pauses:?}");
    for (pause, least) in pauses.iter().zip(expected) {
        assert!(pause >= least, "{pauses:?} for {expected:?}");
    }
}

#[tokio::test]
async fn a_device_asks_at_the_server_s_pace_until_the_user_has_agreed() {
    // I3
    let server = Server::start().await;
    let endpoint = server.endpoint();
    let mut pending = server.begin().await;
    let began = server.clock.system_time();
    server
        .then_error("authorization_pending")
        // GitHub, Google.
        .then(error(200, "authorization_pending"))
        .then(error(428, "authorization_pending"))
        .agree();
    let tokens = server.finish(&mut pending).await.unwrap();
    assert_no_shorter(&server.pauses(began), &[5.5; 4]);

    let users = UserSessions::builder(&endpoint)
        .store(Arc::new(MemoryStore::new()))
        .clock(&server.clock)
        .build()
        .unwrap();
    let session = Subject::new("session-1").unwrap();
    users.sign_in(&session, tokens).await.unwrap();
    let token = users.for_subject(&session).token().await.unwrap();
    assert_eq!(token.authorization(), "Bearer access-1");
    assert_eq!(server.polls(), 4);
}

#[tokio::test]
async fn slow_down_makes_each_pause_after_it_longer() {
    // I3
    let server = Server::start().await;
    server.codes(json!({ "interval": 2 }));
    let mut pending = server.begin().await;
    let began = server.clock.system_time();
    server
        .then_error("slow_down")
        .then_error("authorization_pending")
        .then(error(429, "slow_down"))
        .then(error(403, "slow_down"))
        .agree();
    server.finish(&mut pending).await.unwrap();
    let expected = [2.5, 7.5, 7.5, 12.5, 17.5];
    assert_no_shorter(&server.pauses(began), &expected);
}

#[tokio::test]
async fn a_server_that_is_down_is_asked_on_less_and_less_often() {
    // I3
    let server = Server::start().await;
    let mut pending = server.begin().await;
    let began = server.clock.system_time();
    server
        .then(Reply::new(503).body("<html>"))
        .then(Say::Cut)
        .then(Reply::new(504))
        .then_error("authorization_pending")
        .then(error(500, "access_denied"))
        .then(error(400, "temporarily_unavailable"))
        .agree();
    server.finish(&mut pending).await.unwrap();
    let expected = [5.5, 10.5, 20.5, 40.5, 5.5, 10.5, 20.5];
    assert_no_shorter(&server.pauses(began), &expected);
}

#[tokio::test]
async fn a_server_that_does_not_answer_in_time_is_asked_on() {
    // I3: sockets do not follow the clock of the test.
    let server = Server::start().await;
    server.codes(json!({ "expires_in": 86_400 }));
    let mut pending = server.begin().await;
    let endpoint = server
        .builder(Server::client())
        .issuer(server.url(""))
        .attempt_timeout(Duration::from_millis(300))
        .build()
        .unwrap();
    server.answered.send_replace(0);
    server.agree();
    let finish = under_way(async move { pending.finish(&endpoint).await }).await;
    until(async || {
        server.clock.advance(Duration::from_millis(1));
        server.polls() >= 2
    })
    .await;
    server.answered.send_replace(usize::MAX);
    let tokens = while_time_passes(&server.clock, finish).await.unwrap();
    assert!(tokens.is_ok(), "{tokens:?}");
}

#[tokio::test]
async fn nobody_there_to_connect_to_is_no_end() {
    // I3
    let server = Server::start().await;
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let endpoint = server
        .builder(Server::client())
        .token_url(gone)
        .device_authorization_url(server.url("/device"))
        .build()
        .unwrap();
    let mut pending = DeviceAuthorizationRequest::new()
        .start(&endpoint)
        .await
        .unwrap();
    let finish = pending.finish(&endpoint);
    let error = while_time_passes(&server.clock, finish).await.unwrap_err();
    assert!(error.to_string().contains("could not be asked"), "{error}");
    assert_eq!(pending.time_left(&endpoint), seconds(0));
}

#[tokio::test]
async fn a_retry_after_is_waited_for() {
    // I3
    let server = Server::start().await;
    let mut pending = server.begin().await;
    let began = server.clock.system_time();
    server
        .then(Reply::new(429).header("retry-after", "90"))
        .then(error(400, "slow_down").header("retry-after", "30"))
        .agree();
    server.finish(&mut pending).await.unwrap();
    assert_no_shorter(&server.pauses(began), &[5.5, 90.0, 30.0]);
}

#[tokio::test]
async fn nothing_is_asked_before_the_pause_is_over_and_a_clock_set_back_makes_it_no_longer() {
    // I3
    let server = Server::start().await;
    server.agree();
    let mut pending = server.begin().await;
    let endpoint = server.endpoint();
    server.clock.set_back(seconds(86_400));
    let finish = under_way(async move { pending.finish(&endpoint).await }).await;
    time_passes(&server.clock, seconds(5)).await;
    assert!(!finish.is_finished());
    assert_eq!(server.polls(), 0);
    time_passes(&server.clock, seconds(1)).await;
    until(async || finish.is_finished()).await;
    assert!(finish.await.unwrap().is_ok());
}

#[tokio::test]
async fn one_resource_is_asked_for_with_each_poll_and_several_are_not() {
    // I3
    let server = Server::start().await;
    server.agree();
    let request = DeviceAuthorizationRequest::new()
        .scope("read")
        .audience("orders")
        .extra("acr_values", "2")
        .resource("https://one.example.com/");
    let of_the_client = ["device_code", "grant_type"];
    for (request, resource) in [
        (request.clone(), Some("https://one.example.com/")),
        (request.resource("https://two.example.com/"), None),
    ] {
        let mut pending = request.start(&server.endpoint()).await.unwrap();
        server.finish(&mut pending).await.unwrap();
        let sent = fields(&server.book().polls.last().unwrap().seen);
        let names: Vec<_> = sent.keys().map(String::as_str).collect();
        let expected = of_the_client
            .into_iter()
            .chain(resource.map(|_| "resource"));
        assert_eq!(names, expected.collect::<Vec<_>>());
        assert_eq!(sent.get("resource").map(String::as_str), resource);
    }
}
