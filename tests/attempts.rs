//! E, as a token source has it: which attempts are repeated, and what becomes of a refresh token.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

mod support;

use std::future::ready;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::time::Duration;

use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, Error, ErrorKind, Event, GrantFn, NamedClient,
    RefreshTokenGrant, SecretSource, TestClock, Timeouts, TokenEndpoint, TokenOptions,
    TokenResponse, TokenSet, TokenSource, TokenSourceBuilder,
};
use serde_json::json;
use support::api::Api;
use support::authorization_server::{Answer, AuthorizationServer};
use support::http_server::Reply;
use support::issuer::Issuer;
use support::{landed, soon, time_passes, time_until, under_way, while_time_passes};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn status(status: u16) -> Answer {
    Answer::Reply(Reply::new(status))
}

fn refused(code: &str) -> Answer {
    Answer::Reply(Reply::new(400).json(&json!({ "error": code })))
}

/// A server that keeps each connection open after an answer, and cuts it when the next request
/// comes: as one does whose idle time-out strikes at that moment. Nobody can know then whether the
/// request was read.
async fn server_that_cuts_used_connections(end_of_request: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/token", listener.local_addr().unwrap());
    tokio::spawn(async move {
        for number in 1.. {
            let (mut socket, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut request = String::new();
                while !request.contains(end_of_request) {
                    let mut part = [0; 1024];
                    let length = socket.read(&mut part).await.unwrap();
                    assert_ne!(length, 0, "the request was cut");
                    request.push_str(std::str::from_utf8(&part[..length]).unwrap());
                }
                let body = json!({
                    "access_token": format!("access-{number}"),
                    "expires_in": 600,
                    "refresh_token": format!("refresh-{number}"),
                })
                .to_string();
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
                socket.write_all(answer.as_bytes()).await.unwrap();
                // The first byte of the next request, or the end of the connection.
                let _ = socket.read(&mut [0]).await;
            });
        }
    });
    url
}

/// A source that tells when each of its token requests has ended, answered or not.
fn told(builder: TokenSourceBuilder) -> (TokenSource, UnboundedReceiver<()>) {
    let (sender, ended) = unbounded_channel();
    let source = builder
        .on_event(move |event| {
            if let Event::TokenRequest { .. } = event {
                let _ = sender.send(());
            }
        })
        .build()
        .unwrap();
    (source, ended)
}

#[tokio::test]
async fn a_source_that_needs_its_own_token_is_an_error_and_no_deadlock() {
    // E1
    let api = Api::that_takes(|_| true).await;
    let own: Arc<OnceLock<NamedClient>> = Arc::default();
    let client = own.clone();
    let grant = GrantFn::new("circular", move |_| {
        let client = client.clone();
        async move {
            let sent = client.get().unwrap().get("token").send().await;
            match sent {
                Ok(_) => Ok(TokenResponse::bearer("never")),
                Err(error) => Err(Error::find_in(&error).unwrap().clone()),
            }
        }
    });
    own.set(api.client(grant)).unwrap();
    let error = own.get().unwrap().get("x").send().await.unwrap_err();
    let own = Error::find_in(&error).unwrap();
    assert_eq!(own.kind(), ErrorKind::Reentrant);
    assert!(api.seen().is_empty());
}

#[tokio::test]
async fn a_grant_that_asks_its_own_source_by_hand_is_an_error_and_no_deadlock() {
    // E1
    let own: Arc<OnceLock<TokenSource>> = Arc::default();
    let itself = own.clone();
    let source = TokenSource::from(GrantFn::new("circular", move |_| {
        let itself = itself.clone();
        async move {
            let token = itself.get().unwrap().token().await?;
            Ok(TokenResponse::bearer(token.expose()))
        }
    }));
    own.set(source.clone()).unwrap();
    let error = source.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Reentrant);
}

#[tokio::test]
async fn a_grant_may_use_the_client_of_another_source() {
    // E1
    let api = Api::that_takes(|_| true).await;
    let outer = Issuer::new();
    let broker = api.client(outer.grant());
    let grant = GrantFn::new("brokered", move |_| {
        let broker = broker.clone();
        async move {
            broker.get("token").send().await.unwrap();
            Ok(TokenResponse::bearer("inner"))
        }
    });
    api.client(grant).get("x").send().await.unwrap();
    assert_eq!(api.tokens(), ["token-1", "inner"]);
}

#[tokio::test]
async fn an_attempt_takes_ten_seconds_and_a_flight_thirty() {
    // E2
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    // The caller would wait longer.
    let builder = issuer
        .hold()
        .builder(&clock)
        .timeouts(Timeouts::new().wait(secs(100.0)));
    let (source, mut ended) = told(builder);
    let waiting = under_way(async move { source.token().await.map(drop) }).await;
    for (attempt, pause) in [(1, 0.16), (2, 0.32)] {
        issuer.until_requests(attempt).await;
        time_passes(&clock, secs(9.999)).await;
        assert!(ended.is_empty());
        clock.advance(secs(0.001));
        soon(ended.recv()).await.unwrap();
        let paused = time_until(&clock, issuer.until_requests(attempt + 1)).await;
        assert!((secs(pause)..secs(pause + 0.15)).contains(&paused));
    }
    // 9.52 s are left.
    time_passes(&clock, secs(9.51)).await;
    assert!(ended.is_empty() && !waiting.is_finished());
    clock.advance(secs(0.01));
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(issuer.requests(), 3);
}

#[tokio::test]
async fn what_does_no_harm_is_repeated_twice() {
    // E3, A3: each answer with the requests that one flight makes of it, without and with a
    // refresh token to spend.
    for (answer, without, with) in [
        (status(429), 3, 3),
        (status(503), 3, 3),
        (status(500), 3, 1),
        (status(502), 3, 1),
        (status(504), 3, 1),
        (Answer::Cut, 3, 1),
        (refused("invalid_client"), 1, 1),
        (refused("temporarily_unavailable"), 3, 3),
        (refused("server_error"), 3, 1),
        (status(404), 1, 1),
        (Answer::Reply(Reply::new(200).body("<html>")), 1, 1),
        (
            Answer::Reply(Reply::new(302).header("location", "/token")),
            1,
            1,
        ),
    ] {
        let server = AuthorizationServer::start().await;
        server.always(answer.clone());
        let label = match &answer {
            Answer::Reply(reply) => format!("{reply:?}"),
            _ => "cut".to_owned(),
        };
        let source = TokenSource::from(server.client_credentials());
        source.token().await.unwrap_err();
        assert_eq!(server.token_requests(), without, "{label}");
        let source = TokenSource::from(server.refresh_token_grant());
        source.token().await.unwrap_err();
        assert_eq!(server.token_requests(), without + with, "{label}");
    }
}

#[tokio::test]
async fn a_repeated_attempt_heals_a_hiccup() {
    // E3
    let server = AuthorizationServer::start().await;
    server.then(status(503)).then(Answer::Cut);
    let source = TokenSource::from(server.client_credentials());
    assert_eq!(source.token().await.unwrap().expose(), "access-1");
    assert_eq!(server.token_requests(), 3);
}

#[tokio::test]
async fn a_server_that_nobody_can_connect_to_is_tried_three_times_whatever_is_spent() {
    // E3
    // Kept, so that no other test gets the port meanwhile; where nobody listens, nobody answers.
    let silent = TcpSocket::new_v4().unwrap();
    silent.bind(([127, 0, 0, 1], 0).into()).unwrap();
    let url = format!("http://{}/token", silent.local_addr().unwrap());
    let endpoint = TokenEndpoint::new(url, ClientAuthentication::none("client")).unwrap();
    let refresh = RefreshTokenGrant::new(endpoint.clone(), "refresh");
    for builder in [
        TokenSource::builder(ClientCredentials::new(endpoint)),
        TokenSource::builder(refresh),
    ] {
        let (source, ended) = told(builder);
        let error = source.token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert_eq!(ended.len(), 3);
    }
}

#[tokio::test]
async fn a_short_retry_after_is_waited_for_and_a_long_one_ends_the_flight() {
    // E3
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let busy = |pause| Error::unavailable("busy").with_retry_after(secs(pause));
    issuer.then(busy(1.0)).then(busy(1.1));
    let (source, mut ended) = told(issuer.builder(&clock));
    let waiting = tokio::spawn(async move { source.token().await.map(drop) });
    soon(ended.recv()).await.unwrap();
    let paused = time_until(&clock, issuer.until_requests(2)).await;
    assert!((secs(1.0)..secs(1.15)).contains(&paused));
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.retry_at(), Some(clock.system_time() + secs(1.1)));
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn a_grant_of_one_s_own_says_how_far_its_request_got_and_what_may_be_sent_again() {
    // E3
    use reqwest_bearer::Delivery;
    for (delivery, repeated) in [
        (Some(Delivery::NotSent), true),
        (Some(Delivery::TurnedAway), true),
        (Some(Delivery::Lost), false),
        (None, false),
    ] {
        let (clock, issuer) = (TestClock::new(), Issuer::new());
        let bearer = |token| TokenResponse::bearer(token).with_expires_in(secs(600.0));
        issuer.then(bearer("a").with_refresh_token("r-1"));
        let down = Error::unavailable("down");
        issuer.then(match delivery {
            Some(delivery) => down.with_delivery(delivery),
            None => down,
        });
        issuer.then(bearer("b"));
        let source = issuer.source(&clock);
        source.token().await.unwrap();
        // An API has not refused it, and it has not expired: what the answer was lost to is protected.
        let options = reqwest_bearer::TokenOptions::new().force_refresh();
        let call = tokio::spawn({
            let source = source.clone();
            async move { source.token_with(&options).await }
        });
        let outcome = while_time_passes(&clock, call).await.unwrap();
        assert_eq!(outcome.is_ok(), repeated, "{delivery:?}");
        assert_eq!(issuer.requests(), if repeated { 3 } else { 2 });
        for request in &issuer.asked()[1..] {
            let spent = request.refresh_token().map(|token| token.expose());
            assert_eq!(spent, Some("r-1"), "{delivery:?}");
        }
    }
}

/// A source that starts from the server's refresh token, on a clock.
fn refreshing(server: &AuthorizationServer, clock: &TestClock) -> TokenSourceBuilder {
    TokenSource::builder(server.refresh_token_grant())
        .clock(clock)
        .jitter(0.0)
}

#[tokio::test]
async fn a_refresh_token_whose_answer_was_lost_is_not_sent_again_before_the_expiry() {
    // E3, B5: neither by age, nor because the caller asks.
    let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
    let source = refreshing(&server, &clock).build().unwrap();
    source.token().await.unwrap();
    server.then(Answer::Cut);
    clock.advance(secs(480.0));
    source.token().await.unwrap();
    landed(&source).await;
    assert_eq!(server.token_requests(), 2);
    for age in [60.0, 35.0, 24.9] {
        clock.advance(secs(age));
        let present = source.token().await.unwrap();
        assert_eq!(present.expose(), "access-1");
        let forced = TokenOptions::new().force_refresh();
        source.token_with(&forced).await.unwrap_err();
        let longer = TokenOptions::new().minimum_lifetime(secs(300.0));
        source.token_with(&longer).await.unwrap();
    }
    assert_eq!(server.token_requests(), 2);
    clock.advance(secs(0.1));
    assert_eq!(source.token().await.unwrap().expose(), "access-2");
    assert_eq!(server.reuses(), 0);
    // What is answered is no longer lost.
    clock.advance(secs(480.0));
    source.token().await.unwrap();
    landed(&source).await;
    assert_eq!(source.token().await.unwrap().expose(), "access-3");
}

#[tokio::test]
async fn a_refresh_token_whose_answer_was_lost_is_not_sent_for_another_scope_either() {
    // E3, A6: a server that takes it for stolen ends the access tokens of all scopes.
    let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
    server.rotate(true);
    let source = refreshing(&server, &clock).build().unwrap();
    source.token().await.unwrap();
    server.then(Answer::Cut).hold();
    clock.advance(secs(480.0));
    source.token().await.unwrap();
    server.until_held(1).await;
    // One call waits for its turn while the answer gets lost, and another one comes after that.
    let read = TokenOptions::new().scope("read");
    let waiting = under_way({
        let (source, read) = (source.clone(), read.clone());
        async move { source.token_with(&read).await.map(drop) }
    })
    .await;
    time_passes(&clock, secs(0.5)).await;
    server.release();
    let error = soon(waiting).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    clock.advance(secs(1.0));
    source.token_with(&read).await.unwrap_err();
    assert_eq!(source.token().await.unwrap().expose(), "access-1");
    assert_eq!(server.token_requests(), 2);
    // There is nothing to protect any more when it has expired.
    clock.advance(secs(119.0));
    let token = soon(source.token_with(&read)).await.unwrap();
    assert_eq!(token.expose(), "access-2");
    assert_eq!(server.reuses(), 0);
}

#[tokio::test]
async fn after_a_lost_answer_a_refused_access_token_is_nothing_to_protect() {
    // E3: where the server ended it with the refresh, nobody would get through before its expiry.
    let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
    server.rotate(true);
    let source = refreshing(&server, &clock).build().unwrap();
    source.token().await.unwrap();
    server.then(Answer::Lost);
    clock.advance(secs(480.0));
    source.token().await.unwrap();
    landed(&source).await;
    clock.advance(secs(1.0));
    for _ in 0..3 {
        let refused = source.token().await.unwrap();
        assert_eq!(refused.expose(), "access-1");
        source.invalidate(&refused);
    }
    assert_eq!((server.token_requests(), server.reuses()), (3, 1));
    clock.advance(secs(120.0));
    let error = source.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert_eq!(server.token_requests(), 3);
}

#[tokio::test]
async fn a_refresh_token_is_not_lost_on_a_connection_that_the_server_is_about_to_close() {
    // E3
    let url = server_that_cuts_used_connections("refresh_token=refresh-").await;
    let client = ClientAuthentication::client_secret_basic("client", "secret");
    let endpoint = TokenEndpoint::new(url, client).unwrap();
    let source = TokenSource::from(RefreshTokenGrant::new(endpoint, "refresh-0"));
    for number in 1..=3 {
        let new = TokenOptions::new().force_refresh();
        let token = source.token_with(&new).await.unwrap();
        assert_eq!(token.expose(), format!("access-{number}"));
    }
}

#[tokio::test]
async fn a_connection_serves_again_unless_the_request_spends_something_or_the_client_is_the_user_s()
{
    // E3
    async fn connections(source: TokenSource, server: &AuthorizationServer) -> usize {
        let before = server.connections();
        for _ in 0..3 {
            let new = TokenOptions::new().force_refresh();
            source.token_with(&new).await.unwrap();
        }
        server.connections() - before
    }
    let server = AuthorizationServer::start().await;
    let application = TokenSource::from(server.client_credentials());
    assert_eq!(connections(application, &server).await, 1);
    let refreshed = TokenSource::from(server.refresh_token_grant());
    assert_eq!(connections(refreshed, &server).await, 3);
    let client = ClientAuthentication::client_secret_basic("client", "secret");
    let builder = TokenEndpoint::builder(client).token_url(server.token_url());
    let endpoint = builder.http(reqwest::Client::builder()).build().unwrap();
    let of_user = TokenSource::from(ClientCredentials::new(endpoint));
    assert_eq!(connections(of_user, &server).await, 3);
}

#[tokio::test]
async fn what_dies_on_a_kept_connection_is_asked_for_again() {
    // E3
    let url = server_that_cuts_used_connections("grant_type=client_credentials").await;
    let client = ClientAuthentication::client_secret_basic("client", "secret");
    let endpoint = TokenEndpoint::new(url, client).unwrap();
    let source = TokenSource::from(ClientCredentials::new(endpoint));
    for number in 1..=3 {
        let new = TokenOptions::new().force_refresh();
        let token = source.token_with(&new).await.unwrap();
        assert_eq!(token.expose(), format!("access-{number}"));
    }
}

#[tokio::test]
async fn a_success_that_cannot_be_used_counts_as_a_lost_answer_to_a_refresh_token() {
    // K4, E3, E5: whatever it looks like, the server may have done its part, so the refresh token
    // counts as spent.
    let unusable = |body: &str| Answer::Reply(Reply::new(200).body(body));
    let compressed = Reply::new(200)
        .header("content-encoding", "gzip")
        .header("content-type", "application/json")
        .body("\u{1f}\u{8b}\u{8}gzip");
    let compressed = Answer::Reply(compressed);
    for (answer, requests) in [
        (unusable(r#"{"access_token":"access-2","refresh_to"#), 2),
        (unusable(r#"{"refresh_token":"refresh-2"}"#), 2),
        (
            unusable(r#"{"access_token":"a","token_type":"DPoP","refresh_token":"b"}"#),
            2,
        ),
        (
            unusable(&format!(r#"{{"x":"{}"}}"#, "x".repeat(1 << 20))),
            2,
        ),
        (unusable(""), 2),
        (unusable("<html>"), 2),
        (unusable("\u{1f}\u{8b}\u{8}gzip"), 2),
        (compressed, 2),
        (
            unusable(r#"<b>Notice</b>: x in y.php {"access_token":"a","refresh_token":"b"}"#),
            2,
        ),
        (unusable(r#"[{"access_token":"a","refresh_token":"b"}]"#), 2),
        (
            unusable(r#"{"error":{"message":"x"},"access_token":"a"}"#),
            2,
        ),
        (unusable("OK"), 2),
    ] {
        let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
        server.rotate(true);
        let source = refreshing(&server, &clock).build().unwrap();
        source.token().await.unwrap();
        server.then(answer);
        for age in [480.0, 60.0] {
            clock.advance(secs(age));
            source.token().await.unwrap();
            landed(&source).await;
        }
        assert_eq!(server.token_requests(), requests);
    }
}

#[tokio::test]
async fn a_refresh_token_that_was_away_when_its_runtime_ended_counts_as_lost() {
    // E3, A4
    let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
    server.rotate(true);
    let source = refreshing(&server, &clock).build().unwrap();
    source.token().await.unwrap();
    server.hold();
    clock.advance(secs(480.0));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asking = source.clone();
    runtime.spawn(async move { asking.token().await.map(drop) });
    server.until_requests(2).await;
    runtime.shutdown_background();
    landed(&source).await;
    assert_eq!(source.token().await.unwrap().expose(), "access-1");
    assert!(!source.status().is_refreshing());
}

#[tokio::test]
async fn a_pause_that_a_grant_asks_for_is_an_hour_at_most() {
    // B5
    let grant = GrantFn::new("slow", |_| async {
        Err(Error::unavailable("down").with_retry_after(Duration::MAX))
    });
    let clock = TestClock::new();
    let source = TokenSource::builder(grant).clock(&clock).build().unwrap();
    let error = source.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.retry_at(), Some(clock.system_time() + secs(3600.0)));
}

#[tokio::test]
async fn without_an_access_token_a_lost_refresh_goes_by_the_pace_of_failures() {
    // E3, B6
    let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
    let source = refreshing(&server, &clock).build().unwrap();
    server.then(status(504)).then(Answer::Cut);
    for (requests, pause) in [(1, 1.0), (2, 2.0)] {
        for _ in 0..10 {
            source.token().await.unwrap_err();
        }
        assert_eq!(server.token_requests(), requests);
        clock.advance(secs(pause));
    }
    assert_eq!(source.token().await.unwrap().expose(), "access-1");
}

#[tokio::test]
async fn within_a_grace_period_a_lost_refresh_is_repeated_at_once() {
    // E3
    let server = AuthorizationServer::start().await;
    server.then(Answer::Cut);
    let source = TokenSource::builder(server.refresh_token_grant())
        .reuse_grace(secs(30.0))
        .build()
        .unwrap();
    assert_eq!(source.token().await.unwrap().expose(), "access-1");
    assert_eq!(server.token_requests(), 2);
}

#[tokio::test]
async fn a_lost_answer_is_not_found_by_a_repetition_that_is_turned_away() {
    // E3: the next attempt ahead of the expiry would come when the grace period is over.
    let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
    server.rotate(true);
    let (source, mut ended) = told(refreshing(&server, &clock).reuse_grace(secs(10.0)));
    source.token().await.unwrap();
    soon(ended.recv()).await.unwrap();
    let busy = Reply::new(503).header("retry-after", "30");
    server.then(Answer::Lost).then(Answer::Reply(busy));
    clock.advance(secs(480.0));
    source.token().await.unwrap();
    soon(ended.recv()).await.unwrap();
    // The pause before the repetition is 0.16 s.
    time_passes(&clock, secs(0.2)).await;
    landed(&source).await;
    for age in [60.0, 35.0, 24.7] {
        clock.advance(secs(age));
        assert_eq!(source.token().await.unwrap().expose(), "access-1");
        landed(&source).await;
    }
    assert_eq!(server.token_requests(), 3);
}

#[tokio::test]
async fn a_grace_period_that_passes_while_the_server_is_busy_ends_the_repetitions() {
    // E3: 9 s until the answer is lost, and a second that the server asks for.
    let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
    server.rotate(true);
    let (source, mut ended) = told(refreshing(&server, &clock).reuse_grace(secs(10.0)));
    source.token().await.unwrap();
    soon(ended.recv()).await.unwrap();
    let busy = Reply::new(503).header("retry-after", "1");
    server.then(Answer::Lost).then(Answer::Reply(busy));
    server.hold();
    clock.advance(secs(480.0));
    source.token().await.unwrap();
    server.until_held(1).await;
    clock.advance(secs(9.0));
    server.release();
    // The pauses before the repetitions are 0.16 s and 1 s.
    for pause in [0.2, 1.1] {
        soon(ended.recv()).await.unwrap();
        time_passes(&clock, secs(pause)).await;
    }
    landed(&source).await;
    assert_eq!(server.token_requests(), 3);
    assert_eq!(source.token().await.unwrap().expose(), "access-1");
}

#[tokio::test]
async fn a_grace_period_that_is_over_is_none() {
    // E3: the next attempt would come 200 ms after the first was sent.
    let server = AuthorizationServer::start().await;
    server.then(Answer::Cut);
    let source = TokenSource::builder(server.refresh_token_grant())
        .reuse_grace(secs(0.001))
        .build()
        .unwrap();
    source.token().await.unwrap_err();
    assert_eq!(server.token_requests(), 1);
}

#[tokio::test]
async fn only_invalid_grant_ends_a_refresh_token_and_then_nobody_is_asked_again() {
    // E3, E8: what `unauthorized_client` means here is ambiguous, see K9.
    let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
    let source = refreshing(&server, &clock).build().unwrap();
    for code in ["invalid_client", "unsupported_grant_type", "invalid_scope"] {
        for _ in 0..4 {
            server.then(refused(code));
            let error = source.token().await.unwrap_err();
            assert_eq!(
                (error.kind(), error.oauth_code()),
                (ErrorKind::Rejected, Some(code))
            );
            clock.advance(secs(30.0));
        }
    }
    server.then(refused("invalid_grant"));
    let before = server.token_requests();
    for _ in 0..10 {
        let error = source.token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignInRequired);
        clock.advance(secs(3600.0));
    }
    assert_eq!(server.token_requests(), before + 1);
}

#[tokio::test]
async fn a_refresh_token_that_is_dead_by_another_name_is_not_sent_again() {
    // K9, F5
    for (status, body) in [
        (200, json!({ "error": "bad_refresh_token" })),
        (
            400,
            json!({ "error": "invalid_grant: Token is expired or invalid." }),
        ),
        (
            401,
            json!({ "error": { "code": "refresh_token_invalidated" } }),
        ),
    ] {
        let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
        server.then(Answer::Reply(Reply::new(status).json(&body)));
        let source = refreshing(&server, &clock).build().unwrap();
        for _ in 0..10 {
            let error = source.token().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::SignInRequired, "{body}");
            clock.advance(secs(3600.0));
        }
        assert_eq!(server.token_requests(), 1, "{body}");
    }
}

#[tokio::test]
async fn what_one_api_wants_of_the_user_leaves_the_refresh_token_alive() {
    // K12, E3
    for answer in [
        json!({ "error": "invalid_grant", "suberror": "basic_action", "claims": "{}" }),
        json!({ "error": "invalid_grant", "suberror": "consent_required" }),
        json!({ "error": "interaction_required", "claims": "{}" }),
    ] {
        let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
        let source = refreshing(&server, &clock).build().unwrap();
        server.then(Answer::Reply(Reply::new(400).json(&answer)));
        let error = source.token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SignInRequired, "{answer}");
        assert_eq!(error.claims(), answer["claims"].as_str());
        clock.advance(secs(3600.0));
        let token = source.token().await.unwrap();
        assert_eq!(token.expose(), "access-1", "{answer}");
    }
}

#[tokio::test]
async fn a_secret_that_cannot_be_had_says_nothing_of_the_refresh_token() {
    // E3, F5: also if somebody has to sign in for it, elsewhere.
    let server = AuthorizationServer::start().await;
    let clock = TestClock::new();
    let locked = Arc::new(AtomicBool::new(true));
    let secret = SecretSource::from_fn({
        let locked = locked.clone();
        move || {
            // With a pause, so that it is not asked for again within the flight.
            let error = || Error::sign_in_required("locked").with_retry_after(secs(2.0));
            let locked = locked.load(Ordering::Relaxed);
            ready(if locked {
                Err(error())
            } else {
                Ok("secret".into())
            })
        }
    });
    let client = ClientAuthentication::client_secret_basic("client", secret);
    let endpoint = TokenEndpoint::new(server.token_url(), client).unwrap();
    let grant = RefreshTokenGrant::new(endpoint, "refresh-0");
    let source = TokenSource::builder(grant).clock(&clock).build().unwrap();
    let error = source.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    locked.store(false, Ordering::Relaxed);
    clock.advance(secs(2.0));
    assert_eq!(source.token().await.unwrap().expose(), "access-1");
}

#[tokio::test]
async fn a_dead_refresh_token_leaves_the_access_token_alone() {
    // E3, B4
    let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
    let source = refreshing(&server, &clock).build().unwrap();
    source.token().await.unwrap();
    server.then(refused("invalid_grant"));
    for age in [480.0, 90.0, 29.9] {
        clock.advance(secs(age));
        assert_eq!(source.token().await.unwrap().expose(), "access-1");
        landed(&source).await;
    }
    clock.advance(secs(0.1));
    let error = source.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert_eq!(server.token_requests(), 2);
}

#[tokio::test]
async fn an_answer_without_a_refresh_token_leaves_the_old_one_and_one_with_it_takes_its_place() {
    // E6
    for rotates in [false, true] {
        let server = AuthorizationServer::start().await;
        server.rotate(rotates);
        let source = TokenSource::from(server.refresh_token_grant());
        for number in 1..4 {
            let forced = TokenOptions::new().force_refresh();
            let token = source.token_with(&forced).await.unwrap();
            assert_eq!(token.expose(), format!("access-{number}"));
        }
        let sent: Vec<_> = server
            .requests()
            .iter()
            .map(|request| request.field("refresh_token").unwrap())
            .collect();
        let expected = match rotates {
            false => ["refresh-0", "refresh-0", "refresh-0"],
            true => ["refresh-0", "refresh-1", "refresh-2"],
        };
        assert_eq!(sent, expected);
        let scopes = server
            .requests()
            .iter()
            .any(|request| request.field("scope").is_some());
        assert!(!scopes, "a refresh sends a scope only when asked");
    }
}

#[tokio::test]
async fn an_answer_without_an_id_token_leaves_the_old_one_and_one_with_it_takes_its_place() {
    // E6
    let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
    let set = TokenSet::from_refresh_token("refresh-0").with_id_token("id-0");
    let grant = RefreshTokenGrant::from_token_set(server.endpoint(), set);
    let source = TokenSource::builder(grant).clock(&clock).build().unwrap();
    let second = json!({ "access_token": "a", "expires_in": 600, "id_token": "id-2" });
    server
        .then(Answer::Token)
        .then(Answer::Reply(Reply::new(200).json(&second)));
    for expected in ["id-0", "id-2", "id-2"] {
        let forced = TokenOptions::new().force_refresh();
        let token = source.token_with(&forced).await.unwrap();
        assert_eq!(token.id_token().unwrap().expose(), expected);
    }
}

#[tokio::test]
async fn fewer_scopes_than_asked_for_are_used_and_told() {
    // E6
    let server = AuthorizationServer::start().await;
    let narrow = json!({ "access_token": "a", "expires_in": 600, "scope": "read" });
    server.then(Answer::Reply(Reply::new(200).json(&narrow)));
    let told = Arc::new(Mutex::new(Vec::new()));
    let teller = told.clone();
    let source = TokenSource::builder(server.client_credentials().scope("read write"))
        .on_event(move |event| {
            if let Event::ScopeNarrowed { asked, granted, .. } = event {
                teller
                    .lock()
                    .unwrap()
                    .push((asked.clone(), granted.clone()));
            }
        })
        .build()
        .unwrap();
    let token = source.token().await.unwrap();
    assert_eq!((token.expose(), token.scope()), ("a", Some("read")));
    let told = told.lock().unwrap().clone();
    assert_eq!(told, [("read write".to_owned(), "read".to_owned())]);
}

#[tokio::test]
async fn scopes_that_were_granted_in_other_words_are_not_told_as_missing() {
    // K7, E6
    let userinfo = "openid https://www.googleapis.com/auth/userinfo.email";
    for (asked, granted) in [
        ("repo gist", json!("repo,gist")),
        ("a b", json!(["a", "b"])),
        ("a b", json!(["b,a"])),
        ("email", json!(userinfo)),
        (
            "https://graph.microsoft.com/User.Read",
            json!("user.read profile"),
        ),
        ("openid offline_access read", json!("READ")),
        ("api://orders/.default", json!("api://orders/read")),
    ] {
        let server = AuthorizationServer::start().await;
        let answer = json!({ "access_token": "a", "expires_in": 600, "scope": granted });
        server.then(Answer::Reply(Reply::new(200).json(&answer)));
        let told = Arc::new(Mutex::new(0));
        let teller = told.clone();
        let source = TokenSource::builder(server.client_credentials().scope(asked))
            .on_event(move |event| {
                if let Event::ScopeNarrowed { .. } = event {
                    *teller.lock().unwrap() += 1;
                }
            })
            .build()
            .unwrap();
        source.token().await.unwrap();
        assert_eq!(*told.lock().unwrap(), 0, "{asked} {granted}");
    }
}

#[tokio::test]
async fn a_whole_token_set_is_used_while_it_lives() {
    // E6
    let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
    let set = TokenSet::new("from-sign-in")
        .with_refresh_token("refresh-0")
        .with_issued_at(clock.system_time() - secs(100.0))
        .with_expires_at(clock.system_time() + secs(500.0));
    let grant = RefreshTokenGrant::from_token_set(server.endpoint(), set);
    let source = TokenSource::builder(grant)
        .clock(&clock)
        .jitter(0.0)
        .build()
        .unwrap();
    for age in [0.0, 379.9] {
        clock.advance(secs(age));
        assert_eq!(source.token().await.unwrap().expose(), "from-sign-in");
        assert!(!source.status().is_refreshing());
    }
    clock.advance(secs(0.1));
    source.token().await.unwrap();
    landed(&source).await;
    assert_eq!(source.token().await.unwrap().expose(), "access-1");
}

#[tokio::test]
async fn a_new_refresh_token_is_saved_before_anybody_sees_the_access_token() {
    // E6
    let server = AuthorizationServer::start().await;
    server.rotate(true);
    let (asked, mut saves) = tokio::sync::mpsc::unbounded_channel();
    let (done, saved) = tokio::sync::watch::channel(false);
    let source = TokenSource::builder(server.refresh_token_grant())
        .on_new_refresh_token(move |refresh_token| {
            asked.send(refresh_token.expose().to_owned()).unwrap();
            let mut saved = saved.clone();
            async move { saved.wait_for(|done| *done).await.map(drop) }
        })
        .build()
        .unwrap();
    let waiting = tokio::spawn({
        let source = source.clone();
        async move { source.token().await.map(drop) }
    });
    assert_eq!(soon(saves.recv()).await.as_deref(), Some("refresh-1"));
    assert!(!source.status().is_usable());
    assert!(!waiting.is_finished());
    done.send(true).unwrap();
    soon(waiting).await.unwrap().unwrap();
    assert!(source.status().is_usable());
}

#[tokio::test]
async fn whoever_hears_that_a_refresh_token_is_unsaved_hears_why() {
    // E6, D6
    type Hook = fn() -> std::pin::Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;
    let hooks: [(Hook, ErrorKind, Option<&str>); 3] = [
        (
            || Box::pin(async { Err("canary: disk full".to_owned()) }),
            ErrorKind::Store,
            Some("canary: disk full"),
        ),
        (|| Box::pin(std::future::pending()), ErrorKind::Store, None),
        (
            || Box::pin(async { panic!("on purpose") }),
            ErrorKind::Panicked,
            None,
        ),
    ];
    for (hook, kind, cause) in hooks {
        let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
        server.rotate(true);
        let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
        let source = refreshing(&server, &clock)
            .name("mine")
            .on_new_refresh_token(move |_| hook())
            .on_event(move |event| sender.send(event.clone()).unwrap())
            .build()
            .unwrap();
        while_time_passes(&clock, source.token()).await.unwrap();
        let unsaved = loop {
            let event = soon(events.recv()).await.unwrap();
            if let Event::RefreshTokenUnsaved { .. } = event {
                break event;
            }
        };
        let shown = format!("{unsaved:?}");
        let Event::RefreshTokenUnsaved { error, .. } = unsaved else {
            unreachable!()
        };
        let error = error.unwrap();
        assert_eq!((error.kind(), error.token_source()), (kind, Some("mine")));
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(source.as_deref(), cause);
        // Its text may be a database's, with values in it.
        assert!(shown.contains("the hook"), "{shown}");
        assert!(!shown.contains("canary") && !error.to_string().contains("canary"));
    }
}

#[tokio::test]
async fn a_hook_that_never_succeeds_is_called_as_long_as_there_is_a_source_and_ten_times_more() {
    // E6: or each source that was dropped would leave a task behind, with its refresh token.
    let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
    server.rotate(true);
    let (sender, mut calls) = tokio::sync::mpsc::unbounded_channel();
    let source = refreshing(&server, &clock)
        .on_new_refresh_token(move |refresh_token| {
            sender.send(refresh_token.expose().to_owned()).unwrap();
            async { Err("the user's row is gone") }
        })
        .build()
        .unwrap();
    source.token().await.unwrap();
    while_time_passes(&clock, async {
        for _ in 0..15 {
            assert_eq!(calls.recv().await.as_deref(), Some("refresh-1"));
        }
    })
    .await;
    drop(source);
    let after = while_time_passes(&clock, async {
        let mut count = 0;
        // Closed when the hook is gone, and with it all that knew the refresh token.
        while calls.recv().await.is_some() {
            count += 1;
        }
        count
    });
    assert_eq!(after.await, 10);
}

#[tokio::test]
async fn a_refresh_token_that_cannot_be_saved_is_used_told_and_saved_later() {
    // E6
    let (server, clock) = (AuthorizationServer::start().await, TestClock::new());
    server.rotate(true);
    let works = Arc::new(Mutex::new(false));
    let saved = Arc::new(Mutex::new(Vec::new()));
    let (sender, mut events) = tokio::sync::mpsc::unbounded_channel();
    let (disk, file) = (works.clone(), saved.clone());
    let source = refreshing(&server, &clock)
        .on_new_refresh_token(move |refresh_token| {
            let works = *disk.lock().unwrap();
            if works {
                file.lock().unwrap().push(refresh_token.expose().to_owned());
            }
            async move { works.then_some(()).ok_or("disk full") }
        })
        .on_event(move |event| match event {
            Event::RefreshTokenUnsaved { .. } => sender.send("unsaved").unwrap(),
            Event::RefreshTokenSaved { .. } => sender.send("saved").unwrap(),
            _ => {}
        })
        .build()
        .unwrap();
    assert_eq!(source.token().await.unwrap().expose(), "access-1");
    assert_eq!(soon(events.recv()).await, Some("unsaved"));
    // A newer one, and another failure.
    let forced = TokenOptions::new().force_refresh();
    source.token_with(&forced).await.unwrap();
    assert_eq!(soon(events.recv()).await, Some("unsaved"));
    let stopping = under_way({
        let source = source.clone();
        async move { source.shutdown().await }
    })
    .await;
    time_passes(&clock, secs(3.0)).await;
    assert!(!stopping.is_finished());
    *works.lock().unwrap() = true;
    let stopped = while_time_passes(&clock, stopping).await;
    stopped.unwrap().unwrap();
    assert_eq!(soon(events.recv()).await, Some("saved"));
    assert_eq!(*saved.lock().unwrap(), ["refresh-2"], "the newest, once");
}

#[tokio::test]
async fn a_refresh_token_that_a_lost_runtime_left_unsaved_is_saved_by_the_next_one() {
    // E6, A4
    let server = AuthorizationServer::start().await;
    server.rotate(true);
    let (sender, mut calls) = unbounded_channel();
    let is_lost = Arc::new(Mutex::new(true));
    let lost = is_lost.clone();
    let source = TokenSource::builder(server.refresh_token_grant())
        .on_new_refresh_token(move |refresh_token| {
            sender.send(refresh_token.expose().to_owned()).unwrap();
            let lost = *lost.lock().unwrap();
            async move {
                if lost {
                    std::future::pending::<()>().await;
                }
                Ok::<(), std::io::Error>(())
            }
        })
        .build()
        .unwrap();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let asking = source.clone();
    runtime.spawn(async move { asking.token().await.map(drop) });
    assert_eq!(soon(calls.recv()).await.as_deref(), Some("refresh-1"));
    runtime.shutdown_background();
    landed(&source).await;
    *is_lost.lock().unwrap() = false;
    soon(source.shutdown()).await.unwrap();
    assert_eq!(soon(calls.recv()).await.as_deref(), Some("refresh-1"));
}

#[tokio::test]
async fn a_shutdown_waits_for_the_flight_and_starts_no_other() {
    // A2
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.hold().source(&clock);
    let waiting = tokio::spawn({
        let source = source.clone();
        async move { source.token().await.map(drop) }
    });
    issuer.until_requests(1).await;
    let stopping = under_way({
        let source = source.clone();
        async move { source.shutdown().await }
    })
    .await;
    time_passes(&clock, secs(1.0)).await;
    assert!(!stopping.is_finished());
    issuer.release();
    soon(stopping).await.unwrap().unwrap();
    soon(waiting).await.unwrap().unwrap();
    assert_eq!(source.token().await.unwrap().expose(), "token-1");
    clock.advance(secs(600.0));
    let error = source.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ShutDown);
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flight_that_starts_during_a_shutdown_is_waited_for_or_does_not_start() {
    // A2: the shutdown comes a little later each time.
    for later in (0..200).cycle().take(10_000) {
        let source = Issuer::new().source(&TestClock::new());
        let start = Arc::new(Barrier::new(2));
        let asking = tokio::spawn({
            let (source, start) = (source.clone(), start.clone());
            async move {
                start.wait();
                source.token().await.is_ok()
            }
        });
        start.wait();
        for _ in 0..later {
            spin_loop();
        }
        source.shutdown().await.unwrap();
        let landed = source.status().is_usable();
        assert_eq!(soon(asking).await.unwrap(), landed);
    }
}

#[tokio::test]
async fn a_shutdown_gives_up_after_ten_seconds() {
    // A2
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer
        .hold()
        .builder(&clock)
        .timeouts(
            Timeouts::new()
                .attempt(secs(1000.0))
                .refresh(secs(1000.0))
                .wait(secs(1000.0)),
        )
        .build()
        .unwrap();
    let waiting = tokio::spawn({
        let source = source.clone();
        async move { source.token().await.map(drop) }
    });
    issuer.until_requests(1).await;
    let stopping = under_way(async move { source.shutdown().await }).await;
    time_passes(&clock, secs(9.99)).await;
    assert!(!stopping.is_finished());
    clock.advance(secs(0.01));
    assert_eq!(
        soon(stopping).await.unwrap().unwrap_err().kind(),
        ErrorKind::Timeout
    );
    waiting.abort();
}
