//! D1, D2: a middleware is bound to origins, and a token does not travel where it can be read.

use std::net::SocketAddr;

use reqwest::Client;
use reqwest_bearer::{
    BearerTokenMiddleware, ConstantToken, ErrorKind, NamedClient, TokenOptions, TokenSource,
};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};

use crate::raw_server::RawServer;
use crate::refusal_of;
use crate::support::api::Api;
use crate::support::authorization_server::AuthorizationServer;

struct Parts {
    server: AuthorizationServer,
    api: Api,
    foreign: Api,
    source: TokenSource,
}

impl Parts {
    async fn new() -> Self {
        let server = AuthorizationServer::start().await;
        let api = Api::start(&server).await;
        let foreign = Api::start(&server).await;
        let source = TokenSource::from(server.client_credentials());
        Self {
            server,
            api,
            foreign,
            source,
        }
    }

    fn foreign_url(&self) -> String {
        format!("{}/x", self.foreign.url())
    }
}

fn client(middleware: BearerTokenMiddleware) -> ClientWithMiddleware {
    let http = reqwest_bearer::http_client(Client::builder()).unwrap();
    ClientBuilder::new(http.into()).with(middleware).build()
}

#[tokio::test]
async fn a_request_to_another_origin_is_refused_before_anything_is_sent() {
    // D1: by a named client, and by the middleware alone.
    let parts = Parts::new().await;
    let bound = BearerTokenMiddleware::for_origin(parts.api.url(), &parts.source).unwrap();
    let named = parts.api.client(&parts.source);
    let same_machine = parts.api.url().replace("127.0.0.1", "localhost");
    for url in [parts.foreign_url(), same_machine] {
        for request in [named.get(&url), client(bound.clone()).get(&url)] {
            assert_eq!(
                refusal_of(request).await,
                ErrorKind::OriginNotAllowed,
                "{url}"
            );
        }
    }
    assert_eq!(parts.foreign.connections(), 0);
    assert_eq!(parts.api.connections(), 0);
    assert_eq!(parts.server.token_requests(), 0);
}

#[tokio::test]
async fn the_error_names_the_origin_and_those_that_are_allowed() {
    // D1
    let parts = Parts::new().await;
    let request = parts
        .api
        .client(&parts.source)
        .get("https://evil.test/a?b=c");
    let message = request.send().await.unwrap_err().to_string();
    assert!(message.contains("https://evil.test,"), "{message}");
    assert!(message.contains(parts.api.url()), "{message}");
    assert!(!message.contains("b=c"), "{message}");
}

#[tokio::test]
async fn an_origin_that_was_added_gets_the_token() {
    // D1
    let parts = Parts::new().await;
    let named = NamedClient::builder("api", parts.api.url(), &parts.source)
        .origin(parts.foreign.url())
        .build()
        .unwrap();
    let bound = BearerTokenMiddleware::builder(&parts.source)
        .origin(parts.api.url())
        .origin(parts.foreign.url())
        .build()
        .unwrap();
    let url = parts.foreign_url();
    for request in [named.get(&url), client(bound).get(&url)] {
        assert_eq!(request.send().await.unwrap().status(), 200);
    }
    assert_eq!(parts.foreign.tokens(), ["access-1", "access-1"]);
}

#[tokio::test]
async fn elsewhere_without_a_token_is_sent_without_one_and_refreshes_nothing() {
    // D1
    let parts = Parts::new().await;
    let named = NamedClient::builder("api", parts.api.url(), &parts.source)
        .other_origins_without_token()
        .build()
        .unwrap();
    let bound = BearerTokenMiddleware::builder(&parts.source)
        .origin(parts.api.url())
        .other_origins_without_token()
        .build()
        .unwrap();
    let url = parts.foreign_url();
    for (sent, request) in [named.get(&url), client(bound).get(&url)]
        .into_iter()
        .enumerate()
    {
        assert_eq!(request.send().await.unwrap().status(), 401);
        let seen = parts.foreign.seen();
        assert_eq!(seen.len(), sent + 1);
        assert!(!seen[sent].headers.contains_key("authorization"));
    }
    assert_eq!(parts.server.token_requests(), 0);
    assert_eq!(named.get("x").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn any_origin_gets_the_token_by_name_only() {
    // D1
    let parts = Parts::new().await;
    let any = BearerTokenMiddleware::for_any_origin(&parts.source);
    let by_builder = BearerTokenMiddleware::builder(&parts.source)
        .any_origin()
        .build()
        .unwrap();
    for middleware in [any, by_builder] {
        for api in [&parts.api, &parts.foreign] {
            let request = client(middleware.clone()).get(api.url());
            assert_eq!(request.send().await.unwrap().status(), 200);
            assert_eq!(api.tokens().pop().unwrap(), "access-1");
        }
    }
    let unbound = BearerTokenMiddleware::builder(&parts.source).build();
    assert_eq!(unbound.unwrap_err().kind(), ErrorKind::Settings);
}

#[tokio::test]
async fn an_anonymous_request_goes_anywhere_without_a_token() {
    // D1
    let parts = Parts::new().await;
    let named = parts.api.client(&parts.source);
    for url in [parts.foreign_url(), "x".to_owned()] {
        let request = named.get(url).with_extension(TokenOptions::anonymous());
        assert_eq!(request.send().await.unwrap().status(), 401);
    }
    for seen in [parts.foreign.seen(), parts.api.seen()] {
        assert_eq!(seen.len(), 1);
        assert!(!seen[0].headers.contains_key("authorization"));
    }
    assert_eq!(parts.server.token_requests(), 0);
}

/// A server that a client finds under a name that is not loopback's.
async fn named_server() -> (RawServer, String, reqwest::ClientBuilder) {
    let server = RawServer::default();
    let address = server.listen("127.0.0.1:0").await.unwrap();
    let here = SocketAddr::from(([127, 0, 0, 1], 0));
    let http = Client::builder().no_proxy().resolve("api.test", here);
    (server, format!("http://api.test:{}", address.port()), http)
}

#[tokio::test]
async fn a_token_travels_by_plain_http_only_if_that_is_allowed_by_name() {
    // D2
    let (server, url, http) = named_server().await;
    let http = reqwest_bearer::http_client(http).unwrap();
    let any = |insecure: bool| {
        let builder =
            BearerTokenMiddleware::builder(ConstantToken::new("abc").unwrap()).any_origin();
        let builder = if insecure {
            builder.allow_insecure_http()
        } else {
            builder
        };
        ClientBuilder::new(http.clone().into())
            .with(builder.build().unwrap())
            .build()
    };
    assert_eq!(
        refusal_of(any(false).get(&url)).await,
        ErrorKind::OriginNotAllowed
    );
    assert_eq!(
        refusal_of(any(false).get("ftp://127.0.0.1/")).await,
        ErrorKind::OriginNotAllowed
    );
    assert!(server.seen().is_empty());
    assert_eq!(any(true).get(&url).send().await.unwrap().status(), 200);
    assert_eq!(server.seen()[0].header("authorization"), Some("Bearer abc"));
}

#[tokio::test]
async fn a_client_for_plain_http_is_made_only_if_that_is_allowed_by_name() {
    // D2
    let (server, url, http) = named_server().await;
    let source = TokenSource::from(ConstantToken::new("abc").unwrap());
    let error = NamedClient::new("api", &url, &source).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(error.to_string().contains("allow_insecure_http"), "{error}");
    let error = BearerTokenMiddleware::for_origin(&url, &source).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    // Nor as one of several.
    let several = NamedClient::builder("api", "https://api.test", &source).origin(&url);
    assert_eq!(several.build().unwrap_err().kind(), ErrorKind::Settings);

    let client = NamedClient::builder("api", &url, &source)
        .http(http)
        .allow_insecure_http()
        .build()
        .unwrap();
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    assert_eq!(server.seen()[0].header("authorization"), Some("Bearer abc"));
}
