//! H6 at the authorization server: nonces that it demands, rotates, repeats and makes up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, ErrorKind, Secret, SecretSource, TokenEndpoint,
    TokenKind, TokenOptions, TokenSource,
};
use serde_json::json;

use crate::server::{Servers, bad_nonces};
use crate::support::http_server::Reply;
use crate::support::{soon, time_passes};

fn nonces(texts: &[&str]) -> Vec<Option<String>> {
    let texts = texts
        .iter()
        .map(|text| (!text.is_empty()).then(|| (*text).to_owned()));
    texts.collect()
}

#[tokio::test]
async fn a_nonce_that_is_wanted_repeats_the_attempt_once_with_the_same_refresh_token() {
    // H6
    for status in [400, 401] {
        let servers = Servers::start().await;
        servers
            .issuer
            .demand("n-1")
            .door(|door| door.nonce_status = status);
        let source = servers.refreshing();
        let first = source.token().await.unwrap();
        assert_eq!(servers.issuer.nonces(), nonces(&["", "n-1"]));
        let seen = servers.issuer.seen();
        let spent = seen.iter().map(|seen| seen.field("refresh_token").unwrap());
        assert_eq!(spent.collect::<Vec<_>>(), ["refresh-0", "refresh-0"]);
        // From now on it is known.
        source.invalidate(&first);
        source.token().await.unwrap();
        assert_eq!(servers.issuer.nonces(), nonces(&["", "n-1", "n-1"]));
        servers.assert_no_faults();
        assert_eq!(servers.reuses(), 0);
    }
}

#[tokio::test]
async fn the_repetition_has_a_client_assertion_of_its_own() {
    // H6, E4
    let servers = Servers::start().await;
    servers.issuer.demand("n-1");
    let number = Arc::new(AtomicUsize::new(0));
    let assertion = SecretSource::from_fn(move || {
        let number = number.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, std::io::Error>(Secret::new(format!("assertion-{number}"))) }
    });
    let client = ClientAuthentication::client_assertion("client", assertion);
    let grant = ClientCredentials::new(servers.endpoint_of(client).build().unwrap());
    let source = TokenSource::builder(grant)
        .clock(&servers.clock)
        .dpop(&servers.key);
    source.build().unwrap().token().await.unwrap();
    let seen = servers.issuer.seen();
    let assertions = seen
        .iter()
        .map(|seen| seen.field("client_assertion").unwrap());
    assert_eq!(
        assertions.collect::<Vec<_>>(),
        ["assertion-0", "assertion-1"]
    );
}

#[tokio::test]
async fn each_answer_teaches_the_nonce_of_the_next_request() {
    // H6: a 200, a refusal, a server in trouble, a revocation.
    let servers = Servers::start().await;
    let client = ClientAuthentication::client_secret_basic("client", "secret");
    let endpoint = servers
        .endpoint_of(client)
        .revocation_url(servers.issuer.url("/revoke"));
    let endpoint = endpoint.build().unwrap();
    let source = servers.refreshing_at(endpoint.clone());
    servers
        .issuer
        .demand("n-1")
        .door(|door| door.gives_always = true);
    let first = source.token().await.unwrap();
    servers
        .issuer
        .demand("n-2")
        .then(Reply::new(503).header("dpop-nonce", "n-2"));
    source.invalidate(&first);
    let refreshed = tokio::spawn(async move { source.token().await.map(|_| source) });
    servers.until_attempts(2).await;
    time_passes(&servers.clock, Duration::from_millis(200)).await;
    let source = refreshed.await.unwrap().unwrap();
    assert_eq!(servers.issuer.nonces(), nonces(&["", "n-1", "n-1", "n-2"]));
    servers
        .issuer
        .then(Reply::new(200).header("dpop-nonce", "n-3"));
    endpoint.revoke("t", TokenKind::AccessToken).await.unwrap();
    servers.issuer.demand("n-3");
    source
        .token_with(&TokenOptions::new().force_refresh())
        .await
        .unwrap();
    let last = servers.issuer.seen().pop().unwrap();
    assert_eq!(
        crate::proof::Proof::of(&last).unwrap().claim("nonce"),
        Some("n-3")
    );
    servers.assert_no_faults();
    assert_eq!(servers.reuses(), 0);
}

#[tokio::test]
async fn the_discovery_document_brings_the_first_nonce() {
    // H6
    let servers = Servers::start().await;
    servers.issuer.demand("n-1");
    let issuer = servers.issuer.url("");
    let document = json!({ "issuer": issuer, "token_endpoint": servers.issuer.url("/token") });
    servers
        .issuer
        .then(Reply::new(200).header("dpop-nonce", "n-1").json(&document));
    let client = ClientAuthentication::client_secret_basic("client", "secret");
    let endpoint = TokenEndpoint::builder(client)
        .issuer(issuer)
        .clock(&servers.clock);
    let grant = ClientCredentials::new(endpoint.build().unwrap());
    let source = TokenSource::builder(grant)
        .clock(&servers.clock)
        .dpop(&servers.key);
    source.build().unwrap().token().await.unwrap();
    assert_eq!(servers.issuer.requests(), 2);
    servers.assert_no_faults();
}

#[tokio::test]
async fn the_same_nonce_again_is_final_and_no_word_about_the_refresh_token() {
    // H6
    let servers = Servers::start().await;
    servers.issuer.demand("n-1");
    let wanted = || {
        Reply::new(400)
            .header("dpop-nonce", "n-0")
            .json(&json!({ "error": "use_dpop_nonce" }))
    };
    servers.issuer.then(wanted()).then(wanted());
    let source = {
        // Not even a rule that takes every 400 for the end.
        servers
            .refreshing_builder(servers.endpoint())
            .refused_refresh_when(|response| response.status() == 400)
            .build()
            .unwrap()
    };
    let error = soon(source.token()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
    assert_eq!(error.oauth_code(), Some("use_dpop_nonce"));
    assert_eq!(servers.issuer.nonces(), nonces(&["", "n-0"]));
    // The server is mended, and the session is alive.
    time_passes(&servers.clock, Duration::from_secs(2)).await;
    source.token().await.unwrap();
    assert_eq!((servers.issuer.requests(), servers.reuses()), (4, 0));
}

#[tokio::test]
async fn a_nonce_that_cannot_be_sent_is_an_error_and_no_loop() {
    // H6
    for bad in bad_nonces() {
        let servers = Servers::start().await;
        servers
            .issuer
            .demand("n-1")
            .door(|door| door.gives_instead = Some(bad));
        let source = servers.refreshing();
        let error = soon(source.token()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{error}");
        assert_eq!(servers.issuer.requests(), 1);
        servers.issuer.door(|door| door.gives_instead = None);
        time_passes(&servers.clock, Duration::from_secs(2)).await;
        source.token().await.unwrap();
        assert_eq!(servers.reuses(), 0);
    }
}

#[tokio::test]
async fn a_server_that_changes_its_nonce_between_two_requests_is_asked_no_more_often_than_one_that_is_busy()
 {
    // H6, E3
    let servers = Servers::start().await;
    for number in 0..6 {
        servers.issuer.then(
            Reply::new(400)
                .header("dpop-nonce", format!("n-{number}"))
                .json(&json!({ "error": "use_dpop_nonce" })),
        );
    }
    let source = servers.refreshing();
    let call = tokio::spawn(async move { source.token().await.map(|_| ()) });
    for (attempts, pause) in [(1, 200), (2, 400)] {
        servers.until_attempts(attempts).await;
        assert_eq!(servers.issuer.requests(), 2 * attempts);
        time_passes(&servers.clock, Duration::from_millis(pause)).await;
    }
    let error = soon(call).await.unwrap().unwrap_err();
    assert!(error.is_transient(), "{error}");
    assert_eq!((servers.issuer.requests(), servers.reuses()), (6, 0));
}
