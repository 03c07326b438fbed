//! Which bodies are sent a second time, and which are not.

#![expect(clippy::unwrap_used, reason = "what cannot go on in a test may end it")]

#[path = "../../support/mod.rs"]
mod support;

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reqwest_bearer::{BearerTokenLayer, BearerTokenService, RecordedBody, Replay, TestClock};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;
use tower::{Layer as _, ServiceExt as _};

use support::api::{Api, refusal};
use support::http_server::Seen;
use support::issuer::Issuer;
use support::{landed, soon};

type BodyError = std::io::Error;
/// A body that does not say what it is, as those of most clients.
type Opaque = BoxBody<Bytes, BodyError>;
type Bearing = BearerTokenService<Client<HttpConnector, Opaque>, Opaque>;

const MOST: usize = 64 * 1024;

fn opaque(body: Full<Bytes>) -> Opaque {
    body.map_err(|never| match never {}).boxed()
}

fn recorded(body: RecordedBody<Opaque>) -> Opaque {
    body.map_err(BodyError::other).boxed()
}

/// The body of a channel, which ends with it.
fn open() -> (mpsc::Sender<Bytes>, Opaque) {
    let (parts, stream) = mpsc::channel(8);
    let frames = ReceiverStream::new(stream).map(|part| Ok::<_, BodyError>(Frame::data(part)));
    (parts, StreamBody::new(frames).boxed())
}

fn http() -> Client<HttpConnector, Opaque> {
    Client::builder(TokioExecutor::new()).build_http()
}

fn recording(api: &Api, issuer: &Issuer, clock: &TestClock) -> Bearing {
    BearerTokenLayer::builder(issuer.source(clock))
        .origin(api.url())
        .build_recording(recorded)
        .unwrap()
        .layer(http())
}

async fn post(client: &Bearing, api: &Api, body: Opaque) -> u16 {
    let request = Request::post(api.url()).body(body).unwrap();
    let answer = soon(client.clone().oneshot(request)).await.unwrap();
    answer.status().as_u16()
}

async fn api_that_takes_the_second() -> (Api, Issuer) {
    let api = Api::that_takes(|token| token == "token-2").await;
    (api, Issuer::new())
}

fn lengths(seen: &[Seen]) -> Vec<usize> {
    seen.iter().map(|seen| seen.body.len()).collect()
}

#[tokio::test]
async fn a_recorded_body_is_sent_again_up_to_64_kib_and_not_beyond() {
    // J2, C7
    for (length, sendings) in [(0, 2), (1, 2), (MOST, 2), (MOST + 1, 1)] {
        let (api, issuer) = api_that_takes_the_second().await;
        let client = recording(&api, &issuer, &TestClock::new());
        let body = opaque(Full::from(vec![b'x'; length]));
        let status = post(&client, &api, body).await;
        assert_eq!(status, if sendings == 2 { 200 } else { 401 }, "{length}");
        assert_eq!(lengths(&api.seen()), vec![length; sendings]);
        // The length is told as the body itself tells it.
        for seen in api.seen() {
            let told = seen
                .headers
                .get("content-length")
                .map(|told| told.to_str().unwrap());
            assert_eq!(told.unwrap_or("0"), length.to_string());
        }
        assert_eq!(post(&client, &api, opaque(Full::default())).await, 200);
        assert_eq!(issuer.requests(), 2);
    }
}

#[tokio::test]
async fn a_body_that_came_piece_by_piece_is_sent_again_once_it_has_come_whole() {
    // J2
    let (api, issuer) = api_that_takes_the_second().await;
    let client = recording(&api, &issuer, &TestClock::new());
    let (parts, body) = open();
    let url = api.url().to_owned();
    let call = tokio::spawn(async move {
        let request = Request::post(url).body(body).unwrap();
        client.oneshot(request).await.unwrap().status()
    });
    soon(issuer.until_requests(1)).await;
    for part in ["two ", "cups ", "of tea"] {
        parts.send(Bytes::from(part)).await.unwrap();
    }
    drop(parts);
    assert_eq!(soon(call).await.unwrap(), 200);
    let bodies: Vec<_> = api.seen().into_iter().map(|seen| seen.body).collect();
    assert_eq!(bodies, ["two cups of tea", "two cups of tea"]);
}

#[tokio::test]
async fn a_body_that_fails_fails_its_request_and_nothing_is_sent_again() {
    // J2
    let (api, issuer) = api_that_takes_the_second().await;
    let client = recording(&api, &issuer, &TestClock::new());
    let frames = [
        Ok(Frame::data(Bytes::from("two cups"))),
        Err(BodyError::other("the kettle is empty")),
    ];
    let body = StreamBody::new(tokio_stream::iter(frames)).boxed();
    let request = Request::post(api.url()).body(body).unwrap();
    let error = soon(client.oneshot(request)).await.unwrap_err();
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*error);
    while let Some(error) = cause.filter(|error| error.to_string() != "the kettle is empty") {
        cause = error.source();
    }
    assert!(cause.is_some(), "{error:?}");
    assert!(api.seen().is_empty());
}

#[tokio::test]
async fn a_body_that_is_sent_once_is_passed_on_with_its_refusal() {
    // J2, C7
    let (api, issuer) = api_that_takes_the_second().await;
    let source = issuer.source(&TestClock::new());
    let client = BearerTokenLayer::builder(source)
        .origin(api.url())
        .build_sending_once()
        .unwrap()
        .layer(http());
    assert_eq!(post(&client, &api, opaque(Full::from("tea"))).await, 401);
    assert_eq!(post(&client, &api, opaque(Full::from("tea"))).await, 200);
    assert_eq!(api.tokens(), ["token-1", "token-2"]);
}

#[tokio::test]
async fn only_what_can_be_had_again_goes_out_with_the_old_token_in_the_soft_window() {
    // J2, B3, B9
    let api = Api::that_takes(|_| true).await;
    let (issuer, clock) = (Issuer::new(), TestClock::new());
    let source = issuer.source(&clock);
    let layer = BearerTokenLayer::builder(&source)
        .origin(api.url())
        .build_recording(recorded)
        .unwrap();
    let client = layer.layer(http());
    post(&client, &api, opaque(Full::default())).await;
    for number in 1..=2 {
        // In the last tenth of its 600 s.
        clock.advance(Duration::from_secs(540));
        let is_whole = number == 1;
        let status = if is_whole {
            post(&client, &api, opaque(Full::from("tea"))).await
        } else {
            let (parts, body) = open();
            let client = client.clone();
            let url = api.url().to_owned();
            let call = tokio::spawn(async move {
                let request = Request::post(url).body(body).unwrap();
                client.oneshot(request).await.unwrap().status().as_u16()
            });
            soon(issuer.until_requests(3)).await;
            drop(parts);
            soon(call).await.unwrap()
        };
        assert_eq!(status, 200);
        landed(&source).await;
        let last = api.tokens().last().unwrap().clone();
        let expected = if is_whole { "token-1" } else { "token-3" };
        assert_eq!(last, expected);
        assert_eq!(issuer.requests(), number + 1);
    }
}

/// A user's own: a text that is the whole.
#[derive(Clone)]
struct Own(String);

impl http_body::Body for Own {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let text = std::mem::take(&mut self.0);
        std::task::Poll::Ready((!text.is_empty()).then(|| Ok(Frame::data(Bytes::from(text)))))
    }
}

impl Replay for Own {
    fn replay(&self) -> Option<Self> {
        (self.0 != "once").then(|| self.clone())
    }
}

#[tokio::test]
async fn a_body_of_ones_own_says_by_itself_whether_it_is_had_again() {
    // J2, C7
    for (text, sendings) in [("tea", 2), ("once", 1)] {
        let (api, issuer) = api_that_takes_the_second().await;
        api.then(refusal());
        let source = issuer.source(&TestClock::new());
        let http: Client<_, Own> = Client::builder(TokioExecutor::new()).build_http();
        let client = BearerTokenLayer::for_origin(api.url(), source)
            .unwrap()
            .layer(http);
        let request = Request::post(api.url()).body(Own(text.to_owned())).unwrap();
        let answer = soon(client.oneshot(request)).await.unwrap();
        assert_eq!(answer.status() == 200, sendings == 2, "{text}");
        let bodies: Vec<_> = api.seen().into_iter().map(|seen| seen.body).collect();
        assert_eq!(bodies, vec![text; sendings]);
    }
}
