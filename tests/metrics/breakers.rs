//! Breakers that are open.

use std::time::Duration;

use reqwest_bearer::{ClientCredentials, TestClock, TokenEndpoint, TokenSource};

use crate::support::authorization_server::{Answer, AuthorizationServer};
use crate::support::http_server::Reply;
use crate::support::recorder::Recorder;
use crate::support::{time_passes, until};
use crate::{BREAKERS_OPEN, TOKEN_REQUEST, advance, measured};

/// One source of those that share a server.
fn source(endpoint: &TokenEndpoint, name: &str, clock: &TestClock) -> TokenSource {
    let grant = ClientCredentials::new(endpoint.clone()).scope(name);
    let source = TokenSource::builder(grant).name(name).clock(clock);
    source.jitter(0.0).build().unwrap()
}

/// What becomes of a call whose attempts may fail: time passes between them only, since a socket is at work in
/// each.
async fn succeeds(source: TokenSource, clock: &TestClock, recorder: &Recorder) -> bool {
    let call = tokio::spawn(async move { source.token().await.is_ok() });
    let attempts = || {
        let shown = recorder.shown(TOKEN_REQUEST);
        let values = shown
            .iter()
            .map(|labels| recorder.values(TOKEN_REQUEST, labels));
        values.map(|values| values.len()).sum::<usize>()
    };
    let mut ended = attempts();
    while !call.is_finished() {
        ended += 1;
        until(async || attempts() >= ended || call.is_finished()).await;
        // The pauses are 0.16 s and 0.32 s.
        time_passes(clock, Duration::from_millis(400)).await;
    }
    call.await.unwrap()
}

/// Three sources fail one after the other: the third one's failure opens the breaker.
async fn open(endpoint: &TokenEndpoint, clock: &TestClock, recorder: &Recorder) {
    for name in ["first", "second", "third"] {
        assert!(recorder.shown(BREAKERS_OPEN).is_empty(), "before {name}");
        assert!(!succeeds(source(endpoint, name, clock), clock, recorder).await);
    }
}

fn of_third(scope: &str) -> String {
    format!(r#"scope="{scope}", source="third""#)
}

#[tokio::test]
async fn a_breaker_counts_for_the_source_that_opened_it_whichever_closes_it() {
    // J1, A8
    for (answer, scope) in [
        (Answer::Lost, "server"),
        (Answer::Reply(Reply::new(500)), "client"),
    ] {
        measured(async |recorder| {
            let (clock, server) = (TestClock::new(), AuthorizationServer::start().await);
            let endpoint = server.endpoint();
            server.always(answer);
            open(&endpoint, &clock, &recorder).await;
            assert_eq!(recorder.values(BREAKERS_OPEN, &of_third(scope)), [1.0]);
            // One that fails while it is open changes nothing.
            advance(&clock, 2.0);
            let fourth = source(&endpoint, "fourth", &clock);
            assert!(!succeeds(fourth, &clock, &recorder).await);
            assert_eq!(recorder.values(BREAKERS_OPEN, &of_third(scope)), [1.0]);
            server.mend();
            advance(&clock, 60.0);
            let fifth = source(&endpoint, "fifth", &clock);
            assert!(succeeds(fifth, &clock, &recorder).await);
            assert_eq!(
                recorder.values(BREAKERS_OPEN, &of_third(scope)),
                [1.0, -1.0]
            );
            assert_eq!(recorder.shown(BREAKERS_OPEN).len(), 1);
        })
        .await;
    }
}

#[tokio::test]
async fn a_breaker_that_is_gone_is_not_open_any_more() {
    // J1: a tenant's server that is down, and whose tenant leaves.
    measured(async |recorder| {
        let (clock, server) = (TestClock::new(), AuthorizationServer::start().await);
        let endpoint = server.endpoint();
        server.always(Answer::Lost);
        open(&endpoint, &clock, &recorder).await;
        assert_eq!(recorder.sum(BREAKERS_OPEN, &of_third("server")), 1.0);
        drop(endpoint);
        assert_eq!(recorder.sum(BREAKERS_OPEN, &of_third("server")), 0.0);
    })
    .await;
}
