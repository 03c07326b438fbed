//! J1: middleware below knows a resend from a first sending.

use std::time::Duration;

use reqwest_bearer::NamedClient;
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;

use crate::Parts;
use crate::support::api::refusal;
use crate::support::http_server::Reply;
use crate::support::sendings::Sendings;

#[tokio::test]
async fn a_request_that_is_sent_again_says_so_to_the_middleware_below() {
    // J1
    let parts = Parts::new().await;
    let sendings = Sendings::default();
    let client = NamedClient::builder("api", parts.api.url(), &parts.source)
        .after(sendings.clone())
        .build()
        .unwrap();
    // The first call waits for its token, the second one finds it.
    for _ in 0..2 {
        parts.api.then(refusal());
        assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    }
    assert_eq!(sendings.counts(), [None, Some(1), None, Some(1)]);
}

#[tokio::test]
async fn what_is_retried_above_begins_anew_and_nothing_is_left_behind() {
    // J1, C12
    let parts = Parts::new().await;
    let (above, below) = (Sendings::default(), Sendings::default());
    let policy = ExponentialBackoff::builder()
        .retry_bounds(Duration::ZERO, Duration::ZERO)
        .build_with_max_retries(1);
    let client = NamedClient::builder("api", parts.api.url(), &parts.source)
        .before(RetryTransientMiddleware::new_with_policy(policy))
        .before(above.clone())
        .after(below.clone())
        .build()
        .unwrap();
    parts.api.then(refusal()).then(Reply::new(503));
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    assert_eq!(below.counts(), [None, Some(1), None]);
    assert_eq!(above.counts(), [None, None]);
}
