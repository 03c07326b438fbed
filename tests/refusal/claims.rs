//! K28, C11: an API demands claims, and the source is set to ask for them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest::Response;
use reqwest_bearer::{
    BearerChallenge, ClientCredentials, Error, ErrorKind, Event, GrantFn, GrantRequest,
    RefreshReason, StepUp, TestClock, TokenOptions, TokenParameters, TokenResponse, TokenSource,
};
use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::support::api::Api;
use crate::support::authorization_server::{Answer, AuthorizationServer};
use crate::support::http_server::Reply;
use crate::support::{landed, soon, under_way};
use crate::{Parts, call, secs, stream_body};

/// `{"access_token":{"nbf":{"essential":true}}}`
const LATER: &str = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZX19fQ==";
/// `{"access_token":{"acrs":{"value":"c1"}}}`
const STRONGER: &str = "eyJhY2Nlc3NfdG9rZW4iOnsiYWNycyI6eyJ2YWx1ZSI6ImMxIn19fQ";

fn demand(claims: &str) -> Reply {
    let challenge = format!(r#"Bearer error="insufficient_claims", claims="{claims}""#);
    Reply::new(401).header("www-authenticate", challenge)
}

/// A source that asks for what APIs demand, and the reasons of its token requests.
async fn parts() -> (Parts, UnboundedReceiver<RefreshReason>) {
    let server = AuthorizationServer::start().await;
    let api = Api::start(&server).await;
    let clock = TestClock::new();
    let capable = r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#;
    let parameters = TokenParameters::new().extra("claims", capable);
    let grant = ClientCredentials::new(server.endpoint()).parameters(parameters);
    let (sender, reasons) = unbounded_channel();
    let source = TokenSource::builder(grant)
        .clock(&clock)
        .jitter(0.0)
        .ask_for_demanded_claims()
        .on_event(move |event| {
            if let Event::TokenRequest { reason, .. } = event {
                let _ = sender.send(*reason);
            }
        })
        .build()
        .unwrap();
    source.warm_up().await.unwrap();
    let parts = Parts {
        server,
        api,
        clock,
        source,
    };
    (parts, reasons)
}

fn reason(response: &Response) -> Option<&Error> {
    response.extensions().get()
}

/// The answer to a call of which the API demands these claims.
async fn demanded(parts: &Parts, claims: &str) -> Response {
    parts.api.then(demand(claims));
    parts.call().await
}

#[tokio::test]
async fn one_token_request_asks_for_the_claims_and_the_request_is_sent_once_more() {
    // K28, C11
    let (parts, mut reasons) = parts().await;
    assert_eq!(demanded(&parts, LATER).await.status(), 200);
    assert_eq!(parts.api.tokens(), ["access-1", "access-2"]);
    let asked: Vec<_> = parts.server.requests();
    let capable = r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#;
    let both = r#"{"access_token":{"nbf":{"essential":true},"xms_cc":{"values":["cp1"]}}}"#;
    assert_eq!(asked[0].field("claims").as_deref(), Some(capable));
    assert_eq!(asked[1].field("claims").as_deref(), Some(both));
    assert_eq!(reasons.recv().await, Some(RefreshReason::NoToken));
    assert_eq!(reasons.recv().await, Some(RefreshReason::Claims));
    // It takes the key's place, and the next refresh asks for what all the others ask for.
    assert_eq!(parts.source.token().await.unwrap().expose(), "access-2");
    parts.clock.advance(secs(601.0));
    parts.source.token().await.unwrap();
    let last = parts.server.requests().pop().unwrap();
    assert_eq!(last.field("claims").as_deref(), Some(capable));
}

#[tokio::test]
async fn fifty_calls_that_meet_the_same_demand_make_one_token_request() {
    // K28
    let (parts, _reasons) = parts().await;
    for _ in 0..50 {
        parts.api.then(demand(LATER));
    }
    parts.api.hold();
    let mut calls = JoinSet::new();
    let client = parts.api.client(&parts.source);
    for _ in 0..50 {
        let client = client.clone();
        calls.spawn(async move { client.get("x").send().await.unwrap().status().as_u16() });
    }
    parts.api.until_held(50).await;
    parts.api.release();
    assert_eq!(calls.join_all().await, [200; 50]);
    assert_eq!(parts.server.token_requests(), 2);
}

#[tokio::test]
async fn other_calls_go_on_with_the_token_that_lacks_the_claims() {
    // K28
    let (parts, _reasons) = parts().await;
    parts.server.hold();
    parts.api.then(demand(LATER));
    let waiting = tokio::spawn({
        let client = parts.api.client(&parts.source);
        async move { client.get("x").send().await.unwrap().status().as_u16() }
    });
    parts.server.until_held(1).await;
    assert!(!parts.source.status().is_refused());
    assert_eq!(soon(parts.call()).await.status(), 200);
    assert_eq!(parts.api.tokens(), ["access-1", "access-1"]);
    parts.server.release();
    assert_eq!(soon(waiting).await.unwrap(), 200);
}

#[tokio::test]
async fn claims_that_the_server_refuses_are_asked_for_once_with_each_token() {
    // K28, C8
    let (parts, _reasons) = parts().await;
    let refusal = json!({ "error": "interaction_required" });
    parts
        .server
        .always(Answer::Reply(Reply::new(400).json(&refusal)));
    for _ in 0..3 {
        let answer = demanded(&parts, LATER).await;
        assert_eq!(answer.status(), 401);
        let why = reason(&answer).unwrap();
        assert_eq!(why.oauth_code(), Some("interaction_required"));
        let challenge: &BearerChallenge = answer.extensions().get().unwrap();
        assert_eq!(challenge.claims(), Some(LATER));
        assert_eq!(parts.server.token_requests(), 2);
    }
    // Others are another matter, and so are the same ones for another token.
    demanded(&parts, STRONGER).await;
    assert_eq!(parts.server.token_requests(), 3);
    parts.server.mend();
    let forced = TokenOptions::new().force_refresh();
    assert_eq!(
        parts.source.token_with(&forced).await.unwrap().expose(),
        "access-2"
    );
    assert_eq!(demanded(&parts, LATER).await.status(), 200);
    assert_eq!(parts.source.token().await.unwrap().expose(), "access-3");
}

#[tokio::test]
async fn claims_that_the_server_has_refused_are_not_waited_for_while_another_request_is_under_way()
{
    // K28, C8
    let (parts, _reasons) = parts().await;
    let refusal = json!({ "error": "interaction_required" });
    let refusal = Answer::Reply(Reply::new(400).json(&refusal));
    parts.server.then(refusal);
    assert_eq!(demanded(&parts, LATER).await.status(), 401);
    parts.server.hold();
    parts.clock.advance(secs(500.0));
    assert_eq!(parts.call().await.status(), 200);
    parts.server.until_held(1).await;
    let answer = soon(demanded(&parts, LATER)).await;
    let why = reason(&answer).unwrap();
    assert_eq!(why.oauth_code(), Some("interaction_required"));
    parts.server.release();
    landed(&parts.source).await;
    // The next token may have them.
    assert_eq!(demanded(&parts, LATER).await.status(), 200);
}

#[tokio::test]
async fn a_token_that_came_meanwhile_and_is_no_good_is_not_what_the_request_is_sent_again_with() {
    // K28, C1, C7
    for is_refused in [true, false] {
        let (parts, _reasons) = parts().await;
        parts.api.then(demand(LATER));
        parts.api.hold();
        let call = under_way({
            let client = parts.api.client(&parts.source);
            async move { client.get("x").send().await.unwrap().status().as_u16() }
        })
        .await;
        parts.api.until_held(1).await;
        let forced = TokenOptions::new().force_refresh();
        let other = soon(parts.source.token_with(&forced)).await.unwrap();
        parts.server.revoke(other.expose());
        if is_refused {
            parts.source.invalidate(&other);
        } else {
            parts.clock.advance(secs(601.0));
        }
        parts.api.release();
        assert_eq!(soon(call).await.unwrap(), 200, "{is_refused}");
        assert_eq!(parts.api.tokens(), ["access-1", "access-3"]);
    }
}

#[tokio::test]
async fn the_same_token_again_is_not_asked_for_again() {
    // K28, B7
    let (parts, _reasons) = parts().await;
    let same = json!({ "token_type": "Bearer", "expires_in": 600, "access_token": "access-1" });
    parts
        .server
        .always(Answer::Reply(Reply::new(200).json(&same)));
    for _ in 0..3 {
        let answer = demanded(&parts, LATER).await;
        assert_eq!(answer.status(), 401);
        assert_eq!(reason(&answer).unwrap().kind(), ErrorKind::Protocol);
        assert_eq!(parts.server.token_requests(), 2);
    }
}

#[tokio::test]
async fn a_server_that_says_when_to_come_back_is_asked_for_the_claims_then() {
    // K28, B6
    let (parts, _reasons) = parts().await;
    let busy = Reply::new(503).header("retry-after", "60");
    parts.server.then(Answer::Reply(busy));
    for _ in 0..2 {
        let answer = demanded(&parts, LATER).await;
        assert_eq!(answer.status(), 401);
        assert_eq!(reason(&answer).unwrap().kind(), ErrorKind::Unavailable);
        assert_eq!(parts.server.token_requests(), 2);
    }
    // The token is as good as before meanwhile.
    assert_eq!(parts.call().await.status(), 200);
    parts.clock.advance(secs(60.0));
    assert_eq!(demanded(&parts, LATER).await.status(), 200);
}

#[tokio::test]
async fn an_api_that_demands_claims_for_ever_is_no_flood_on_the_authorization_server() {
    // K28, C4, C3
    let (parts, _reasons) = parts().await;
    parts.api.always(demand(LATER));
    for number in 1..=20 {
        let answer = parts.call().await;
        assert_eq!(answer.status(), 401);
        assert_eq!(parts.server.token_requests(), 1 + number.min(5));
    }
    assert_eq!(
        parts.api.seen().len(),
        20 + 5,
        "no call is sent three times"
    );
    let why = parts.call().await.extensions().get::<Error>().cloned();
    let begun = parts.clock.system_time();
    assert_eq!(why.unwrap().retry_at(), Some(begun + secs(30.0)));
    parts.clock.advance(secs(30.0));
    parts.call().await;
    assert_eq!(parts.server.token_requests(), 1 + 5 + 1);
}

#[tokio::test]
async fn a_body_that_cannot_be_sent_again_has_the_next_call_go_with_the_claims() {
    // K28, C9
    let (parts, _reasons) = parts().await;
    parts.api.then(demand(LATER));
    let client = parts.api.client(&parts.source);
    let answer = client.post("x").body(stream_body()).send().await.unwrap();
    assert_eq!(answer.status(), 401);
    landed(&parts.source).await;
    assert_eq!(call(&parts.api, &parts.source).await.status(), 200);
    assert_eq!(parts.api.tokens(), ["access-1", "access-2"]);
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_passed_on() {
    // K28: no JSON object, and a challenge that is no claims challenge.
    for challenge in [
        r#"Bearer error="insufficient_claims", claims="!!""#.to_owned(),
        r#"Bearer error="insufficient_claims", claims="WzFd""#.to_owned(),
        r#"Bearer error="insufficient_claims""#.to_owned(),
        format!(r#"Bearer error="insufficient_scope", claims="{LATER}""#),
    ] {
        let (parts, _reasons) = parts().await;
        let reply = Reply::new(401).header("www-authenticate", challenge.clone());
        parts.api.then(reply);
        assert_eq!(parts.call().await.status(), 401, "{challenge}");
        assert_eq!(parts.server.token_requests(), 1, "{challenge}");
    }
    // A 403 says that the token is good and may not do this.
    let (parts, _reasons) = parts().await;
    let challenge = format!(r#"Bearer error="insufficient_claims", claims="{LATER}""#);
    parts
        .api
        .then(Reply::new(403).header("www-authenticate", challenge));
    let answer = parts.call().await;
    assert_eq!(answer.status(), 403);
    assert_eq!(parts.server.token_requests(), 1);
    let claims = StepUp::find_in(&answer).unwrap();
    assert_eq!(
        claims.claims(),
        Some(r#"{"access_token":{"nbf":{"essential":true}}}"#)
    );
}

#[tokio::test]
async fn what_another_origin_demands_to_which_no_token_went_is_not_asked_for() {
    // K28, C10
    let (parts, _reasons) = parts().await;
    let other = Api::start(&parts.server).await;
    let elsewhere = format!("{}/x", other.url());
    parts
        .api
        .then(Reply::new(302).header("location", elsewhere));
    other.then(demand(LATER));
    assert_eq!(parts.call().await.status(), 401);
    assert_eq!(parts.server.token_requests(), 1);
    // Where a rule takes that for a refusal, it is one, and no demand.
    let source = TokenSource::builder(parts.server.client_credentials())
        .refused_when_answered(|answer| answer.status() == 401)
        .ask_for_demanded_claims()
        .build()
        .unwrap();
    parts
        .api
        .then(Reply::new(302).header("location", format!("{}/x", other.url())));
    other.then(demand(LATER));
    assert_eq!(call(&parts.api, &source).await.status(), 200);
    let last = parts.server.requests().pop().unwrap();
    assert_eq!(last.field("claims"), None);
}

#[tokio::test]
async fn a_grant_that_fails_is_asked_for_the_claims_once_in_a_call() {
    // K28, A4
    let api = Api::that_takes(|_| true).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let grant = GrantFn::new("fragile", move |request: GrantRequest| {
        let wants_claims = !request.parameters().is_empty();
        if wants_claims {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        async move {
            assert!(!wants_claims, "on purpose");
            Ok(TokenResponse::bearer("t"))
        }
    });
    let source = TokenSource::builder(grant)
        .clock(&TestClock::new())
        .ask_for_demanded_claims()
        .build()
        .unwrap();
    for number in 1..=2 {
        api.then(demand(LATER));
        let answer = call(&api, &source).await;
        assert_eq!(answer.status(), 401);
        assert_eq!(reason(&answer).unwrap().kind(), ErrorKind::Panicked);
        // Nobody has judged them, so the next call asks again.
        assert_eq!(asked.load(Ordering::Relaxed), number);
    }
}

#[tokio::test]
async fn a_rule_that_takes_every_401_for_a_refusal_sends_the_claims_all_the_same() {
    // K28, C5
    let (mut parts, _reasons) = parts().await;
    parts.source = TokenSource::builder(parts.server.client_credentials())
        .clock(&parts.clock)
        .refused_when(|status, _| status == 401)
        .ask_for_demanded_claims()
        .build()
        .unwrap();
    assert_eq!(demanded(&parts, LATER).await.status(), 200);
    let last = parts.server.requests().pop().unwrap();
    assert!(last.field("claims").is_some());
}
