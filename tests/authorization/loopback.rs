//! I4: the redirect of a command-line program, with all that may come to its port.

use std::time::Duration;

use reqwest::{Client, Url};
use reqwest_bearer::{
    AuthorizationRequest, Error, ErrorKind, LoopbackReceiver, PendingAuthorization, TokenSet,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::server::Server;
use crate::support::{soon, under_way};

/// A sign-in that waits for its redirect.
struct Waiting {
    redirect_uri: String,
    /// What the redirect URI is to get.
    good: String,
    pending: PendingAuthorization,
    outcome: JoinHandle<Result<TokenSet, Error>>,
}

impl Waiting {
    async fn begin(server: &Server) -> Self {
        Self::begin_at(server, "http://127.0.0.1/callback").await
    }

    async fn begin_at(server: &Server, redirect_uri: &str) -> Self {
        let receiver = LoopbackReceiver::bind(redirect_uri).await.unwrap();
        let redirect_uri = receiver.redirect_uri().to_owned();
        let endpoint = server.endpoint();
        let request = AuthorizationRequest::new(&redirect_uri).scope("openid");
        let (url, pending) = request.start(&endpoint).await.unwrap();
        let good = format!("{redirect_uri}?{}", server.authorize(&url));
        let kept = pending.clone();
        let wait = async move { receiver.finish(&endpoint, &kept).await };
        Self {
            redirect_uri,
            good,
            pending,
            outcome: under_way(wait).await,
        }
    }

    fn at(&self, query: &str) -> String {
        format!("{}?{query}", self.redirect_uri)
    }

    fn authority(&self) -> String {
        let url = Url::parse(&self.redirect_uri).unwrap();
        format!("{}:{}", url.host_str().unwrap(), url.port().unwrap())
    }
}

/// Status, headers as shown, and body.
async fn get(url: &str) -> (u16, String, String) {
    page(Client::new().get(url)).await
}

async fn page(request: reqwest::RequestBuilder) -> (u16, String, String) {
    let answer = soon(request.send()).await.unwrap();
    let status = answer.status().as_u16();
    let headers = format!("{:?}", answer.headers());
    (status, headers, answer.text().await.unwrap())
}

#[tokio::test]
async fn the_first_good_redirect_becomes_tokens_and_its_page_has_no_word_of_it() {
    // I4, D6
    let server = Server::start().await;
    for redirect_uri in [
        "http://127.0.0.1/callback",
        "http://127.0.0.1",
        "http://[::1]/",
    ] {
        let waiting = Waiting::begin_at(&server, redirect_uri).await;
        let (status, headers, body) = get(&waiting.good).await;
        assert_eq!(status, 200);
        assert!(body.contains("You may close this window"), "{body}");
        assert!(body.contains("history.replaceState"), "{body}");
        let shown = format!("{headers} {body}");
        for (_, value) in Url::parse(&waiting.good).unwrap().query_pairs() {
            assert!(!shown.contains(&*value), "{shown}");
        }
        for header in ["no-referrer", "no-store", "default-src 'none'"] {
            assert!(headers.contains(header), "{headers}");
        }
        let tokens = soon(waiting.outcome).await.unwrap().unwrap();
        assert!(tokens.id_token().is_some());
    }
}

#[tokio::test]
async fn whatever_else_comes_gets_a_small_page_and_ends_nothing() {
    // I4
    let server = Server::start().await;
    let waiting = Waiting::begin(&server).await;
    let http = Client::new();
    let good = &waiting.good;
    let origin = format!("http://{}", waiting.authority());
    let (state, of_another) = (waiting.pending.state(), "x".repeat(43));
    let cases = [
        (http.get(format!("{origin}/favicon.ico")), 404),
        (http.get(&origin), 404),
        (http.get(&waiting.redirect_uri), 400),
        (http.get(waiting.at("code=x")), 400),
        (
            http.get(waiting.at(&format!("code=x&state={of_another}"))),
            400,
        ),
        (
            http.get(waiting.at(&format!("error=access_denied&state={of_another}"))),
            400,
        ),
        (
            http.get(waiting.at(&format!(
                "code=x&state={state}&iss=https://other.example.com"
            ))),
            400,
        ),
        (http.get(format!("{good}&code=x")), 400),
        (
            http.get(good).header("origin", "https://evil.example.com"),
            403,
        ),
        (http.get(good).header("sec-fetch-dest", "iframe"), 403),
        (http.get(good).header("sec-fetch-mode", "no-cors"), 403),
        (http.get(good).header("host", "evil.example.com"), 403),
        (http.head(good), 405),
        (http.post(good), 405),
        (http.post(good).body("x".repeat(10_000)), 405),
        (http.get(waiting.at(&"x".repeat(40_000))), 400),
        (http.get(good).header("x-long", "x".repeat(70_000)), 431),
    ];
    for (request, expected) in cases {
        let shown: String = format!("{request:?}").chars().take(300).collect();
        let (status, _, body) = page(request).await;
        assert_eq!(status, expected, "{shown}");
        assert!(!body.contains(state) && body.len() < 1_000, "{body}");
        assert!(!waiting.outcome.is_finished(), "{shown}");
    }
    assert_eq!(server.book().token_requests.len(), 0);
    assert_eq!(get(good).await.0, 200);
    soon(waiting.outcome).await.unwrap().unwrap();
}

#[tokio::test]
async fn half_a_request_keeps_nobody_waiting_and_is_left_in_the_end() {
    // I4
    let server = Server::start().await;
    let waiting = Waiting::begin(&server).await;
    let mut halves = Vec::new();
    for half in [
        &b""[..],
        b"GET /callb",
        b"GET /callback?code=x HTTP/1.1\r\n",
    ] {
        let mut socket = TcpStream::connect(waiting.authority()).await.unwrap();
        socket.write_all(half).await.unwrap();
        halves.push(socket);
    }
    // Whoever hangs up, and whoever speaks another protocol, ends nothing either.
    drop(TcpStream::connect(waiting.authority()).await.unwrap());
    let mut tls = TcpStream::connect(waiting.authority()).await.unwrap();
    tls.write_all(b"\x16\x03\x01\x02\x00").await.unwrap();
    let mut answer = String::new();
    soon(tls.read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    // All of them are being heard by now, since they came before.
    server.clock.advance(Duration::from_secs(10));
    for mut half in halves {
        assert_eq!(soon(half.read(&mut [0; 1])).await.unwrap_or(0), 0);
    }
    assert_eq!(get(&waiting.good).await.0, 200);
    soon(waiting.outcome).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_crowd_that_says_nothing_is_left_so_that_the_user_is_heard() {
    // I4
    let server = Server::start().await;
    let waiting = Waiting::begin(&server).await;
    let mut crowd = Vec::new();
    for _ in 0..40 {
        crowd.push(TcpStream::connect(waiting.authority()).await.unwrap());
    }
    let good = waiting.good.clone();
    let user = under_way(async move { get(&good).await }).await;
    crate::support::while_time_passes(&server.clock, user)
        .await
        .unwrap();
    soon(waiting.outcome).await.unwrap().unwrap();
}

#[tokio::test]
async fn two_redirects_at_once_spend_one_code_once() {
    // I4
    let server = Server::start().await;
    let waiting = Waiting::begin(&server).await;
    let mut sockets = Vec::new();
    let target = waiting.good.split_once(&waiting.authority()).unwrap().1;
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: {}\r\n\r\n",
        waiting.authority()
    );
    for _ in 0..2 {
        let mut socket = TcpStream::connect(waiting.authority()).await.unwrap();
        socket.write_all(head.as_bytes()).await.unwrap();
        sockets.push(socket);
    }
    soon(waiting.outcome).await.unwrap().unwrap();
    let mut answered = 0;
    for mut socket in sockets {
        let mut answer = Vec::new();
        // Whoever was not heard before the wait was over finds nobody any more.
        let _ = soon(socket.read_to_end(&mut answer)).await;
        answered += usize::from(answer.starts_with(b"HTTP/1.1 200 "));
    }
    assert!(answered >= 1);
    assert_eq!(server.book().token_requests.len(), 1);
}

#[tokio::test]
async fn an_error_in_the_redirect_ends_the_wait_and_its_page_says_that_it_failed() {
    // I4
    let server = Server::start().await;
    let waiting = Waiting::begin(&server).await;
    let state = waiting.pending.state();
    let denied = format!("error=access_denied&error_description=canary&state={state}");
    let (status, _, body) = get(&waiting.at(&denied)).await;
    assert_eq!(status, 200);
    assert!(
        body.contains("did not succeed") && !body.contains("canary"),
        "{body}"
    );
    let error = soon(waiting.outcome).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert_eq!(error.oauth_code(), Some("access_denied"));
}

#[tokio::test]
async fn nobody_is_waited_for_longer_than_the_request_is_good_for() {
    // I4
    let server = Server::start().await;
    let waiting = Waiting::begin(&server).await;
    server.clock.advance(Duration::from_secs(599));
    assert_eq!(get(&waiting.redirect_uri).await.0, 400);
    assert!(!waiting.outcome.is_finished());
    server.clock.advance(Duration::from_secs(1));
    let error = soon(waiting.outcome).await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
}

#[tokio::test]
async fn a_receiver_waits_again_after_a_wait_that_was_given_up() {
    // I4
    let server = Server::start().await;
    let receiver = LoopbackReceiver::bind("http://127.0.0.1/callback")
        .await
        .unwrap();
    let endpoint = server.endpoint();
    let request = AuthorizationRequest::new(receiver.redirect_uri()).scope("openid");
    let (url, pending) = request.start(&endpoint).await.unwrap();
    let given_up = receiver.finish(&endpoint, &pending);
    assert!(futures_util::FutureExt::now_or_never(given_up).is_none());
    let good = format!("{}?{}", receiver.redirect_uri(), server.authorize(&url));
    let (page, tokens) = tokio::join!(get(&good), receiver.finish(&endpoint, &pending));
    assert_eq!(page.0, 200);
    tokens.unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_an_error_and_a_request_of_another_server_is_not_waited_for() {
    // I4
    let (server, other) = (Server::start().await, Server::start().await);
    let receiver = LoopbackReceiver::bind("http://127.0.0.1/callback")
        .await
        .unwrap();
    let again = LoopbackReceiver::bind(receiver.redirect_uri()).await;
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Settings);
    let (_, pending) = server.begin("openid").await;
    let error = soon(receiver.finish(&other.endpoint(), &pending)).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Settings);
}
