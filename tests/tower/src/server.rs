//! The server: takes live tokens, refuses all others, and keeps what it was sent.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::StreamBody;
use http_body_util::combinators::UnsyncBoxBody;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tokio_stream::{Stream, StreamExt};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Bytes};
use tonic::metadata::MetadataMap;
use tonic::server::{Grpc, StreamingService, UnaryService};
use tonic::transport::{Identity, Server, ServerTlsConfig};
use tonic::{Status, Streaming};
use tonic_prost::ProstCodec;
use tower_service::Service;

use crate::{Certificates, Order};

/// Where the refusal of a token stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refuses {
    /// In the headers of an answer that consists of them, before the request is read.
    AtOnce,
    /// In the trailers, after an answer has begun.
    AtTheEnd,
}

/// Runs until it is dropped.
pub struct OrdersServer {
    address: SocketAddr,
    orders: Orders,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Orders {
    is_live: Arc<dyn Fn(&str) -> bool + Send + Sync>,
    refuses: Arc<Mutex<Refuses>>,
    seen: Arc<Mutex<Vec<MetadataMap>>>,
    received: Arc<Mutex<Vec<String>>>,
}

impl OrdersServer {
    /// A server on a free port of loopback, which takes the tokens that this function says.
    pub async fn start(is_live: impl Fn(&str) -> bool + Send + Sync + 'static) -> Self {
        Self::start_with(Server::builder(), is_live).await
    }

    /// The same with TLS.
    pub async fn start_with_tls(
        certificates: &Certificates,
        is_live: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let identity = Identity::from_pem(&certificates.certificate, &certificates.key);
        let tls = ServerTlsConfig::new().identity(identity);
        Self::start_with(Server::builder().tls_config(tls).unwrap(), is_live).await
    }

    async fn start_with(
        server: Server,
        is_live: impl Fn(&str) -> bool + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let orders = Orders {
            is_live: Arc::new(is_live),
            refuses: Arc::new(Mutex::new(Refuses::AtOnce)),
            seen: Arc::default(),
            received: Arc::default(),
        };
        let service = orders.clone();
        let incoming = TcpListenerStream::new(listener);
        let task = tokio::spawn(async move {
            let served = server.serve_with_incoming(service, incoming).await;
            served.unwrap();
        });
        Self {
            address,
            orders,
            task,
        }
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// `http://` and its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on tokens are refused there.
    pub fn refuse(&self, refuses: Refuses) {
        *self.orders.refuses.lock().unwrap() = refuses;
    }

    /// The tokens of all requests so far; a request without one is a defect.
    pub fn tokens(&self) -> Vec<String> {
        let seen = self.orders.seen.lock().unwrap();
        seen.iter().map(|seen| token(seen).unwrap()).collect()
    }

    /// The metadata of all requests so far.
    pub fn seen(&self) -> Vec<MetadataMap> {
        self.orders.seen.lock().unwrap().clone()
    }

    /// The items that reached the service, in accepted requests and in others.
    pub fn received(&self) -> Vec<String> {
        self.orders.received.lock().unwrap().clone()
    }
}

impl Drop for OrdersServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn token(metadata: &MetadataMap) -> Option<String> {
    let value = metadata.get("authorization")?.to_str().unwrap();
    value.strip_prefix("Bearer ").map(ToOwned::to_owned)
}

impl Orders {
    fn is_welcome(&self, metadata: &MetadataMap) -> bool {
        token(metadata).is_some_and(|token| (self.is_live)(&token))
    }

    fn refuses(&self) -> Refuses {
        *self.refuses.lock().unwrap()
    }
}

impl Service<Request<Body>> for Orders {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Response<Body>, Infallible>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let orders = self.clone();
        let metadata = MetadataMap::from_headers(request.headers().clone());
        orders.seen.lock().unwrap().push(metadata.clone());
        let is_welcome = orders.is_welcome(&metadata);
        let is_unary = request.uri().path() == "/orders.Orders/Get";
        Box::pin(async move {
            Ok(match orders.refuses() {
                // As an interceptor does it.
                Refuses::AtOnce if !is_welcome => unauthenticated().into_http(),
                Refuses::AtTheEnd if !is_welcome && is_unary => begun_and_refused(),
                _ if is_unary => {
                    let codec = ProstCodec::<Order, Order>::default();
                    Grpc::new(codec).unary(Get(orders), request).await
                }
                _ => {
                    let codec = ProstCodec::<Order, Order>::default();
                    let follow = Follow(orders, is_welcome);
                    Grpc::new(codec).streaming(follow, request).await
                }
            })
        })
    }
}

fn unauthenticated() -> Status {
    Status::unauthenticated("who are you?")
}

/// Headers that say nothing, and trailers that refuse.
fn begun_and_refused() -> Response<Body> {
    let mut trailers = HeaderMap::new();
    unauthenticated().add_header(&mut trailers).unwrap();
    let frames = [Ok::<_, Status>(http_body::Frame::<Bytes>::trailers(
        trailers,
    ))];
    let body = StreamBody::new(tokio_stream::iter(frames));
    let mut response = Response::new(Body::new(UnsyncBoxBody::new(body)));
    let content = HeaderValue::from_static("application/grpc");
    response.headers_mut().insert("content-type", content);
    response
}

/// Gives back what was ordered.
struct Get(Orders);

impl UnaryService<Order> for Get {
    type Response = Order;
    type Future = BoxFuture<tonic::Response<Order>, Status>;

    fn call(&mut self, request: tonic::Request<Order>) -> Self::Future {
        let order = request.into_inner();
        self.0.received.lock().unwrap().push(order.item.clone());
        Box::pin(async move { Ok(tonic::Response::new(order)) })
    }
}

/// Gives back each order as it comes, or after the first one a refusal.
struct Follow(Orders, bool);

impl StreamingService<Order> for Follow {
    type Response = Order;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Order, Status>> + Send>>;
    type Future = BoxFuture<tonic::Response<Self::ResponseStream>, Status>;

    fn call(&mut self, request: tonic::Request<Streaming<Order>>) -> Self::Future {
        let (received, is_welcome) = (Arc::clone(&self.0.received), self.1);
        let heard = request.into_inner().map(move |order| {
            let order = order?;
            received.lock().unwrap().push(order.item.clone());
            Ok(order)
        });
        let answers: Self::ResponseStream = if is_welcome {
            Box::pin(heard)
        } else {
            let refusal = tokio_stream::once(Err(unauthenticated()));
            Box::pin(heard.take(1).chain(refusal))
        };
        Box::pin(async move { Ok(tonic::Response::new(answers)) })
    }
}
