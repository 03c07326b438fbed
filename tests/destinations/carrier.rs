//! A token in another header, behind another scheme, or another token: with the same care.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::HeaderMap;
use reqwest::Client;
use reqwest_bearer::{
    BearerTokenMiddleware, BearerTokenMiddlewareBuilder, ConstantToken, Error, ErrorKind,
    NamedClient, NamedClientBuilder, RefreshTokenGrant, TestClock, TokenEndpoint, TokenSet,
    TokenSource, same_origin_http_client,
};
use serde_json::json;

use crate::raw_server::RawServer;
use crate::support::api::{Api, refusal};
use crate::support::authorization_server::{Answer, AuthorizationServer};
use crate::support::http_server::Reply;
use crate::support::{landed, soon, until};

const SHOPIFY: &str = "x-shopify-access-token";

fn fine() -> Reply {
    Reply::new(200).body("fine")
}

fn values<'seen>(headers: &'seen HeaderMap, name: &str) -> Vec<&'seen str> {
    let values = headers.get_all(name).iter();
    values.map(|value| value.to_str().unwrap()).collect()
}

/// An API that takes everything, and the headers of the one request that a client made of it.
async fn sent(set: impl FnOnce(NamedClientBuilder) -> NamedClientBuilder) -> HeaderMap {
    let api = Api::that_takes(|_| false).await;
    api.always(fine());
    let token = ConstantToken::new("t-1").unwrap();
    let client = set(NamedClient::builder("api", api.url(), token));
    let answer = client.build().unwrap().get("x").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    api.seen().remove(0).headers
}

#[tokio::test]
async fn a_token_goes_in_the_header_and_behind_the_scheme_that_the_api_wants() {
    // K27
    for (headers, name, expected) in [
        (sent(|client| client).await, "authorization", "Bearer t-1"),
        (sent(|client| client.header(SHOPIFY)).await, SHOPIFY, "t-1"),
        (
            sent(|client| client.header("X-Access").scheme("Bearer")).await,
            "x-access",
            "Bearer t-1",
        ),
        (
            sent(|client| client.scheme("Zoho-oauthtoken")).await,
            "authorization",
            "Zoho-oauthtoken t-1",
        ),
        (
            sent(|client| client.header("Authorization").scheme("OAuth")).await,
            "authorization",
            "OAuth t-1",
        ),
        (
            sent(NamedClientBuilder::without_scheme).await,
            "authorization",
            "t-1",
        ),
    ] {
        assert_eq!(values(&headers, name), [expected]);
        let elsewhere = headers.iter().filter(|(known, _)| *known != name);
        let tokens = elsewhere.filter(|(_, value)| value.to_str().unwrap().contains("t-1"));
        assert_eq!(tokens.count(), 0, "{name}");
    }
}

#[tokio::test]
async fn a_refused_token_in_another_header_is_healed_as_any_is() {
    // K27, C1
    let server = AuthorizationServer::start().await;
    let api = Api::that_takes(|_| false).await;
    api.then(refusal()).always(fine());
    let client = NamedClient::builder("api", api.url(), server.client_credentials())
        .header(SHOPIFY)
        .build()
        .unwrap();
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    let seen = api.seen();
    let tokens = seen.iter().flat_map(|seen| values(&seen.headers, SHOPIFY));
    let tokens: Vec<_> = tokens.collect();
    assert_eq!(tokens, ["access-1", "access-2", "access-2"]);
}

#[tokio::test]
async fn a_caller_s_own_header_of_that_name_wins_and_an_authorization_is_another_matter() {
    // K27, D4
    let server = AuthorizationServer::start().await;
    let api = Api::that_takes(|_| false).await;
    api.always(refusal());
    let client = NamedClient::builder("api", api.url(), server.client_credentials())
        .header(SHOPIFY)
        .build()
        .unwrap();
    let own = client.get("x").header(SHOPIFY, "own").send().await.unwrap();
    assert_eq!((own.status().as_u16(), server.token_requests()), (401, 0));
    assert_eq!(values(&api.seen()[0].headers, SHOPIFY), ["own"]);
    api.always(fine());
    let both = client.get("x").basic_auth("me", Some("pw"));
    both.send().await.unwrap();
    let headers = &api.seen()[1].headers;
    assert_eq!(values(headers, SHOPIFY), ["access-1"]);
    assert_eq!(values(headers, "authorization"), ["Basic bWU6cHc="]);
}

#[tokio::test]
async fn a_token_in_another_header_is_marked_as_sensitive() {
    // K27, D6
    struct Looks;

    #[async_trait::async_trait]
    impl reqwest_middleware::Middleware for Looks {
        async fn handle(
            &self,
            request: reqwest::Request,
            extensions: &mut http::Extensions,
            next: reqwest_middleware::Next<'_>,
        ) -> reqwest_middleware::Result<reqwest::Response> {
            assert!(!format!("{request:?}").contains("t-1"));
            assert!(request.headers()[SHOPIFY].is_sensitive());
            next.run(request, extensions).await
        }
    }
    let headers = sent(|client| client.header(SHOPIFY).after(Looks)).await;
    assert_eq!(values(&headers, SHOPIFY), ["t-1"]);
}

/// A -> B, two ports of one machine: the status of a call, and which requests brought the token.
async fn across(set: impl FnOnce(NamedClientBuilder) -> NamedClientBuilder) -> (u16, Vec<bool>) {
    let server = RawServer::default();
    let a = server.listen("127.0.0.1:0").await.unwrap();
    let b = server.listen("127.0.0.1:0").await.unwrap();
    server.redirect(format!("http://{a}/0"), format!("http://{a}/1"));
    server.redirect(format!("http://{a}/1"), format!("http://{b}/1"));
    let token = ConstantToken::new("canary").unwrap();
    let client = NamedClient::builder("api", format!("http://{a}"), token).header(SHOPIFY);
    let answer = set(client).build().unwrap().get("0").send().await.unwrap();
    let seen = server.seen();
    let tokens = seen.iter().map(|seen| seen.text.contains("canary"));
    (answer.status().as_u16(), tokens.collect())
}

#[tokio::test]
async fn no_redirect_takes_a_token_in_another_header_to_another_origin() {
    // K27, D3
    let stays = (302, vec![true, true]);
    assert_eq!(across(|client| client).await, stays);
    let lenient = || Client::builder().redirect(reqwest::redirect::Policy::limited(5));
    assert_eq!(across(|client| client.http(lenient())).await, stays);
    // The control: of a ready-made client they are its owner's care, as the name says.
    let owned = across(|client| client.client_with_own_redirects(Client::new())).await;
    assert_eq!(owned, (200, vec![true, true, true]));
}

fn middleware() -> BearerTokenMiddlewareBuilder {
    let token = ConstantToken::new("canary").unwrap();
    BearerTokenMiddleware::builder(token).origin("https://api.test")
}

#[test]
fn a_middleware_with_another_header_says_over_which_client_it_is() {
    // K27, D3
    let error = middleware().header(SHOPIFY).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    let message = error.to_string();
    assert!(
        message.contains(SHOPIFY) && message.contains("`over`"),
        "{message}"
    );
    let safe = same_origin_http_client(Client::builder()).unwrap();
    assert!(middleware().header(SHOPIFY).over(&safe).build().is_ok());
    let own = middleware()
        .header(SHOPIFY)
        .over_client_with_own_redirects();
    assert!(own.build().is_ok());
    for usual in ["Authorization", "authorization"] {
        assert!(middleware().header(usual).scheme("token").build().is_ok());
    }
}

#[test]
fn a_header_or_a_scheme_that_cannot_carry_a_token_is_named() {
    // K27
    let header = |name: &str| {
        let named = NamedClient::builder("a", "https://a.b", ConstantToken::new("t").unwrap());
        let named = named.header(name).build().unwrap_err();
        let own = middleware().header(name).over_client_with_own_redirects();
        assert_eq!(own.build().unwrap_err().to_string(), named.to_string());
        named
    };
    for (name, said) in [
        ("", "no header name"),
        ("X Token", "no header name"),
        ("X-Tok\u{e9}n", "no header name"),
        ("X-Token\r\nY", "no header name"),
        (
            "Connection",
            "`connection`, which belongs to one connection",
        ),
        ("TE", "`te`, which belongs to one connection"),
        ("Proxy-Authorization", "`proxy-authorization`"),
        ("Transfer-Encoding", "`transfer-encoding`"),
        ("Host", "`host`, which says how"),
        ("Content-Length", "`content-length`"),
        ("Content-Type", "`content-type`"),
        ("Cookie", "`cookie`, which has a meaning of its own"),
        ("Referer", "`referer`"),
        ("Accept-Encoding", "`accept-encoding`"),
        ("X-Forwarded-For", "`x-forwarded-for`"),
    ] {
        let error = header(name);
        assert_eq!(error.kind(), ErrorKind::Settings, "{name}");
        assert!(error.to_string().contains(said), "{error}");
    }
    for scheme in ["", "two words", "a:b", "\u{e9}", "x\n"] {
        let error = middleware().scheme(scheme).build().unwrap_err();
        assert!(error.to_string().contains("`scheme`"), "{error}");
    }
    let both = middleware().scheme("token").without_scheme();
    assert!(
        both.build()
            .unwrap_err()
            .to_string()
            .contains("`without_scheme`")
    );
}

fn id_token(number: u32, expires_at: SystemTime) -> String {
    let exp = expires_at.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let claims = json!({ "sub": "alice", "n": number, "exp": exp.as_secs() });
    format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// A server whose access tokens live for an hour, and whose id tokens end when they end.
async fn kubernetes(
    clock: &TestClock,
    follows: bool,
    ends: [SystemTime; 2],
) -> (AuthorizationServer, Api, NamedClient) {
    let server = AuthorizationServer::start().await;
    for (number, end) in (1..).zip(ends) {
        let date = httpdate::fmt_http_date(clock.system_time());
        let members = json!({
            "access_token": format!("a-{number}"), "expires_in": 3600,
            "id_token": id_token(number, end),
        });
        server.then(Answer::Reply(
            Reply::new(200).header("date", date).json(&members),
        ));
    }
    let api = Api::that_takes(|_| false).await;
    api.always(fine());
    let client = reqwest_bearer::ClientAuthentication::none("me");
    let endpoint = TokenEndpoint::builder(client)
        .token_url(server.token_url())
        .clock(clock);
    let endpoint = if follows {
        endpoint.expires_with_id_token()
    } else {
        endpoint
    };
    let grant = RefreshTokenGrant::from_token_set(
        endpoint.build().unwrap(),
        TokenSet::from_refresh_token("r"),
    );
    let source = TokenSource::builder(grant).clock(clock).build().unwrap();
    let client = NamedClient::builder("api", api.url(), source).id_token();
    (server, api, client.build().unwrap())
}

#[tokio::test]
async fn an_id_token_is_sent_in_place_of_the_access_token_and_replaced_before_its_own_end() {
    // K27
    let clock = TestClock::new();
    let now = clock.system_time();
    let (ten, hour) = (Duration::from_secs(600), Duration::from_secs(3600));
    let (server, api, client) = kubernetes(&clock, true, [now + ten, now + hour]).await;
    client.get("x").send().await.unwrap();
    // A minute is left of the first one, and most of an hour of the access token beside it.
    clock.advance(ten - Duration::from_secs(60));
    client.get("x").send().await.unwrap();
    until(async || server.token_requests() == 2).await;
    landed(&client.source()).await;
    client.get("x").send().await.unwrap();
    let sent: Vec<_> = api.tokens();
    let (first, second) = (id_token(1, now + ten), id_token(2, now + hour));
    assert_eq!(sent, [first.clone(), first, second]);
}

#[tokio::test]
async fn an_id_token_that_has_expired_is_an_error_and_is_not_sent() {
    // K27
    let clock = TestClock::new();
    let ends = clock.system_time() + Duration::from_secs(60);
    let (_server, api, client) = kubernetes(&clock, false, [ends, ends]).await;
    client.get("x").send().await.unwrap();
    clock.advance(Duration::from_secs(59));
    client.get("x").send().await.unwrap();
    clock.advance(Duration::from_secs(1));
    let error = client.get("x").send().await.unwrap_err();
    let error = Error::find_in(&error).unwrap();
    assert!(
        error.to_string().contains("`expires_with_id_token`"),
        "{error}"
    );
    assert_eq!(api.seen().len(), 2);
}

#[tokio::test]
async fn without_an_id_token_nothing_is_sent_and_the_scope_is_named() {
    // K27
    let api = Api::that_takes(|_| false).await;
    let token = ConstantToken::new("t").unwrap();
    let client = NamedClient::builder("api", api.url(), token).id_token();
    let sending = client.build().unwrap().get("x").send();
    let error = soon(sending).await.unwrap_err();
    let error = Error::find_in(&error).unwrap();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(error.to_string().contains("`openid`"), "{error}");
    assert!(api.seen().is_empty());
}
