//! Workload identity: the token that is exchanged is the program's own, in a file.

use reqwest_bearer::{ErrorKind, NamedClient, SecretSource, SubjectToken, TestClock, TokenSource};
use std::time::Duration;

use crate::server::{EXCHANGE, Exchange, api, assert_kind, ending, refusal};
use crate::support::while_time_passes;

fn scratch(name: &str) -> std::path::PathBuf {
    let name = format!("reqwest-bearer-exchange-{}-{name}", std::process::id());
    std::env::temp_dir().join(name)
}

#[tokio::test]
async fn a_file_is_read_for_each_exchange_and_its_token_bounds_what_it_is_exchanged_for() {
    // I2, I1
    let clock = TestClock::new();
    let (server, api) = (Exchange::start().await, api().await);
    let path = scratch("workload");
    let one = ending("pod", &clock, 100);
    std::fs::write(&path, format!("{one}\n")).unwrap();
    let exchange = reqwest_bearer::TokenExchange::new(server.endpoint_by(&clock))
        .audience("sts")
        .subject_token(SecretSource::file(&path))
        .subject_token_type(SubjectToken::JWT);
    let source = TokenSource::builder(exchange)
        .clock(&clock)
        .build()
        .unwrap();
    let buckets = NamedClient::new("buckets", api.url(), &source).unwrap();
    buckets.get("x").send().await.unwrap();
    clock.advance(Duration::from_secs(100));
    // An old token in the file is not sent; it may be replaced at any moment.
    let error = while_time_passes(&clock, source.token()).await.unwrap_err();
    assert_kind(&error, ErrorKind::Unavailable);
    assert!(error.is_transient());
    assert_eq!(server.count(), 1);
    let two = ending("pod", &clock, 1_000);
    std::fs::write(&path, &two).unwrap();
    clock.advance(Duration::from_secs(5));
    buckets.get("x").send().await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let requests = server.requests();
    let subjects = requests
        .iter()
        .map(|seen| seen.field("subject_token").unwrap());
    assert_eq!(subjects.collect::<Vec<_>>(), [one, two]);
    assert_eq!(requests[0].field("grant_type").as_deref(), Some(EXCHANGE));
    let kind = requests[0].field("subject_token_type");
    assert_eq!(kind.as_deref(), Some(SubjectToken::JWT));
}

#[tokio::test]
async fn a_workload_that_is_refused_has_wrong_settings_and_no_user_to_ask() {
    // I2, E8
    let server = Exchange::start().await;
    let source = TokenSource::builder(server.grant().subject_token("own"))
        .build()
        .unwrap();
    server.then(refusal("invalid_grant"));
    let error = source.token().await.unwrap_err();
    assert_kind(&error, ErrorKind::Rejected);
}
