//! A warm call through a service of tower, which answers without a network.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use http::header::{ACCEPT, AUTHORIZATION};
use http::{HeaderValue, Request, Response};
use http_body_util::Full;
use reqwest_bearer::{BearerTokenLayer, BearerTokenService};
use tower_layer::Layer;
use tower_service::Service;

use crate::call::grant;
use crate::{ORIGIN, token_text};

type Whole = Full<Bytes>;

/// One way to give a request of tower its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layered {
    DoNothing,
    ConstantHeaderAndCopy,
    Ours,
}

impl Layered {
    pub const ALL: [Self; 3] = [Self::DoNothing, Self::ConstantHeaderAndCopy, Self::Ours];

    pub fn name(self) -> &'static str {
        match self {
            Self::DoNothing => "tower: do nothing",
            Self::ConstantHeaderAndCopy => "tower: constant header + copy",
            Self::Ours => "tower: ours",
        }
    }
}

/// Answers 200.
#[derive(Clone)]
struct Canned;

impl Service<Request<Whole>> for Canned {
    type Response = Response<Whole>;
    type Error = Infallible;
    type Future = Ready<Result<Response<Whole>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Whole>) -> Self::Future {
        ready(Ok(Response::new(Whole::default())))
    }
}

/// The least that somebody would write by hand: its future is boxed, as those of most layers are that wait.
#[derive(Clone)]
struct ByHand {
    header: Option<HeaderValue>,
    inner: Canned,
}

impl Service<Request<Whole>> for ByHand {
    type Response = Response<Whole>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Whole>, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<Whole>) -> Self::Future {
        let mut inner = self.inner.clone();
        let Some(header) = &self.header else {
            return Box::pin(async move { inner.call(request).await });
        };
        let copy = request.clone();
        request.headers_mut().insert(AUTHORIZATION, header.clone());
        Box::pin(async move {
            let response = inner.call(request).await?;
            if response.status() == 401 {
                return inner.call(copy).await;
            }
            Ok(response)
        })
    }
}

/// A service that has its token.
pub struct LayeredCall(Client);

enum Client {
    ByHand(ByHand),
    Ours(BearerTokenService<Canned, Whole>),
}

impl LayeredCall {
    /// Everything lazy has happened.
    pub async fn warm(layered: Layered) -> Self {
        let by_hand = |header| {
            Client::ByHand(ByHand {
                header,
                inner: Canned,
            })
        };
        let mut call = Self(match layered {
            Layered::DoNothing => by_hand(None),
            Layered::ConstantHeaderAndCopy => {
                let header = HeaderValue::try_from(format!("Bearer {}", token_text()));
                by_hand(Some(header.expect("letters, digits and dots")))
            }
            Layered::Ours => {
                let layer = BearerTokenLayer::for_origin(ORIGIN, grant()).expect("it is an origin");
                Client::Ours(layer.layer(Canned))
            }
        });
        for _ in 0..100 {
            call.make().await;
        }
        call
    }

    /// A call, without a runtime.
    pub fn make_at_once(&mut self) {
        let made = self.make().now_or_never();
        made.expect("a warm call waits for nothing");
    }

    async fn make(&mut self) {
        let request = Request::get("https://api.example.com/v1/orders/42")
            .header(ACCEPT, HeaderValue::from_static("application/json"))
            .body(Whole::default())
            .expect("its parts are good");
        let status = match &mut self.0 {
            Client::ByHand(client) => client.call(request).await.map(|answer| answer.status()),
            Client::Ours(client) => {
                let answer = client.call(request).await;
                Ok(answer.expect("there is an answer").status())
            }
        };
        assert_eq!(status.expect("there is an answer"), 200);
    }
}
