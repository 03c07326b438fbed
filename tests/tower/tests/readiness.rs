//! What tower asks of a layer: the service that is called is the one that was made ready.

#![expect(clippy::unwrap_used, reason = "what cannot go on in a test may end it")]

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use reqwest_bearer::{BearerTokenLayer, GrantFn, TokenResponse};
use tower::{Layer as _, Service, ServiceBuilder, ServiceExt as _};

type Whole = Full<Bytes>;

/// Refuses each first token; ends the test if it is called without having been made ready.
#[derive(Debug, Default)]
struct Touchy {
    is_ready: bool,
    calls: Arc<AtomicUsize>,
}

impl Clone for Touchy {
    fn clone(&self) -> Self {
        Self {
            // As of a service that holds a permit: that is not shared.
            is_ready: false,
            calls: Arc::clone(&self.calls),
        }
    }
}

impl Service<Request<Whole>> for Touchy {
    type Response = Response<Whole>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Whole>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Whole>) -> Self::Future {
        assert!(
            std::mem::take(&mut self.is_ready),
            "called before it was ready"
        );
        let mark = request.extensions().get();
        assert_eq!(
            mark,
            Some(&Mark),
            "what is below has what came with the request"
        );
        self.calls.fetch_add(1, Ordering::SeqCst);
        let is_first = request.headers()["authorization"] == "Bearer token-1";
        let answer = Response::builder().status(if is_first { 401 } else { 200 });
        ready(Ok(answer.body(Whole::default()).unwrap()))
    }
}

/// Somebody else's extension, as tonic has them.
#[derive(Clone, Debug, PartialEq)]
struct Mark;

fn grant() -> GrantFn {
    let number = AtomicUsize::new(0);
    GrantFn::new("numbered", move |_| {
        let number = number.fetch_add(1, Ordering::SeqCst) + 1;
        let token = TokenResponse::bearer(format!("token-{number}"));
        async move { Ok(token.with_expires_in(Duration::from_secs(600))) }
    })
}

fn request() -> Request<Whole> {
    let request = Request::get("https://api.example.com/").extension(Mark);
    request.body(Whole::default()).unwrap()
}

#[tokio::test]
async fn each_sending_is_made_by_a_service_that_was_made_ready_for_it() {
    // J2
    let touchy = Touchy::default();
    let calls = Arc::clone(&touchy.calls);
    let layer = BearerTokenLayer::for_origin("https://api.example.com", grant()).unwrap();
    let mut client = layer.layer(touchy);
    for made in [2, 3] {
        let ready = client.ready().await.unwrap();
        let answer = ready.call(request()).await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(calls.load(Ordering::SeqCst), made);
    }
}

#[tokio::test]
async fn a_resend_finds_room_where_one_request_at_a_time_may_be_out() {
    // J2
    let layer = BearerTokenLayer::for_origin("https://api.example.com", grant()).unwrap();
    let client = ServiceBuilder::new()
        .layer(layer)
        .concurrency_limit(1)
        .service(Touchy::default());
    let call = client.oneshot(request());
    let answer = tokio::time::timeout(Duration::from_secs(20), call).await;
    assert_eq!(answer.unwrap().unwrap().status(), 200);
}
