//! Where the endpoints are: found when first needed, once, and kept (E7).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, ErrorKind, MemoryStore, Secret, Subject, TestClock,
    TokenEndpoint, TokenKind, TokenOptions, TokenSet, TokenSource, UserSessions,
};
use serde_json::json;
use tokio::sync::Notify;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

use crate::support::{soon, under_way, until};
use crate::{count_at, received, request, token};

const OPENID: &str = "/.well-known/openid-configuration";

/// Serves a document at `place`; the token endpoint is at `token_path` of the same server.
async fn document_at(server: &MockServer, place: &str, issuer: &str, token_path: &str) {
    let document = json!({
        "issuer": issuer,
        "token_endpoint": format!("{}{token_path}", server.uri()),
        "revocation_endpoint": format!("{}/revoke", server.uri()),
    });
    mount(
        server,
        place,
        ResponseTemplate::new(200).set_body_json(document),
    )
    .await;
}

async fn mount(server: &MockServer, place: &str, answer: ResponseTemplate) {
    Mock::given(method("GET"))
        .and(path(place))
        .respond_with(answer)
        .mount(server)
        .await;
}

/// The same for the first request; what is returned tells when that has come.
async fn mount_and_tell(server: &MockServer, place: &str, answer: ResponseTemplate) -> Arc<Notify> {
    let asked = Arc::new(Notify::new());
    let tell = asked.clone();
    Mock::given(method("GET"))
        .and(path(place))
        .respond_with(move |_: &Request| {
            tell.notify_one();
            answer.clone()
        })
        .up_to_n_times(1)
        .mount(server)
        .await;
    asked
}

async fn tokens_at(server: &MockServer, place: &str) {
    Mock::given(method("POST"))
        .and(path(place))
        .respond_with(token("t"))
        .mount(server)
        .await;
}

fn discovering(issuer: &str, clock: &TestClock) -> TokenEndpoint {
    TokenEndpoint::builder(ClientAuthentication::none("me"))
        .issuer(issuer)
        .clock(clock)
        .build()
        .expect("settings")
}

/// A server with the issuer at its root, as most have it, and an endpoint for it.
async fn usual() -> (MockServer, TokenEndpoint, TestClock) {
    let server = MockServer::start().await;
    document_at(&server, OPENID, &server.uri(), "/token").await;
    tokens_at(&server, "/token").await;
    let clock = TestClock::new();
    let endpoint = discovering(&server.uri(), &clock);
    (server, endpoint, clock)
}

#[tokio::test]
async fn issuers_of_all_shapes_are_found() {
    // E7
    for (issuer_path, named_path, place, token_path) in [
        // IdentityServer, with and without the slash.
        ("", "", OPENID, "/connect/token"),
        ("/", "/", OPENID, "/connect/token"),
        ("/", "", OPENID, "/connect/token"),
        ("", "/", OPENID, "/connect/token"),
        // Okta.
        (
            "/oauth2/default",
            "/oauth2/default",
            "/oauth2/default/.well-known/openid-configuration",
            "/oauth2/default/v1/token",
        ),
        // Keycloak with a slash too many.
        (
            "/realms/x/",
            "/realms/x",
            "/realms/x/.well-known/openid-configuration",
            "/realms/x/protocol/openid-connect/token",
        ),
        // RFC 8414, where only that is served.
        ("", "", "/.well-known/oauth-authorization-server", "/token"),
        (
            "/tenant/1",
            "/tenant/1",
            "/.well-known/oauth-authorization-server/tenant/1",
            "/tenant/1/token",
        ),
        (
            "/tenant/1/",
            "/tenant/1/",
            "/.well-known/oauth-authorization-server/tenant/1",
            "/tenant/1/token",
        ),
    ] {
        let server = MockServer::start().await;
        let named = format!("{}{named_path}", server.uri());
        document_at(&server, place, &named, token_path).await;
        tokens_at(&server, token_path).await;
        let issuer = format!("{}{issuer_path}", server.uri());
        let endpoint =
            TokenEndpoint::discover(&issuer, ClientAuthentication::none("me")).expect("settings");
        let answer = endpoint.request_token(request()).await;
        assert!(answer.is_ok(), "{issuer_path} {place}: {answer:?}");
        assert_eq!(count_at(&server, token_path).await, 1);
    }
}

#[tokio::test]
async fn discovery_asks_for_json_and_sends_no_credentials() {
    // E5, E7
    let (server, endpoint, _) = usual().await;
    endpoint.request_token(request()).await.expect("a token");
    let asked = received(&server).await.remove(0);
    assert_eq!(asked.headers["accept"], "application/json");
    assert!(asked.headers.get("authorization").is_none() && asked.body.is_empty());
}

#[tokio::test]
async fn a_page_for_every_path_does_not_hide_the_second_place() {
    // E7
    let server = MockServer::start().await;
    let page = ResponseTemplate::new(200).set_body_raw("<html>", "text/html");
    mount(&server, OPENID, page).await;
    let place = "/.well-known/oauth-authorization-server";
    document_at(&server, place, &server.uri(), "/token").await;
    tokens_at(&server, "/token").await;
    let endpoint = discovering(&server.uri(), &TestClock::new());
    assert!(endpoint.request_token(request()).await.is_ok());
}

#[tokio::test]
async fn a_document_is_read_behind_a_byte_order_mark_and_whatever_stands_for_a_revocation_endpoint()
{
    // E7: token answers are read like that as well.
    for (mark, revocation) in [
        ("\u{feff}", json!(null)),
        ("", json!(false)),
        ("", json!([])),
    ] {
        let server = MockServer::start().await;
        let document = json!({
            "issuer": server.uri(),
            "token_endpoint": format!("{}/token", server.uri()),
            "revocation_endpoint": revocation,
        });
        let document = ResponseTemplate::new(200).set_body_string(format!("{mark}{document}"));
        mount(&server, OPENID, document).await;
        tokens_at(&server, "/token").await;
        let endpoint = discovering(&server.uri(), &TestClock::new());
        let answer = endpoint.request_token(request()).await;
        assert!(answer.is_ok(), "{mark:?} {revocation}: {answer:?}");
    }
}

#[tokio::test]
async fn another_issuers_document_is_refused_and_both_issuers_are_named() {
    // E7, K16
    let server = MockServer::start().await;
    document_at(&server, OPENID, "https://other.example.com/x", "/token").await;
    tokens_at(&server, "/token").await;
    let endpoint = discovering(&server.uri(), &TestClock::new());
    let error = endpoint
        .request_token(request())
        .await
        .expect_err("mismatch");
    assert_eq!(error.kind(), ErrorKind::Protocol);
    let message = error.to_string();
    assert!(
        message.contains("`https://other.example.com/x`"),
        "{message}"
    );
    assert!(
        message.contains(&format!("`{}`", server.uri())),
        "{message}"
    );
    assert_eq!(count_at(&server, "/token").await, 0);
}

#[tokio::test]
async fn an_issuer_of_a_document_that_is_no_url_is_not_repeated() {
    // E7, D6, K16
    for named in [
        "canary",
        "",
        "mailto:canary@example.com",
        "https://user:canary@as.example.com",
        "https://canary@as.example.com",
        "https://as.example.com/?code=canary",
        "https://as.example.com/#canary",
        &format!("https://as.example.com/{}canary", "x".repeat(200)),
    ] {
        let server = MockServer::start().await;
        document_at(&server, OPENID, named, "/token").await;
        let endpoint = discovering(&server.uri(), &TestClock::new());
        let error = endpoint.request_token(request()).await.expect_err(named);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary"), "{shown}");
        assert!(!shown.contains("as.example.com"), "{shown}");
        assert!(shown.contains(&server.uri()), "{shown}");
    }
}

#[tokio::test]
async fn a_document_cannot_send_us_over_plain_http() {
    // D2, E7
    let server = MockServer::start().await;
    let document = json!({"issuer": server.uri(), "token_endpoint": "http://as.example.com/t"});
    mount(
        &server,
        OPENID,
        ResponseTemplate::new(200).set_body_json(document),
    )
    .await;
    let endpoint = discovering(&server.uri(), &TestClock::new());
    let error = endpoint
        .request_token(request())
        .await
        .expect_err("plain http");
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("https"), "{error}");
}

#[tokio::test]
async fn discovery_follows_no_redirect() {
    // D5
    let elsewhere = MockServer::start().await;
    let server = MockServer::start().await;
    document_at(&elsewhere, OPENID, &server.uri(), "/token").await;
    for place in [OPENID, "/.well-known/oauth-authorization-server"] {
        let location = format!("{}{OPENID}", elsewhere.uri());
        let redirect = ResponseTemplate::new(302).insert_header("location", location);
        mount(&server, place, redirect).await;
    }
    let endpoint = discovering(&server.uri(), &TestClock::new());
    let error = endpoint
        .request_token(request())
        .await
        .expect_err("redirects");
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("302 and 302"), "{error}");
    assert!(received(&elsewhere).await.is_empty());
}

#[tokio::test]
async fn a_document_of_more_than_1_mib_is_refused() {
    // E7
    let server = MockServer::start().await;
    let body = " ".repeat(1024 * 1024 + 1);
    let answer = ResponseTemplate::new(200).set_body_raw(body, "application/json");
    mount(&server, OPENID, answer).await;
    let endpoint = discovering(&server.uri(), &TestClock::new());
    let error = endpoint
        .request_token(request())
        .await
        .expect_err("too large");
    assert!(error.to_string().contains("larger than 1 MiB"), "{error}");
}

#[tokio::test]
async fn building_asks_nothing_and_needs_no_server() {
    // E7
    let (server, endpoint, _) = usual().await;
    drop(endpoint);
    assert!(received(&server).await.is_empty());
    let nobody = TokenEndpoint::discover("http://127.0.0.1:9", ClientAuthentication::none("me"));
    assert!(nobody.is_ok());
}

#[tokio::test]
async fn a_hundred_first_uses_make_one_request() {
    // E7
    let server = MockServer::start().await;
    let document = json!({
        "issuer": server.uri(), "token_endpoint": format!("{}/token", server.uri()),
    });
    let slow = ResponseTemplate::new(200)
        .set_body_json(document)
        .set_delay(Duration::from_millis(100));
    mount(&server, OPENID, slow).await;
    tokens_at(&server, "/token").await;
    let endpoint = discovering(&server.uri(), &TestClock::new());
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let endpoint = endpoint.clone();
            tokio::spawn(async move { endpoint.request_token(request()).await })
        })
        .collect();
    for caller in callers {
        caller.await.expect("a task").expect("a token");
    }
    assert_eq!(count_at(&server, OPENID).await, 1);
    assert_eq!(count_at(&server, "/token").await, 100);
}

#[tokio::test]
async fn a_hundred_first_uses_of_a_dead_issuer_make_one_request_and_share_its_error() {
    // E7, A3
    let server = MockServer::start().await;
    let dead = ResponseTemplate::new(503).set_delay(Duration::from_millis(100));
    mount(&server, OPENID, dead).await;
    let endpoint = discovering(&server.uri(), &TestClock::new());
    let callers: Vec<_> = (0..100)
        .map(|_| {
            let endpoint = endpoint.clone();
            tokio::spawn(async move { endpoint.request_token(request()).await })
        })
        .collect();
    for caller in callers {
        let error = caller.await.expect("a task").expect_err("no token");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
    }
    assert_eq!(count_at(&server, OPENID).await, 1);
}

#[tokio::test]
async fn a_caller_who_goes_away_does_not_take_the_discovery_along() {
    // E7, A2
    let server = MockServer::start().await;
    let document = json!({
        "issuer": server.uri(), "token_endpoint": format!("{}/token", server.uri()),
    });
    let slow = ResponseTemplate::new(200)
        .set_body_json(document)
        .set_delay(Duration::from_millis(200));
    let asked = mount_and_tell(&server, OPENID, slow).await;
    tokens_at(&server, "/token").await;
    let endpoint = discovering(&server.uri(), &TestClock::new());
    let first = endpoint.clone();
    let first = tokio::spawn(async move { first.request_token(request()).await });
    soon(asked.notified()).await;
    first.abort();
    endpoint.request_token(request()).await.expect("a token");
    assert_eq!(count_at(&server, OPENID).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_runtime_that_is_shut_down_does_not_wedge_the_discovery() {
    // E7, A4
    let server = MockServer::start().await;
    let dead = ResponseTemplate::new(503).set_delay(Duration::from_secs(60));
    let asked = mount_and_tell(&server, OPENID, dead).await;
    document_at(&server, OPENID, &server.uri(), "/token").await;
    tokens_at(&server, "/token").await;
    let endpoint = discovering(&server.uri(), &TestClock::new());
    let first = endpoint.clone();
    let other_runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    other_runtime.spawn(async move { first.request_token(request()).await });
    soon(asked.notified()).await;
    let waiter = endpoint.clone();
    let waiter = under_way(async move { waiter.request_token(request()).await }).await;
    other_runtime.shutdown_background();
    soon(waiter).await.expect("a task").expect("a token");
    assert_eq!(count_at(&server, OPENID).await, 2);
}

/// A resolver that panics once, as code that a user hands in may.
#[derive(Debug, Default)]
struct PanicsOnce(AtomicBool);

impl Resolve for PanicsOnce {
    fn resolve(&self, _name: Name) -> Resolving {
        let again = self.0.swap(true, Ordering::SeqCst);
        Box::pin(async move {
            assert!(again, "the first look-up panics");
            let address = SocketAddr::from(([127, 0, 0, 1], 0));
            let addresses: Addrs = Box::new(std::iter::once(address));
            Ok(addresses)
        })
    }
}

#[tokio::test]
async fn a_panic_during_discovery_is_a_failure_like_any_other() {
    // A4, B6
    let server = MockServer::start().await;
    let issuer = format!("http://as.localhost:{}", server.address().port());
    document_at(&server, OPENID, &issuer, "/token").await;
    tokens_at(&server, "/token").await;
    let clock = TestClock::new();
    let resolver = Arc::new(PanicsOnce::default());
    let endpoint = TokenEndpoint::builder(ClientAuthentication::none("me"))
        .issuer(issuer)
        .http(reqwest::Client::builder().dns_resolver(resolver))
        .clock(&clock)
        .build()
        .expect("settings");
    let error = endpoint
        .request_token(request())
        .await
        .expect_err("a panic");
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert_eq!(
        error.retry_at(),
        Some(clock.system_time() + Duration::from_secs(1))
    );
    clock.advance(Duration::from_secs(1));
    assert!(endpoint.request_token(request()).await.is_ok());
}

#[tokio::test]
async fn a_document_is_kept_for_24_hours() {
    // E7
    let (server, endpoint, clock) = usual().await;
    endpoint.request_token(request()).await.expect("a token");
    clock.advance(Duration::from_secs(24 * 3600 - 1));
    endpoint.request_token(request()).await.expect("a token");
    assert_eq!(count_at(&server, OPENID).await, 1);
    clock.advance(Duration::from_secs(1));
    endpoint.request_token(request()).await.expect("a token");
    soon(until_asked(&server, OPENID, 2)).await;
    endpoint.request_token(request()).await.expect("a token");
    assert_eq!(count_at(&server, OPENID).await, 2);
}

#[tokio::test]
async fn an_old_document_serves_while_the_server_is_down() {
    // E7
    let (server, endpoint, clock) = usual().await;
    endpoint.request_token(request()).await.expect("a token");
    server.reset().await;
    mount(&server, OPENID, ResponseTemplate::new(503)).await;
    tokens_at(&server, "/token").await;
    clock.advance(Duration::from_secs(48 * 3600));
    endpoint.request_token(request()).await.expect("a token");
    soon(until_asked(
        &server,
        "/.well-known/oauth-authorization-server",
        1,
    ))
    .await;
    for _ in 0..2 {
        endpoint.request_token(request()).await.expect("a token");
    }
    // The back-off of the failed discovery holds, although tokens can be had.
    assert_eq!(count_at(&server, OPENID).await, 1);
    assert_eq!(count_at(&server, "/token").await, 3);
}

#[tokio::test]
async fn a_failed_discovery_is_repeated_after_a_pause_that_doubles() {
    // E7, B6
    for (status, pauses) in [(503, [1, 2, 4, 5, 5]), (404, [1, 2, 4, 5, 5])] {
        let server = MockServer::start().await;
        mount(&server, OPENID, ResponseTemplate::new(status)).await;
        let clock = TestClock::new();
        let endpoint = discovering(&server.uri(), &clock);
        for (number, pause) in pauses.into_iter().enumerate() {
            let pause = Duration::from_secs(pause);
            let error = endpoint.request_token(request()).await.expect_err("down");
            assert_eq!(error.retry_at(), Some(clock.system_time() + pause));
            clock.advance(pause - Duration::from_millis(1));
            let again = endpoint.request_token(request()).await.expect_err("down");
            assert_eq!(again.retry_at(), error.retry_at());
            assert_eq!(count_at(&server, OPENID).await, number + 1);
            clock.advance(Duration::from_millis(1));
        }
        server.reset().await;
        document_at(&server, OPENID, &server.uri(), "/token").await;
        tokens_at(&server, "/token").await;
        assert!(endpoint.request_token(request()).await.is_ok());
    }
}

#[tokio::test]
async fn a_retry_after_is_the_least_pause_of_a_discovery() {
    // E7, B6
    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "90");
    mount(&server, OPENID, busy).await;
    let clock = TestClock::new();
    let endpoint = discovering(&server.uri(), &clock);
    let error = endpoint.request_token(request()).await.expect_err("busy");
    let pause = Duration::from_secs(90);
    assert_eq!(error.retry_at(), Some(clock.system_time() + pause));
    clock.advance(pause - Duration::from_millis(1));
    assert!(endpoint.request_token(request()).await.is_err());
    assert_eq!(count_at(&server, OPENID).await, 1);
    clock.advance(Duration::from_millis(1));
    assert!(endpoint.request_token(request()).await.is_err());
    assert_eq!(count_at(&server, OPENID).await, 2);
}

#[tokio::test]
async fn a_retry_after_does_not_begin_anew_for_a_token_that_is_asked_for_later() {
    // B6, E7
    let server = MockServer::start().await;
    let busy = ResponseTemplate::new(429).insert_header("retry-after", "600");
    Mock::given(method("GET"))
        .and(path(OPENID))
        .respond_with(busy)
        .up_to_n_times(1)
        .mount(&server)
        .await;
    document_at(&server, OPENID, &server.uri(), "/token").await;
    tokens_at(&server, "/token").await;
    let clock = TestClock::new();
    let grant = ClientCredentials::new(discovering(&server.uri(), &clock));
    let source = TokenSource::builder(grant).clock(&clock).build();
    let source = source.expect("settings");
    source.token().await.expect_err("busy");
    clock.advance(Duration::from_secs(590));
    let later = TokenOptions::new().scope("later");
    let error = source.token_with(&later).await.expect_err("still busy");
    let left = Duration::from_secs(10);
    assert_eq!(error.retry_at(), Some(clock.system_time() + left));
    clock.advance(left);
    source.token_with(&later).await.expect("a token");
}

#[tokio::test]
async fn issuers_that_differ_by_the_slash_at_the_end_have_one_session_in_the_store() {
    // E7, F3, D8
    let server = MockServer::start().await;
    let at_root = server.uri();
    let with_path = format!("{at_root}/realms/shop");
    let subject = Subject::new("session").expect("an id");
    for issuer in [at_root, with_path] {
        let store = MemoryStore::new();
        let users = |issuer: &str| {
            let endpoint = discovering(issuer, &TestClock::new());
            let builder = UserSessions::builder(&endpoint).store(store.clone());
            builder.build().expect("settings")
        };
        let (one, other) = (users(&issuer), users(&format!("{issuer}/")));
        let elsewhere = users(&format!("{issuer}/x"));
        for (from, to, name) in [(&one, &other, "first"), (&other, &one, "second")] {
            let tokens = TokenSet::new(name).with_refresh_token("r");
            from.sign_in(&subject, tokens).await.expect("signed in");
            let status = to.status_of(&subject).await.expect("a store");
            assert!(status.is_some(), "{name} at {issuer}");
            let status = elsewhere.status_of(&subject).await.expect("a store");
            assert!(status.is_none(), "{name} at {issuer}");
        }
        let signed_in = users(&format!("{issuer}/")).for_subject(&subject);
        let token = signed_in.token().await.expect("the stored one");
        assert_eq!(token.expose(), "second");
    }
}

#[tokio::test]
async fn the_revocation_endpoint_is_discovered_too() {
    // E7, F10
    let (server, endpoint, _) = usual().await;
    Mock::given(method("POST"))
        .and(path("/revoke"))
        .respond_with(ResponseTemplate::new(200))
        .mount(&server)
        .await;
    let revoked = endpoint
        .revoke(&Secret::new("r"), TokenKind::RefreshToken)
        .await;
    assert!(revoked.is_ok());
    assert_eq!(count_at(&server, "/revoke").await, 1);
}

/// A server that takes requests and answers none of them, for longer than any test waits.
fn never() -> ResponseTemplate {
    ResponseTemplate::new(200).set_delay(Duration::from_secs(3600))
}

async fn until_asked(server: &MockServer, place: &str, count: usize) {
    until(async || count_at(server, place).await >= count).await;
}

#[tokio::test]
async fn an_old_document_serves_at_once_while_a_new_one_is_fetched_behind() {
    // E7
    let (server, _, clock) = usual().await;
    let endpoint = TokenEndpoint::builder(ClientAuthentication::none("me"))
        .issuer(server.uri())
        .attempt_timeout(Duration::from_secs(3600))
        .clock(&clock)
        .build()
        .expect("settings");
    endpoint.request_token(request()).await.expect("a token");
    server.reset().await;
    mount(&server, OPENID, never()).await;
    tokens_at(&server, "/token").await;
    clock.advance(Duration::from_secs(24 * 3600));
    for _ in 0..3 {
        soon(endpoint.request_token(request()))
            .await
            .expect("a token");
    }
    soon(until_asked(&server, OPENID, 1)).await;
    assert_eq!(count_at(&server, "/token").await, 3);
    assert_eq!(count_at(&server, OPENID).await, 1);
}

#[tokio::test]
async fn a_document_at_the_second_place_is_found_behind_a_gateway_that_is_in_trouble_at_the_first()
{
    // E7: gateways answer 500 or 503 for paths that they do not know.
    let second = "/.well-known/oauth-authorization-server";
    for status in [500, 502, 503, 429, 408] {
        let server = MockServer::start().await;
        mount(&server, OPENID, ResponseTemplate::new(status)).await;
        document_at(&server, second, &server.uri(), "/token").await;
        tokens_at(&server, "/token").await;
        let endpoint = discovering(&server.uri(), &TestClock::new());
        let answer = endpoint.request_token(request()).await;
        assert!(answer.is_ok(), "{status}: {answer:?}");
    }
}

#[tokio::test]
async fn of_two_places_without_a_document_the_one_that_says_more_is_told() {
    // E7, B6: trouble that passes, and how long it lasts, says more than "not here".
    let second = "/.well-known/oauth-authorization-server";
    let busy = || ResponseTemplate::new(429).insert_header("retry-after", "90");
    let down = || ResponseTemplate::new(503);
    let absent = || ResponseTemplate::new(404);
    for (at_first, at_second, pause) in [
        (busy(), absent(), 90),
        (absent(), busy(), 90),
        (busy(), down(), 90),
        (down(), busy(), 90),
        (down(), absent(), 1),
        (absent(), down(), 1),
    ] {
        let server = MockServer::start().await;
        mount(&server, OPENID, at_first).await;
        mount(&server, second, at_second).await;
        let clock = TestClock::new();
        let endpoint = discovering(&server.uri(), &clock);
        let error = endpoint
            .request_token(request())
            .await
            .expect_err("no document");
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let pause = Duration::from_secs(pause);
        assert_eq!(error.retry_at(), Some(clock.system_time() + pause));
    }
}
