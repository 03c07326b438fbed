//! The layer over `hyper-util`'s client: what holds for the middleware holds through this door.

#![expect(clippy::unwrap_used, reason = "what cannot go on in a test may end it")]

#[path = "../../support/mod.rs"]
mod support;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use reqwest_bearer::{
    AnswerBody, BearerChallenge, BearerTokenLayer, BearerTokenService, ClientAuthentication,
    ConstantToken, Error, ErrorKind, Subject, TestClock, TokenEndpoint, TokenOptions, TokenSet,
    TokenSource, UserSessions,
};
use tokio::net::TcpListener;
use tower::{Layer as _, Service as _, ServiceBuilder, ServiceExt as _};
use tower_http::follow_redirect::FollowRedirectLayer;

use support::api::{Api, refusal};
use support::http_server::Reply;
use support::issuer::{Issuer, failure};
use support::{soon, under_way};

type Whole = Full<Bytes>;
type Http = Client<HttpConnector, Whole>;
type Bearing = BearerTokenService<Http, Whole>;
type Answer = Response<AnswerBody<Incoming>>;

fn http() -> Http {
    Client::builder(TokioExecutor::new()).build_http()
}

fn client(api: &Api, source: impl Into<TokenSource>) -> Bearing {
    BearerTokenLayer::for_origin(api.url(), source)
        .unwrap()
        .layer(http())
}

/// An API that takes this token alone, and a client whose first token is `token-1`.
async fn api_that_takes(token: &'static str) -> (Api, Issuer, Bearing) {
    let api = Api::that_takes(move |other| other == token).await;
    let issuer = Issuer::new();
    let client = client(&api, issuer.source(&TestClock::new()));
    (api, issuer, client)
}

fn get(api: &Api) -> Request<Whole> {
    let url = format!("{}/orders/42", api.url());
    Request::get(url).body(Whole::default()).unwrap()
}

async fn send(client: &Bearing, request: Request<Whole>) -> Answer {
    soon(client.clone().oneshot(request)).await.unwrap()
}

async fn error_of(client: &Bearing, request: Request<Whole>) -> Error {
    let error = soon(client.clone().oneshot(request)).await.unwrap_err();
    Error::find_in(&*error).unwrap().clone()
}

async fn text(answer: Answer) -> String {
    let body = soon(answer.into_body().collect()).await.unwrap();
    String::from_utf8(body.to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn a_refused_request_is_sent_again_whole() {
    // J2, C1, C3
    let (api, issuer, client) = api_that_takes("token-2").await;
    let request = Request::put(format!("{}/orders/42?by=me", api.url()))
        .header("x-mine", "yes")
        .body(Whole::from("two cups of tea"))
        .unwrap();
    let answer = send(&client, request).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(text(answer).await, "fine");
    assert_eq!(api.tokens(), ["token-1", "token-2"]);
    let seen = api.seen();
    for seen in &seen {
        assert_eq!(seen.method, "PUT");
        assert_eq!(seen.path, "/orders/42?by=me");
        assert_eq!(seen.headers["x-mine"], "yes");
        assert_eq!(seen.body, "two cups of tea");
    }
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn the_first_answer_is_read_to_its_end_so_that_its_connection_serves_the_resend() {
    // J2, C9: longer than what a connection has at hand.
    let (api, _, client) = api_that_takes("token-2").await;
    api.then(refusal().body("no".repeat(30_000)));
    assert_eq!(send(&client, get(&api)).await.status(), 200);
    assert_eq!(api.tokens(), ["token-1", "token-2"]);
    assert_eq!(api.connections(), 1);
}

#[tokio::test]
async fn a_hundred_calls_that_are_refused_together_make_one_refresh() {
    // J2, A1, C1
    let (api, issuer, client) = api_that_takes("token-2").await;
    api.hold();
    let calls: Vec<_> = (0..100)
        .map(|_| tokio::spawn(client.clone().oneshot(get(&api))))
        .collect();
    soon(api.until_held(100)).await;
    assert_eq!(issuer.requests(), 1);
    api.release();
    for call in calls {
        assert_eq!(soon(call).await.unwrap().unwrap().status(), 200);
    }
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn a_call_that_is_dropped_loses_no_refresh() {
    // J2, A2
    let (api, issuer, client) = api_that_takes("token-1").await;
    issuer.hold();
    let call = under_way(client.clone().oneshot(get(&api))).await;
    soon(issuer.until_requests(1)).await;
    call.abort();
    assert!(soon(call).await.unwrap_err().is_cancelled());
    issuer.release();
    assert_eq!(send(&client, get(&api)).await.status(), 200);
    assert_eq!(issuer.requests(), 1);
}

#[tokio::test]
async fn an_answer_that_stays_a_refusal_has_its_body_and_the_reason() {
    // J2, C8, C11
    let (api, issuer, client) = api_that_takes("token-1").await;
    send(&client, get(&api)).await;
    api.always(refusal());
    issuer.always(failure());
    let answer = send(&client, get(&api)).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let challenge: &BearerChallenge = answer.extensions().get().unwrap();
    assert_eq!(challenge.error(), Some("invalid_token"));
    let reason: &Error = answer.extensions().get().unwrap();
    assert_eq!(reason.kind(), failure().kind());
    assert_eq!(text(answer).await, "who are you?");
}

#[tokio::test]
async fn what_another_token_would_not_mend_is_passed_on_as_a_challenge() {
    // J2, C5, C11
    let (api, issuer, client) = api_that_takes("token-1").await;
    let challenge = r#"Bearer error="insufficient_scope", scope="orders:write""#;
    for status in [401, 403] {
        api.then(Reply::new(status).header("www-authenticate", challenge));
        let answer = send(&client, get(&api)).await;
        assert_eq!(answer.status().as_u16(), status);
        let challenge: &BearerChallenge = answer.extensions().get().unwrap();
        assert_eq!(challenge.scope(), Some("orders:write"));
    }
    assert_eq!((api.seen().len(), issuer.requests()), (2, 1));
}

#[tokio::test]
async fn a_token_goes_to_its_own_origin_alone() {
    // J2, D1, D2
    let (api, issuer, bound) = api_that_takes("token-1").await;
    let other = Api::that_takes(|_| true).await;
    let error = error_of(&bound, get(&other)).await;
    assert_eq!(error.kind(), ErrorKind::OriginNotAllowed);
    let port = api.url().rsplit_once(':').unwrap().1;
    for url in [
        format!("http://127.0.0.1.:{port}/"),
        format!("http://127.1:{port}/"),
        format!("http://127.0.0.1@127.0.0.2:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        "/orders/42".to_owned(),
    ] {
        let request = Request::get(&url).body(Whole::default()).unwrap();
        let error = error_of(&bound, request).await;
        assert_eq!(error.kind(), ErrorKind::OriginNotAllowed, "{url}");
    }
    assert_eq!((api.seen().len(), other.seen().len()), (0, 0));
    assert_eq!(issuer.requests(), 0);

    let lenient = BearerTokenLayer::builder(issuer.source(&TestClock::new()))
        .origin(api.url())
        .other_origins_without_token()
        .build()
        .unwrap();
    let lenient = lenient.layer(http());
    assert_eq!(send(&lenient, get(&other)).await.status(), 401);
    assert!(other.seen()[0].token().is_none());
}

#[tokio::test]
async fn a_header_of_the_callers_own_wins_and_an_anonymous_request_has_none() {
    // J2, D4
    let (api, issuer, client) = api_that_takes("token-1").await;
    let mut own = get(&api);
    own.headers_mut()
        .insert("authorization", "Bearer mine".parse().unwrap());
    assert_eq!(send(&client, own).await.status(), 401);
    let other = Api::that_takes(|_| true).await;
    let mut anonymous = get(&other);
    anonymous.extensions_mut().insert(TokenOptions::anonymous());
    assert_eq!(send(&client, anonymous).await.status(), 401);
    assert_eq!(api.tokens(), ["mine"]);
    assert!(other.seen()[0].token().is_none());
    assert_eq!(issuer.requests(), 0);
}

#[tokio::test]
async fn users_are_told_apart_by_the_extensions_of_their_requests() {
    // J2, F1
    let api = Api::that_takes(|_| true).await;
    let users = UserSessions::with_grant(Issuer::new().grant())
        .build()
        .unwrap();
    let ann = Subject::new("ann").unwrap();
    users.sign_in(&ann, TokenSet::new("of-ann")).await.unwrap();
    let client = BearerTokenLayer::for_users(api.url(), &users).unwrap();
    let client = client.layer(http());
    let mut request = get(&api);
    request.extensions_mut().insert(ann.clone());
    assert_eq!(send(&client, request).await.status(), 200);
    assert_eq!(ann.run(send(&client, get(&api))).await.status(), 200);
    assert_eq!(api.tokens(), ["of-ann", "of-ann"]);
    let error = error_of(&client, get(&api)).await;
    assert_eq!(error.kind(), ErrorKind::NoSubject);
}

#[tokio::test]
async fn a_session_that_is_over_is_an_error_of_the_call_where_so_set() {
    // J2, C8
    let api = Api::that_takes(|_| false).await;
    let endpoint = TokenEndpoint::new("https://as.test/token", ClientAuthentication::none("me"));
    let users = UserSessions::new(&endpoint.unwrap());
    let ann = Subject::new("ann").unwrap();
    users.sign_in(&ann, TokenSet::new("dead")).await.unwrap();
    let strict = BearerTokenLayer::users_builder(&users)
        .origin(api.url())
        .error_on_ended_session()
        .build()
        .unwrap();
    let strict = strict.layer(http());
    let error = ann.run(error_of(&strict, get(&api))).await;
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert_eq!(api.tokens(), ["dead"]);
}

#[tokio::test]
async fn an_error_of_the_service_below_comes_through_as_it_is() {
    // J2
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", nobody.local_addr().unwrap());
    drop(nobody);
    let layer = BearerTokenLayer::for_origin(&url, ConstantToken::new("t").unwrap()).unwrap();
    let request = Request::get(&url).body(Whole::default()).unwrap();
    let error = soon(layer.layer(http()).oneshot(request))
        .await
        .unwrap_err();
    assert!(
        error
            .downcast_ref::<hyper_util::client::legacy::Error>()
            .is_some()
    );
    assert!(Error::find_in(&*error).is_none());
}

#[tokio::test]
async fn redirects_that_are_followed_above_the_layer_take_no_token_elsewhere() {
    // J2, D3
    let (api, issuer, _) = api_that_takes("token-1").await;
    let other = Api::that_takes(|_| true).await;
    let to = |api: &Api| Reply::new(307).header("location", format!("{}/next", api.url()));
    let layer = |elsewhere: bool| {
        let builder = BearerTokenLayer::builder(issuer.source(&TestClock::new())).origin(api.url());
        let layer = if elsewhere {
            builder.other_origins_without_token().build::<Whole>()
        } else {
            builder.build()
        };
        ServiceBuilder::new()
            .layer(FollowRedirectLayer::new())
            .layer(layer.unwrap())
            .service(http())
    };
    // A -> B -> B and A -> B -> A: where the API itself is asked once more, it gets the token once more.
    api.then(to(&other));
    other.then(to(&other));
    other.then(to(&api));
    let answer = soon(layer(true).oneshot(get(&api))).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(api.tokens(), ["token-1", "token-1"]);
    assert!(other.seen().iter().all(|seen| seen.token().is_none()));
    assert_eq!(other.seen().len(), 2);

    api.then(to(&other));
    let error = soon(layer(false).oneshot(get(&api))).await.unwrap_err();
    let error = Error::find_in(&*error).unwrap();
    assert_eq!(error.kind(), ErrorKind::OriginNotAllowed);
    assert_eq!(other.seen().len(), 2);
}

#[tokio::test]
async fn an_empty_body_is_had_again() {
    // J2
    let api = Api::that_takes(|token| token == "token-2").await;
    let source = Issuer::new().source(&TestClock::new());
    let http: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let layer = BearerTokenLayer::for_origin(api.url(), source).unwrap();
    let mut client = layer.layer(http);
    let request = Request::get(api.url()).body(Empty::new()).unwrap();
    let ready = client.ready().await.unwrap();
    let answer = soon(ready.call(request)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(api.tokens(), ["token-1", "token-2"]);
}

#[tokio::test]
async fn a_layer_that_cannot_hold_what_is_asked_of_it_is_an_error_when_it_is_built() {
    // J2, D3
    let source = || Issuer::new().source(&TestClock::new());
    let faults = [
        BearerTokenLayer::builder(source()).build::<Whole>(),
        BearerTokenLayer::builder(source())
            .origin("api.example.com")
            .build(),
        BearerTokenLayer::builder(source())
            .origin("http://api.example.com")
            .build(),
        BearerTokenLayer::builder(source())
            .origin("https://api.example.com")
            .header("x-token")
            .build(),
        BearerTokenLayer::builder(source())
            .any_origin()
            .relative_requests_to_origin()
            .build(),
        BearerTokenLayer::builder(source())
            .origin("https://a.example.com")
            .origin("https://b.example.com")
            .relative_requests_to_origin()
            .build(),
    ];
    for fault in faults {
        assert_eq!(fault.unwrap_err().kind(), ErrorKind::Settings);
    }
    let cared_for = BearerTokenLayer::builder(source())
        .origin("https://api.example.com")
        .header("x-token")
        .over_service_without_redirects();
    cared_for.build::<Whole>().expect("the word was said");
}

#[tokio::test]
async fn nothing_that_is_printed_has_a_token_in_it() {
    // J2, D6
    let (api, _, client) = api_that_takes("token-2").await;
    let layer = BearerTokenLayer::builder(Issuer::new().source(&TestClock::new()))
        .origin("https://user:canary@api.example.com");
    assert!(!format!("{layer:?}").contains("canary"));
    let answer = send(&client, get(&api)).await;
    let printed = format!("{client:?} {answer:?} {:?}", answer.body());
    assert!(!printed.contains("token-"), "{printed}");
}
