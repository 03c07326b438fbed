//! H6 and H7 at the API: nonces that it demands, rotates, repeats and makes up.

use std::io;

use futures_util::stream;
use reqwest::Body;
use reqwest_bearer::{BearerChallenge, Error, ErrorKind};
use tokio::task::JoinSet;

use crate::server::{Servers, bad_nonces, refusal};
use crate::support::http_server::Reply;

pub(crate) fn nonce_wanted(nonce: &str) -> Reply {
    Reply::new(401)
        .header("www-authenticate", r#"DPoP error="use_dpop_nonce""#)
        .header("dpop-nonce", nonce)
        .body("n")
}

#[tokio::test]
async fn a_nonce_that_is_wanted_sends_the_request_once_more_with_the_same_token() {
    // H6
    let servers = Servers::start().await;
    servers.api.demand("n-1");
    let client = servers.client(&servers.source());
    for _ in 0..2 {
        let answer = client.post("x").body("body").send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    servers.assert_no_faults();
    assert_eq!(servers.issuer.requests(), 1);
    assert_eq!(servers.api.tokens(), ["access-1"; 3]);
    let nonces: Vec<_> = servers.api.nonces();
    assert_eq!(nonces, [None, Some("n-1".into()), Some("n-1".into())]);
    assert!(servers.api.seen().iter().all(|seen| seen.body == "body"));
}

#[tokio::test]
async fn each_answer_of_the_api_teaches_the_nonce_of_the_next_request() {
    // H6: a 200, a 404, a server in trouble, a refusal.
    let servers = Servers::start().await;
    let client = servers.client(&servers.source());
    for (number, status) in [200, 404, 500, 403].into_iter().enumerate() {
        let nonce = format!("n-{number}");
        servers
            .api
            .then(Reply::new(status).header("dpop-nonce", &nonce));
        assert_eq!(client.get("x").send().await.unwrap().status(), status);
        servers.api.demand(&nonce);
        assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    }
    servers
        .api
        .then(refusal().header("dpop-nonce", "n-9"))
        .demand("n-9");
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    assert_eq!(servers.api.requests(), 10);
    servers.assert_no_faults();
}

#[tokio::test]
async fn a_rotation_of_the_nonce_under_a_thousand_calls_refreshes_no_token() {
    // H6
    let servers = Servers::start().await;
    servers.api.demand("n-0").door(|door| {
        door.gives_always = true;
        door.rotates_after = Some(300);
    });
    let source = servers.source();
    let client = servers.client(&source);
    client.get("x").send().await.unwrap();
    let mut calls = JoinSet::new();
    for _ in 0..1_000 {
        let client = client.clone();
        calls.spawn(async move { client.get("x").send().await.unwrap().status().as_u16() });
    }
    assert_eq!(calls.join_all().await, [200; 1_000]);
    servers.assert_no_faults();
    assert_eq!(servers.issuer.requests(), 1);
    assert!(!source.status().is_refused());
    assert!(servers.api.requests() <= 2_000);
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_same_nonce_again_is_final_and_the_token_is_not_refused() {
    // H6, C8
    let servers = Servers::start().await;
    let source = servers.source();
    let client = servers.client(&source);
    servers
        .api
        .then(nonce_wanted("n-1"))
        .then(nonce_wanted("n-1"));
    let answer = client.get("x").send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let challenge = answer.extensions().get::<BearerChallenge>().unwrap();
    assert_eq!(challenge.error(), Some("use_dpop_nonce"));
    assert_eq!(answer.text().await.unwrap(), "n");
    assert_eq!(servers.api.requests(), 2);
    // It is known now: the very first answer is final.
    servers.api.then(nonce_wanted("n-1"));
    let answer = client.get("x").send().await.unwrap();
    let reason = Error::find_in_response(&answer).unwrap();
    assert_eq!(reason.kind(), ErrorKind::Protocol, "{reason}");
    assert_eq!(answer.text().await.unwrap(), "n");
    assert_eq!((servers.api.requests(), servers.issuer.requests()), (3, 1));
    assert!(!source.status().is_refused());
}

#[tokio::test]
async fn a_nonce_that_cannot_be_sent_leaves_the_api_s_answer_with_the_reason() {
    // H6
    for bad in bad_nonces() {
        let servers = Servers::start().await;
        servers
            .api
            .demand("n-1")
            .door(|door| door.gives_instead = Some(bad));
        let client = servers.client(&servers.source());
        let answer = client.get("x").send().await.unwrap();
        assert_eq!(answer.status(), 401);
        let reason = Error::find_in_response(&answer).unwrap();
        assert_eq!(reason.kind(), ErrorKind::Protocol, "{reason}");
        assert_eq!((servers.api.requests(), servers.issuer.requests()), (1, 1));
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_cloned_learns_the_nonce_and_no_more() {
    // H6, C7
    let servers = Servers::start().await;
    servers.api.demand("n-1");
    let source = servers.source();
    let client = servers.client(&source);
    let call = || {
        let pieces: [io::Result<&str>; 2] = [Ok("some"), Ok("thing")];
        let body = Body::wrap_stream(stream::iter(pieces));
        client.post("x").body(body).send()
    };
    assert_eq!(call().await.unwrap().status(), 401);
    assert!(!source.status().is_refused());
    assert_eq!(call().await.unwrap().status(), 200);
    assert_eq!((servers.api.requests(), servers.issuer.requests()), (2, 1));
}

#[tokio::test]
async fn a_request_is_sent_once_more_for_its_nonce_and_once_more_for_its_token() {
    // C3, H6
    let servers = Servers::start().await;
    let source = servers.source();
    source.warm_up().await.unwrap();
    servers.revoke_all();
    servers.api.demand("n-1");
    let client = servers.client(&source);
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    assert_eq!(servers.api.tokens(), ["access-1", "access-1", "access-2"]);
    // The other way round, too: first the token, then the nonce.
    servers.api.then(refusal()).demand("n-2");
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    assert_eq!(
        servers.api.tokens()[3..],
        ["access-2", "access-3", "access-3"]
    );
    // And no more often: what comes then is the answer.
    servers
        .api
        .then(nonce_wanted("n-3"))
        .then(refusal())
        .then(nonce_wanted("n-4"));
    assert_eq!(client.get("x").send().await.unwrap().status(), 401);
    assert_eq!(servers.api.requests(), 9);
    assert!(!source.status().is_refused());
    servers.assert_no_faults();
}

#[tokio::test]
async fn what_is_wrong_with_a_proof_is_not_the_token_s_fault_whatever_a_rule_says() {
    // H6, C5
    let servers = Servers::start().await;
    for (reply, refreshes) in [
        (r#"DPoP error="invalid_dpop_proof""#, 0),
        (
            r#"Bearer error="invalid_token", DPoP error="invalid_dpop_proof""#,
            0,
        ),
        (r#"DPoP error="insufficient_scope""#, 0),
        (
            r#"Bearer error="insufficient_scope", DPoP error="invalid_token""#,
            1,
        ),
        ("DPoP", 1),
        ("Bearer", 1),
    ] {
        let source = servers.source();
        let client = servers.client(&source);
        let before = servers.issuer.requests();
        servers
            .api
            .then(Reply::new(401).header("www-authenticate", reply));
        client.get("x").send().await.unwrap();
        assert_eq!(servers.issuer.requests() - before, 1 + refreshes, "{reply}");
    }
    servers.api.demand("n-1");
    let source = servers.builder().refused_when(|status, _| status == 401);
    let source = source.build().unwrap();
    let before = servers.issuer.requests();
    let client = servers.client(&source);
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    // The second one is final, and judged; so is a proof that is bad otherwise, as by a clock that is wrong.
    let bad = r#"DPoP error="invalid_dpop_proof""#;
    for reply in [
        nonce_wanted("n-1"),
        Reply::new(401).header("www-authenticate", bad),
    ] {
        servers.api.then(reply);
        assert_eq!(client.get("x").send().await.unwrap().status(), 401);
    }
    assert!(!source.status().is_refused());
    assert_eq!(servers.issuer.requests() - before, 1);
}

#[tokio::test]
async fn the_challenge_of_the_scheme_dpop_counts_where_there_are_several() {
    // H7
    let servers = Servers::start().await;
    servers.api.demand("n-1").then(
        Reply::new(401)
            .header(
                "www-authenticate",
                r#"Bearer error="invalid_token", DPoP algs="ES256""#,
            )
            .header(
                "www-authenticate",
                r#"dpop error="use_dpop_nonce", algs="ES256""#,
            )
            .header("dpop-nonce", "n-1"),
    );
    let client = servers.client(&servers.source());
    assert_eq!(client.get("x").send().await.unwrap().status(), 200);
    assert_eq!((servers.api.requests(), servers.issuer.requests()), (2, 1));
}
