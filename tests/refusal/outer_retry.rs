//! C12: under an outer retry middleware each of its attempts starts clean.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_bearer::{Error, ErrorKind, NamedClient, TokenOptions};
use reqwest_middleware::{Middleware, Next};
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;

use crate::Parts;
use crate::support::api::refusal;
use crate::support::authorization_server::Answer;
use crate::support::http_server::Reply;

/// Writes down how much a request carries along, before and after it was sent.
#[derive(Clone, Default)]
struct Scales(Arc<Mutex<Vec<usize>>>);

#[async_trait::async_trait]
impl Middleware for Scales {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let before = extensions.len() + request.headers().len();
        let headers = request.headers().len();
        let answer = next.run(request, extensions).await;
        let after = extensions.len() + headers;
        self.0.lock().unwrap().extend([before, after]);
        answer
    }
}

/// A client that tries four times, at once, and weighs each attempt.
fn retrying(parts: &Parts, scales: &Scales) -> NamedClient {
    let policy = ExponentialBackoff::builder()
        .retry_bounds(Duration::ZERO, Duration::ZERO)
        .build_with_max_retries(3);
    NamedClient::builder("api", parts.api.url(), &parts.source)
        .before(RetryTransientMiddleware::new_with_policy(policy))
        .before(scales.clone())
        .build()
        .unwrap()
}

#[tokio::test]
async fn each_attempt_gets_a_fresh_token_and_a_resend_of_its_own() {
    // C12
    let parts = Parts::new().await;
    let scales = Scales::default();
    parts.api.then(refusal()).then(Reply::new(429));
    parts.api.then(refusal()).then(Reply::new(429));
    let client = retrying(&parts, &scales);
    let answer = client.get("x").send().await.unwrap();
    assert_eq!(answer.status(), 200);
    let tokens = ["access-1", "access-2", "access-2", "access-3", "access-3"];
    assert_eq!(parts.api.tokens(), tokens);
    assert_eq!(*scales.0.lock().unwrap(), [0; 6], "something stuck");
}

#[tokio::test]
async fn what_a_request_asked_for_stays_and_nothing_is_added() {
    // C12
    let parts = Parts::new().await;
    let scales = Scales::default();
    parts.api.then(Reply::new(503)).then(refusal());
    let client = retrying(&parts, &scales);
    let options = TokenOptions::new().scope("orders");
    let answer = client.get("x").with_extension(options).send().await;
    assert_eq!(answer.unwrap().status(), 200);
    for token in parts.api.tokens() {
        assert_eq!(parts.server.scope_of(&token).as_deref(), Some("orders"));
    }
    assert_eq!(*scales.0.lock().unwrap(), [1; 4]);
}

#[tokio::test]
async fn our_error_is_found_below_the_retry_middleware() {
    // C12
    let parts = Parts::new().await;
    let wrong = Reply::new(400).json(&serde_json::json!({ "error": "invalid_client" }));
    parts.server.always(Answer::Reply(wrong));
    let client = retrying(&parts, &Scales::default());
    let error = client.get("x").send().await.unwrap_err();
    let own = Error::find_in(&error).unwrap();
    assert_eq!(own.kind(), ErrorKind::Rejected);
    assert_eq!(own.oauth_code(), Some("invalid_client"));
    assert!(parts.api.seen().is_empty());
}
