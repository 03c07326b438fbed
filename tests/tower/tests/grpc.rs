//! gRPC through the layer: a client of tonic, and a real server of tonic.

#![expect(clippy::unwrap_used, reason = "what cannot go on in a test may end it")]

#[path = "../../support/mod.rs"]
mod support;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest_bearer::{
    BearerTokenLayer, BearerTokenLayerBuilder, BearerTokenService, Error, ErrorKind, Subject,
    TestClock, Timeouts, TokenOptions, TokenSet, TokenSource, UserSessions,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Code, Request};
use tower::{Layer as _, ServiceBuilder};
use tower_parts::{Certificates, Order, OrdersClient, OrdersServer, Refuses};

use support::issuer::{Issuer, failure};
use support::soon;

/// The channel of a gRPC client, with its tokens.
type Bearing = BearerTokenService<Channel, tonic::body::Body>;

/// The tokens that the API takes at the moment.
#[derive(Clone, Default)]
struct Live(Arc<Mutex<HashSet<String>>>);

impl Live {
    fn only(tokens: &[&str]) -> Self {
        let live = Self::default();
        live.set(tokens);
        live
    }

    fn set(&self, tokens: &[&str]) {
        *self.0.lock().unwrap() = tokens.iter().map(|token| (*token).to_owned()).collect();
    }

    fn rule(&self) -> impl Fn(&str) -> bool + Send + Sync + 'static {
        let live = self.clone();
        move |token| live.0.lock().unwrap().contains(token)
    }
}

fn channel(server: &OrdersServer) -> Channel {
    Channel::from_shared(server.url()).unwrap().connect_lazy()
}

fn bearing(server: &OrdersServer, builder: BearerTokenLayerBuilder) -> OrdersClient<Bearing> {
    let bearer = builder
        .origin(server.url())
        .relative_requests_to_origin()
        .build_recording(tonic::body::Body::new)
        .unwrap();
    OrdersClient::new(ServiceBuilder::new().layer(bearer).service(channel(server)))
}

fn client(server: &OrdersServer, source: &TokenSource) -> OrdersClient<Bearing> {
    bearing(server, BearerTokenLayer::builder(source))
}

fn source(issuer: &Issuer) -> TokenSource {
    issuer.source(&TestClock::new())
}

#[tokio::test]
async fn a_unary_call_that_is_refused_in_its_headers_is_sent_again_with_a_new_token() {
    // J2, C1: the answer is trailers only
    let (issuer, live) = (Issuer::new(), Live::only(&["token-2"]));
    let server = OrdersServer::start(live.rule()).await;
    let mut client = client(&server, &source(&issuer));
    let answer = soon(client.get(Order::of("tea"))).await.unwrap();
    assert_eq!(answer.into_inner(), Order::of("tea"));
    assert_eq!(server.tokens(), ["token-1", "token-2"]);
    assert_eq!(server.received(), ["tea"]);
    assert_eq!(issuer.requests(), 2);
    soon(client.get(Order::of("milk"))).await.unwrap();
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn fifty_calls_that_are_refused_together_make_one_refresh() {
    // J2, C1
    let (issuer, live) = (Issuer::new(), Live::only(&["token-1"]));
    let server = OrdersServer::start(live.rule()).await;
    let mut client = client(&server, &source(&issuer));
    soon(client.get(Order::of("first"))).await.unwrap();
    live.set(&["token-2"]);
    let calls = (0..50).map(|number| {
        let mut client = client.clone();
        tokio::spawn(async move { client.get(Order::of(number.to_string())).await })
    });
    let calls: Vec<_> = calls.collect();
    for (number, call) in calls.into_iter().enumerate() {
        let answer = soon(call).await.unwrap().unwrap();
        assert_eq!(answer.into_inner(), Order::of(number.to_string()));
    }
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn a_refusal_in_real_trailers_is_passed_on_and_the_next_call_works() {
    // J2, C7
    let (issuer, live) = (Issuer::new(), Live::only(&["token-2"]));
    let server = OrdersServer::start(live.rule()).await;
    server.refuse(Refuses::AtTheEnd);
    let mut client = client(&server, &source(&issuer));
    let refusal = soon(client.get(Order::of("tea"))).await.unwrap_err();
    assert_eq!(refusal.code(), Code::Unauthenticated);
    assert_eq!(refusal.message(), "who are you?");
    assert_eq!(server.tokens(), ["token-1"]);
    soon(client.get(Order::of("tea"))).await.unwrap();
    assert_eq!(server.tokens(), ["token-1", "token-2"]);
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn an_api_that_always_refuses_in_its_trailers_makes_no_flood() {
    // J2, C4: an answer that has begun well accepts nothing, so that no guard is lifted by it.
    let (issuer, live) = (Issuer::new(), Live::only(&[]));
    let server = OrdersServer::start(live.rule()).await;
    server.refuse(Refuses::AtTheEnd);
    let clock = TestClock::new();
    let mut client = client(&server, &issuer.source(&clock));
    for _ in 0..40 {
        let refusal = soon(client.get(Order::of("tea"))).await.unwrap_err();
        assert_eq!(refusal.code(), Code::Unauthenticated);
        // Each token is old enough to have been revoked.
        clock.advance(Duration::from_millis(750));
    }
    // 30 s have passed.
    let requests = issuer.requests();
    assert!((2..=7).contains(&requests), "{requests} token requests");
}

#[tokio::test]
async fn an_api_that_always_refuses_in_its_headers_makes_no_flood_and_is_passed_on() {
    // J2, C4, C8
    let (issuer, live) = (Issuer::new(), Live::only(&[]));
    let server = OrdersServer::start(live.rule()).await;
    let mut client = client(&server, &source(&issuer));
    for _ in 0..20 {
        let refusal = soon(client.get(Order::of("tea"))).await.unwrap_err();
        assert_eq!(refusal.code(), Code::Unauthenticated);
        assert_eq!(refusal.message(), "who are you?");
    }
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn a_stream_that_is_still_open_is_not_sent_again_and_its_token_is_renewed_for_the_next() {
    // J2, C7
    for refuses in [Refuses::AtOnce, Refuses::AtTheEnd] {
        let (issuer, live) = (Issuer::new(), Live::only(&["token-2"]));
        let server = OrdersServer::start(live.rule()).await;
        server.refuse(refuses);
        let mut client = client(&server, &source(&issuer));
        let (orders, stream) = tokio::sync::mpsc::channel(1);
        orders.send(Order::of("first")).await.unwrap();
        let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
        let refusal = match soon(client.follow(stream)).await {
            Err(refusal) => refusal,
            Ok(answer) => {
                let mut answers = answer.into_inner();
                let first = soon(answers.message()).await.unwrap();
                assert_eq!(first, Some(Order::of("first")));
                soon(answers.message()).await.unwrap_err()
            }
        };
        assert_eq!(refusal.code(), Code::Unauthenticated, "{refuses:?}");
        assert_eq!(server.tokens(), ["token-1"], "{refuses:?}");
        soon(client.get(Order::of("tea"))).await.unwrap();
        assert_eq!(server.tokens(), ["token-1", "token-2"], "{refuses:?}");
        assert_eq!(issuer.requests(), 2);
    }
}

#[tokio::test]
async fn messages_go_both_ways_while_the_stream_is_open() {
    // J2
    let (issuer, live) = (Issuer::new(), Live::only(&["token-1"]));
    let server = OrdersServer::start(live.rule()).await;
    let mut client = client(&server, &source(&issuer));
    let (orders, stream) = tokio::sync::mpsc::channel(1);
    let stream = tokio_stream::wrappers::ReceiverStream::new(stream);
    let answer = soon(client.follow(stream)).await.unwrap();
    let mut answers = answer.into_inner();
    for number in 0..200 {
        // Some 200 KB in all: more than is recorded.
        let order = Order::of(format!("{number:01000}"));
        orders.send(order.clone()).await.unwrap();
        assert_eq!(soon(answers.message()).await.unwrap(), Some(order));
    }
    drop(orders);
    assert_eq!(soon(answers.message()).await.unwrap(), None);
    assert_eq!(server.tokens(), ["token-1"]);
}

#[tokio::test]
async fn a_call_over_tls_is_sent_again_too() {
    // J2, D2
    let (issuer, live) = (Issuer::new(), Live::only(&["token-2"]));
    let certificates = Certificates::for_localhost();
    let server = OrdersServer::start_with_tls(&certificates, live.rule()).await;
    let origin = format!("https://localhost:{}", server.port());
    let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&certificates.authority));
    let channel = Channel::from_shared(origin.clone()).unwrap();
    let channel = channel.tls_config(tls).unwrap().connect_lazy();
    let bearer = BearerTokenLayer::builder(source(&issuer))
        .origin(origin)
        .relative_requests_to_origin()
        .build_recording(tonic::body::Body::new)
        .unwrap();
    let mut client = OrdersClient::new(bearer.layer(channel));
    soon(client.get(Order::of("tea"))).await.unwrap();
    assert_eq!(server.tokens(), ["token-1", "token-2"]);
}

#[tokio::test]
async fn a_request_without_an_origin_is_an_error_unless_the_layer_was_told_where_it_goes() {
    // J2, D1
    let (issuer, live) = (Issuer::new(), Live::only(&["token-1"]));
    let server = OrdersServer::start(live.rule()).await;
    let bearer = BearerTokenLayer::builder(source(&issuer))
        .origin(server.url())
        .build_recording(tonic::body::Body::new)
        .unwrap();
    let mut client = OrdersClient::new(bearer.layer(channel(&server)));
    let status = soon(client.get(Order::of("tea"))).await.unwrap_err();
    let error = Error::find_in(&status).unwrap();
    assert_eq!(error.kind(), ErrorKind::OriginNotAllowed);
    assert!(error.to_string().contains("relative_requests_to_origin"));
    assert!(server.seen().is_empty());
    assert_eq!(issuer.requests(), 0);
}

#[tokio::test]
async fn each_user_calls_with_a_token_of_his_own_and_nobody_without_one() {
    // J2, F1
    let live = Live::only(&["of-ann", "of-bob"]);
    let server = OrdersServer::start(live.rule()).await;
    let users = UserSessions::with_grant(Issuer::new().grant())
        .build()
        .unwrap();
    let subject = |name: &str| Subject::new(name).unwrap();
    for (name, token) in [("ann", "of-ann"), ("bob", "of-bob")] {
        users
            .sign_in(&subject(name), TokenSet::new(token))
            .await
            .unwrap();
    }
    let mut client = bearing(&server, BearerTokenLayer::users_builder(&users));
    let mut order = Request::new(Order::of("tea"));
    order.extensions_mut().insert(subject("ann"));
    soon(client.get(order)).await.unwrap();
    let call = client.get(Order::of("milk"));
    soon(subject("bob").run(call)).await.unwrap();
    assert_eq!(server.tokens(), ["of-ann", "of-bob"]);
    let status = soon(client.get(Order::of("tea"))).await.unwrap_err();
    let error = Error::find_in(&status).unwrap();
    assert_eq!(error.kind(), ErrorKind::NoSubject);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn the_options_of_a_request_are_heard_and_its_own_header_wins() {
    // J2, D4
    let (issuer, live) = (Issuer::new(), Live::only(&["token-1", "mine"]));
    let server = OrdersServer::start(live.rule()).await;
    let mut client = client(&server, &source(&issuer));
    let mut order = Request::new(Order::of("tea"));
    order
        .extensions_mut()
        .insert(TokenOptions::new().scope("orders:write"));
    soon(client.get(order)).await.unwrap();
    let asked = issuer.asked()[0].parameters().scope_text();
    assert_eq!(asked.as_deref(), Some("orders:write"));

    let mut order = Request::new(Order::of("tea"));
    let own = "Bearer mine".parse().unwrap();
    order.metadata_mut().insert("authorization", own);
    soon(client.get(order)).await.unwrap();
    assert_eq!(server.tokens(), ["token-1", "mine"]);

    let mut order = Request::new(Order::of("tea"));
    order.extensions_mut().insert(TokenOptions::anonymous());
    let refusal = soon(client.get(order)).await.unwrap_err();
    assert_eq!(refusal.code(), Code::Unauthenticated);
    assert!(server.seen()[2].get("authorization").is_none());
    assert_eq!((server.seen().len(), issuer.requests()), (3, 1));
}

#[tokio::test]
async fn the_timeout_of_a_call_bounds_the_wait_for_its_token_and_leaves_the_rest_to_the_api() {
    // J2, B13
    let (issuer, live) = (Issuer::new(), Live::only(&["token-1"]));
    let server = OrdersServer::start(live.rule()).await;
    let clock = TestClock::new();
    let patient = Timeouts::new().wait(Duration::from_secs(100_000));
    let source = issuer.builder(&clock).timeouts(patient).build().unwrap();
    let mut client = client(&server, &source);
    let call = |seconds| {
        let mut order = Request::new(Order::of("tea"));
        order.set_timeout(Duration::from_secs(seconds));
        let mut client = client.clone();
        tokio::spawn(async move { client.get(order).await })
    };

    issuer.hold();
    let (brief, long) = (call(5), call(50));
    issuer.until_requests(1).await;
    let status = soon(support::while_time_passes(&clock, brief)).await;
    let status = status.unwrap().unwrap_err();
    let error = Error::find_in(&status).unwrap();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(server.seen().is_empty());

    issuer.release();
    soon(long).await.unwrap().unwrap();
    let left = server.seen()[0].get("grpc-timeout").unwrap().clone();
    let left: u64 = left
        .to_str()
        .unwrap()
        .trim_end_matches('u')
        .parse()
        .unwrap();
    assert!((1_000_000..=45_000_000).contains(&left), "{left} us");
    // A call without a timeout gets none.
    soon(client.get(Order::of("tea"))).await.unwrap();
    assert!(server.seen()[1].get("grpc-timeout").is_none());
}

#[tokio::test]
async fn a_token_that_cannot_be_had_is_an_error_of_the_call_and_nothing_is_sent() {
    // J2, E8
    let (issuer, live) = (Issuer::new(), Live::only(&["token-1"]));
    issuer.always(failure());
    let server = OrdersServer::start(live.rule()).await;
    let mut client = client(&server, &source(&issuer));
    let status = soon(client.get(Order::of("tea"))).await.unwrap_err();
    assert_eq!(Error::find_in(&status).unwrap().kind(), failure().kind());
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_refused_call_whose_new_token_cannot_be_had_gets_the_answer_of_the_api() {
    // J2, C8
    let (issuer, live) = (Issuer::new(), Live::only(&["token-1"]));
    let server = OrdersServer::start(live.rule()).await;
    let mut client = client(&server, &source(&issuer));
    soon(client.get(Order::of("tea"))).await.unwrap();
    live.set(&[]);
    issuer.always(failure());
    let refusal = soon(client.get(Order::of("tea"))).await.unwrap_err();
    assert_eq!(refusal.code(), Code::Unauthenticated);
    assert_eq!(refusal.message(), "who are you?");
    assert_eq!(server.tokens(), ["token-1", "token-1"]);
}

#[tokio::test]
async fn a_rule_of_the_sources_sees_the_codes_of_grpc_as_http_statuses() {
    // J2, C5
    let (issuer, live) = (Issuer::new(), Live::only(&["token-2"]));
    let server = OrdersServer::start(live.rule()).await;
    for (at, refuses) in [Refuses::AtOnce, Refuses::AtTheEnd].into_iter().enumerate() {
        server.refuse(refuses);
        let statuses = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&statuses);
        let source = issuer
            .builder(&TestClock::new())
            .refused_when(move |status, _| {
                seen.lock().unwrap().push(status.as_u16());
                false
            });
        let mut client = client(&server, &source.build().unwrap());
        live.set(&[]);
        let refusal = soon(client.get(Order::of("tea"))).await.unwrap_err();
        assert_eq!(refusal.code(), Code::Unauthenticated);
        let token = format!("token-{}", at + 1);
        live.set(&[&token]);
        soon(client.get(Order::of("tea"))).await.unwrap();
        assert_eq!(*statuses.lock().unwrap(), [401, 200], "{refuses:?}");
    }
    // The rule refuses nothing.
    assert_eq!(issuer.requests(), 2);
}
