//! Token requests, and the calls that wait for them.

use reqwest_bearer::{NamedClient, TestClock, TokenSource};

use crate::support::api::{Api, refusal};
use crate::support::authorization_server::AuthorizationServer;
use crate::support::issuer::{Issuer, failure};
use crate::support::{landed, soon};
use crate::{REFRESH_FAILED, REFUSED, TOKEN_REQUEST, TOKEN_WAIT, advance, measured, waiting};

const WITHOUT_CLIENT: &str = r#"client="", outcome="ok", source="scripted""#;

#[tokio::test]
async fn a_token_request_and_the_calls_that_wait_for_it_are_measured() {
    // J1
    measured(async |recorder| {
        let (clock, issuer) = (TestClock::new(), Issuer::new());
        let source = issuer.source(&clock);
        issuer.hold();
        let first = waiting(&source).await;
        issuer.until_requests(1).await;
        advance(&clock, 0.25);
        let second = waiting(&source).await;
        advance(&clock, 0.5);
        issuer.release();
        assert!(soon(first).await.unwrap() && soon(second).await.unwrap());
        let request = r#"grant="scripted", outcome="ok", reason="none", source="scripted""#;
        assert_eq!(recorder.values(TOKEN_REQUEST, request), [0.75]);
        let mut waits = recorder.values(TOKEN_WAIT, WITHOUT_CLIENT);
        waits.sort_by(f64::total_cmp);
        assert_eq!(waits, [0.5, 0.75]);
        // Ahead of its expiry, nobody waits.
        advance(&clock, 500.0);
        assert!(source.token().await.is_ok());
        landed(&source).await;
        let request = r#"grant="scripted", outcome="ok", reason="soft", source="scripted""#;
        assert_eq!(recorder.values(TOKEN_REQUEST, request), [0.0]);
        assert_eq!(recorder.values(TOKEN_WAIT, WITHOUT_CLIENT).len(), 2);
        assert!(recorder.shown(REFRESH_FAILED).is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_refresh_that_fails_is_counted_once_for_all_its_callers() {
    // J1
    measured(async |recorder| {
        let (clock, issuer) = (TestClock::new(), Issuer::new());
        let source = issuer.source(&clock);
        issuer.always(failure()).hold();
        let (first, second) = (waiting(&source).await, waiting(&source).await);
        issuer.until_requests(1).await;
        advance(&clock, 1.5);
        issuer.release();
        assert!(!soon(first).await.unwrap() && !soon(second).await.unwrap());
        let failed = r#"grant="scripted", outcome="protocol", reason="none", source="scripted""#;
        assert_eq!(recorder.values(TOKEN_REQUEST, failed), [1.5]);
        assert_eq!(recorder.sum(REFRESH_FAILED, failed), 1.0);
        let waits = r#"client="", outcome="protocol", source="scripted""#;
        assert_eq!(recorder.values(TOKEN_WAIT, waits), [1.5, 1.5]);
        // A failure that is known already is nobody's wait, and no refresh.
        assert!(source.token().await.is_err());
        assert_eq!(recorder.values(TOKEN_WAIT, waits).len(), 2);
        assert_eq!(recorder.sum(REFRESH_FAILED, failed), 1.0);
    })
    .await;
}

#[tokio::test]
async fn a_call_that_gives_up_is_measured_too() {
    // J1: or the longest waits would be those that nobody sees.
    measured(async |recorder| {
        let (clock, issuer) = (TestClock::new(), Issuer::new());
        let source = issuer.source(&clock);
        issuer.hold();
        let call = waiting(&source).await;
        issuer.until_requests(1).await;
        advance(&clock, 3.0);
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        let waits = r#"client="", outcome="abandoned", source="scripted""#;
        assert_eq!(recorder.values(TOKEN_WAIT, waits), [3.0]);
        // And one whose own patience ends: the flight goes on.
        let call = waiting(&source).await;
        advance(&clock, 30.0);
        assert!(!soon(call).await.unwrap());
        let waits = r#"client="", outcome="timeout", source="scripted""#;
        assert_eq!(recorder.values(TOKEN_WAIT, waits), [30.0]);
    })
    .await;
}

#[tokio::test]
async fn what_a_named_client_waits_for_and_is_refused_has_its_name() {
    // J1
    measured(async |recorder| {
        let server = AuthorizationServer::start().await;
        let api = Api::start(&server).await;
        let source = TokenSource::builder(server.client_credentials()).name("erp");
        let source = source.build().unwrap();
        let orders = NamedClient::new("orders", api.url(), &source).unwrap();
        let send = async || soon(orders.get("orders/42").send()).await.unwrap().status();
        assert_eq!(send().await, 200);
        let of_orders = r#"client="orders", outcome="ok", source="erp""#;
        assert_eq!(recorder.values(TOKEN_WAIT, of_orders).len(), 1);
        let refused = r#"client="orders", source="erp""#;
        assert_eq!(recorder.sum(REFUSED, refused), 0.0);
        api.then(refusal());
        assert_eq!(send().await, 200);
        assert_eq!(recorder.sum(REFUSED, refused), 1.0);
        // For the second token.
        assert_eq!(recorder.values(TOKEN_WAIT, of_orders).len(), 2);
        let requests = recorder.shown(TOKEN_REQUEST);
        assert_eq!(
            requests,
            ["none", "refusal"].map(|reason| format!(
                r#"grant="client_credentials", outcome="ok", reason="{reason}", source="erp""#
            ))
        );
        // By hand, through the same source, there is no client.
        let token = source.token().await.unwrap();
        source.invalidate(&token);
        assert_eq!(recorder.sum(REFUSED, r#"client="", source="erp""#), 1.0);
    })
    .await;
}

#[tokio::test]
async fn a_warm_call_touches_no_metric() {
    // J1, G1
    measured(async |recorder| {
        let server = AuthorizationServer::start().await;
        let api = Api::start(&server).await;
        let orders = api.client(server.client_credentials());
        let send = async || soon(orders.get("orders/42").send()).await.unwrap().status();
        assert_eq!(send().await, 200);
        let touches = recorder.touches();
        assert!(touches > 0, "the first call has waited");
        for _ in 0..100 {
            assert_eq!(send().await, 200);
        }
        assert_eq!(recorder.touches(), touches);
    })
    .await;
}
