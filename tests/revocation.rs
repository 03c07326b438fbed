//! Tokens that die before their time, and APIs that refuse them all.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest_bearer::{
    BearerTokenMiddleware, GrantFn, TestClock, TokenResponse, TokenSource, redirect_policy,
};
use reqwest_middleware::ClientWithMiddleware;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, ResponseTemplate};

/// Issues tokens that are numbers, and says how many.
fn source(clock: &TestClock) -> (TokenSource, Arc<AtomicUsize>) {
    let issued = Arc::new(AtomicUsize::new(0));
    let count = issued.clone();
    let grant = GrantFn::new("numbers", move |_| {
        let number = 1 + count.fetch_add(1, Ordering::SeqCst);
        let response = TokenResponse::bearer(number.to_string());
        std::future::ready(Ok(response.expires_in(Duration::from_secs(3600))))
    });
    let source = TokenSource::builder(grant).clock(clock).build().unwrap();
    (source, issued)
}

async fn api(accepts: impl Fn(usize) -> bool + Send + Sync + 'static) -> MockServer {
    let server = MockServer::start().await;
    let answer = move |request: &Request| {
        let header = request.headers.get("authorization");
        let token = header.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let number = token.and_then(|token| token.parse().ok());
        let status = if number.is_some_and(&accepts) {
            200
        } else {
            401
        };
        ResponseTemplate::new(status)
    };
    Mock::given(any()).respond_with(answer).mount(&server).await;
    server
}

fn client(api: &MockServer, source: &TokenSource) -> ClientWithMiddleware {
    let http = reqwest::Client::builder().redirect(redirect_policy());
    reqwest_middleware::ClientBuilder::new(http.build().unwrap())
        .with(BearerTokenMiddleware::for_origin(api.uri(), source).unwrap())
        .build()
}

#[tokio::test]
async fn a_replacement_that_the_api_took_is_refreshed_at_once_when_it_is_revoked_too() {
    // C4
    let clock = TestClock::new();
    let (source, issued) = source(&clock);
    let revoked = Arc::new(AtomicUsize::new(0));
    let newest_revoked = revoked.clone();
    let api = api(move |number| number > newest_revoked.load(Ordering::SeqCst)).await;
    let client = client(&api, &source);
    for number in 1..=4 {
        let response = client.get(api.uri()).send().await.unwrap();
        assert_eq!(response.status(), 200, "token {number}");
        assert_eq!(issued.load(Ordering::SeqCst), number);
        revoked.store(number, Ordering::SeqCst);
    }
}

#[tokio::test]
async fn an_api_that_takes_every_token_is_no_cover_for_one_that_takes_none() {
    // C4
    let clock = TestClock::new();
    let (source, issued) = source(&clock);
    let (right, wrong) = (api(|_| true).await, api(|_| false).await);
    let (right_client, wrong_client) = (client(&right, &source), client(&wrong, &source));
    for _ in 0..60 {
        let response = right_client.get(right.uri()).send().await.unwrap();
        assert_eq!(response.status(), 200);
        // A body that cannot be sent twice: the API meets the new token with the next call only.
        let body = futures_util::stream::iter([Ok::<_, std::io::Error>("body")]);
        let body = reqwest::Body::wrap_stream(body);
        let response = wrong_client.post(wrong.uri()).body(body).send().await;
        assert_eq!(response.unwrap().status(), 401);
        clock.advance(Duration::from_millis(1100));
    }
    // In 66 s: the first token, its replacement, and then after pauses of 1, 2, 4, ... 30 s.
    let issued = issued.load(Ordering::SeqCst);
    assert!((3..=8).contains(&issued), "{issued} tokens");
}
