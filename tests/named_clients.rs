//! Clients by name, as a program uses them: over real sockets, with other middleware around.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

mod support;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use http::Extensions;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Client, ClientBuilder, Method, Request, Response};
use reqwest_bearer::{
    Error, ErrorKind, GrantFn, NamedClient, NamedClients, TokenResponse, TokenSource,
};
use reqwest_middleware::{Middleware, Next};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;
use support::api::Api;
use support::authorization_server::AuthorizationServer;
use support::http_server::Reply;
use tokio::sync::watch;

async fn parts() -> (AuthorizationServer, Api) {
    let server = AuthorizationServer::start().await;
    let api = Api::start(&server).await;
    (server, api)
}

fn paths(api: &Api) -> Vec<String> {
    api.seen().into_iter().map(|seen| seen.path).collect()
}

/// Writes down its name and whether the request has a token, each time a request passes.
struct Scribe {
    name: &'static str,
    notes: Notes,
}

type Notes = Arc<Mutex<Vec<(&'static str, bool)>>>;

#[async_trait::async_trait]
impl Middleware for Scribe {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let has_token = request.headers().contains_key(AUTHORIZATION);
        self.notes.lock().unwrap().push((self.name, has_token));
        next.run(request, extensions).await
    }
}

#[tokio::test]
async fn paths_are_joined_to_the_base_url() {
    let (server, api) = parts().await;
    let source = TokenSource::from(server.client_credentials());
    for (base, path, requested) in [
        ("", "orders", "/orders"),
        ("", "/orders", "/orders"),
        ("", "", "/"),
        ("/v1", "orders", "/v1/orders"),
        ("/v1", "/orders", "/v1/orders"),
        ("/v1/", "orders", "/v1/orders"),
        ("/v1/", "/orders/", "/v1/orders/"),
        ("/v1", "", "/v1"),
        ("/v1", "?page=2", "/v1?page=2"),
        ("/v1", "orders/42?a=b/../c", "/v1/orders/42?a=b/../c"),
        ("/v1", "a/../b", "/v1/b"),
        ("/v1", "orders:search", "/v1/orders:search"),
        ("/v1", "orders#part", "/v1/orders"),
        ("/v1", "a b", "/v1/a%20b"),
    ] {
        let client = NamedClient::new("api", format!("{}{base}", api.url()), &source).unwrap();
        assert_eq!(client.get(path).send().await.unwrap().status(), 200);
        let last = paths(&api).pop().unwrap();
        assert_eq!(last, requested, "{base:?} and {path:?}");
    }
    // An absolute URL of the same origin is taken as it is, also outside the base path.
    let client = NamedClient::new("api", format!("{}/v1", api.url()), &source).unwrap();
    let absolute = format!("{}/v2/x", api.url());
    assert_eq!(client.get(absolute).send().await.unwrap().status(), 200);
    assert_eq!(paths(&api).pop().unwrap(), "/v2/x");
    assert!(api.tokens().iter().all(|token| token == "access-1"));
}

#[tokio::test]
async fn every_method_has_its_name() {
    let (server, api) = parts().await;
    let client = api.client(server.client_credentials());
    for (request, method) in [
        (client.get("x"), Method::GET),
        (client.post("x"), Method::POST),
        (client.put("x"), Method::PUT),
        (client.patch("x"), Method::PATCH),
        (client.delete("x"), Method::DELETE),
        (client.head("x"), Method::HEAD),
        (client.request(Method::OPTIONS, "x"), Method::OPTIONS),
    ] {
        assert_eq!(request.send().await.unwrap().status(), 200);
        assert_eq!(api.seen().pop().unwrap().method, method);
    }
}

#[tokio::test]
async fn a_path_that_would_leave_the_base_url_is_an_error_of_send_and_nothing_is_sent() {
    let (server, api) = parts().await;
    let base = format!("{}/v1", api.url());
    let client = NamedClient::new("api", base, server.client_credentials()).unwrap();
    for path in [
        "//evil",
        "//evil/x",
        "\\\\evil",
        "/\\evil",
        "..",
        "../v2",
        "a/../../v2",
        "%2e%2e/v2",
        "..%2fv2",
        "..;/v2",
        "file:///etc/passwd",
        "a\tb",
    ] {
        let error = client.get(path).send().await.unwrap_err();
        let own = Error::find_in(&error).unwrap();
        assert_eq!(own.kind(), ErrorKind::InvalidPath, "{path:?}");
        assert_eq!(client.url(path).unwrap_err().kind(), ErrorKind::InvalidPath);
    }
    assert_eq!(api.connections(), 0);
    assert_eq!(server.token_requests(), 0);
}

#[tokio::test]
async fn the_error_of_a_path_is_found_below_a_retry_middleware() {
    let (server, api) = parts().await;
    let policy = ExponentialBackoff::builder().build_with_max_retries(3);
    let client = NamedClient::builder("api", api.url(), server.client_credentials())
        .before(RetryTransientMiddleware::new_with_policy(policy))
        .build()
        .unwrap();
    let error = client.get("..").send().await.unwrap_err();
    assert_eq!(
        Error::find_in(&error).map(Error::kind),
        Some(ErrorKind::InvalidPath)
    );
}

#[tokio::test]
async fn two_clients_that_share_a_source_make_one_token_request() {
    let server = AuthorizationServer::start().await;
    let (orders, billing) = (Api::start(&server).await, Api::start(&server).await);
    let source = TokenSource::from(server.client_credentials());
    let apis = NamedClients::new([
        NamedClient::new("orders", orders.url(), &source).unwrap(),
        NamedClient::new("billing", billing.url(), &source).unwrap(),
    ])
    .unwrap();
    apis.warm_up().await.unwrap();
    for name in ["orders", "billing"] {
        let answer = apis.get(name).unwrap().get("x").send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    assert_eq!(server.token_requests(), 1);
    assert_eq!(orders.tokens(), ["access-1"]);
    assert_eq!(billing.tokens(), ["access-1"]);
}

#[tokio::test]
async fn names_are_given_once_and_an_unknown_one_is_answered_with_those_that_there_are() {
    let (server, api) = parts().await;
    let source = TokenSource::from(server.client_credentials());
    let named = |name: &str| NamedClient::new(name, api.url(), &source).unwrap();

    let error = NamedClients::new([named("orders"), named("orders")]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(error.to_string().contains("`orders`"), "{error}");

    let apis = NamedClients::new([named("orders"), named("billing")]).unwrap();
    assert_eq!(apis.names().collect::<Vec<_>>(), ["billing", "orders"]);
    let error = apis.get("order").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnknownName);
    let message = error.to_string();
    assert!(message.contains("`order`") && message.contains("billing, orders"));

    let error = NamedClients::default().get("orders").unwrap_err();
    assert!(error.to_string().contains("there are none"), "{error}");

    for (name, base) in [(" ", api.url()), ("x", "no url"), ("x", "http://h.test")] {
        let error = NamedClient::new(name, base, &source).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings, "{name:?} {base:?}");
    }
}

#[tokio::test]
async fn warming_up_finds_a_wrong_secret_and_shutting_down_ends_every_source() {
    let (server, api) = parts().await;
    let apis = NamedClients::new([api.client(server.client_credentials())]).unwrap();
    let wrong = Reply::new(401).json(&serde_json::json!({ "error": "invalid_client" }));
    server.then(support::authorization_server::Answer::Reply(wrong));
    assert_eq!(
        apis.warm_up().await.unwrap_err().kind(),
        ErrorKind::Rejected
    );
    apis.shutdown().await.unwrap();
    let source = apis.get("api").unwrap().source();
    let error = source
        .token_with(&reqwest_bearer::TokenOptions::new().scope("other"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ShutDown);
}

#[tokio::test]
async fn all_clients_are_warmed_up_at_once() {
    // B12
    let asked = Arc::new(watch::Sender::new(BTreeSet::new()));
    let client = |name: &'static str| {
        let asked = asked.clone();
        let grant = GrantFn::new(name, move |_| {
            let asked = asked.clone();
            async move {
                asked.send_modify(|names| _ = names.insert(name));
                // Answered when the other one is asked as well.
                let both = |names: &BTreeSet<_>| names.len() == 2;
                asked.subscribe().wait_for(both).await.unwrap();
                Ok(TokenResponse::bearer("token"))
            }
        });
        NamedClient::new(name, "https://api.test", grant).unwrap()
    };
    let apis = NamedClients::new([client("orders"), client("billing")]).unwrap();
    apis.warm_up().await.unwrap();
}

#[tokio::test]
async fn middleware_before_sees_a_call_once_and_middleware_after_sees_each_sending() {
    let (server, api) = parts().await;
    let notes = Notes::default();
    let scribe = |name| Scribe {
        name,
        notes: notes.clone(),
    };
    let client = NamedClient::builder("api", api.url(), server.client_credentials())
        .after(scribe("after 1"))
        .before(scribe("before 1"))
        .before(scribe("before 2"))
        .after(scribe("after 2"))
        .build()
        .unwrap();
    client.source().warm_up().await.unwrap();
    server.revoke_all();
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    assert_eq!(
        *notes.lock().unwrap(),
        [
            ("before 1", false),
            ("before 2", false),
            ("after 1", true),
            ("after 2", true),
            // The resend.
            ("after 1", true),
            ("after 2", true),
        ]
    );
}

#[tokio::test]
async fn the_client_inside_carries_the_token_and_joins_no_paths() {
    let (server, api) = parts().await;
    let client = api.client(server.client_credentials());
    let answer = client.inner().get(format!("{}/x", api.url())).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    assert_eq!(api.tokens(), ["access-1"]);
    assert!(client.inner().get("x").send().await.is_err());
}

/// A client of the user's own: headers that every request has, one of which is a credential.
fn own_settings() -> ClientBuilder {
    let mut headers = HeaderMap::new();
    headers.insert("x-tenant", HeaderValue::from_static("t-1"));
    headers.insert(AUTHORIZATION, HeaderValue::from_static("Basic own"));
    Client::builder()
        .default_headers(headers)
        .user_agent("orders/1.0")
}

#[tokio::test]
async fn the_settings_of_the_user_s_client_stay() {
    let (server, api) = parts().await;
    let builder = || NamedClient::builder("api", api.url(), server.client_credentials());
    for client in [
        builder().http(own_settings()),
        builder().client_with_own_redirects(own_settings().build().unwrap()),
    ] {
        let answer = client.build().unwrap().get("x").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let seen = api.seen().pop().unwrap();
        assert_eq!(seen.headers["x-tenant"], "t-1");
        assert_eq!(seen.headers[USER_AGENT], "orders/1.0");
        // reqwest adds its default headers last, and only where there is none.
        assert!(seen.token().is_some());
        assert_eq!(seen.headers.get_all(AUTHORIZATION).iter().count(), 1);
    }
}

#[tokio::test]
async fn a_client_that_reqwest_cannot_build_is_an_error_of_the_settings() {
    let (server, api) = parts().await;
    let error = NamedClient::builder("api", api.url(), server.client_credentials())
        .http(Client::builder().user_agent("\n"))
        .build()
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
}
