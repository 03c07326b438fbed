//! K28, C11: claims and step-up for users, and what their sign-in page has to ask for.

use std::time::Duration;

use reqwest_bearer::{ErrorKind, StepUp, TokenOptions};
use serde_json::json;

use crate::support::authorization_server::Answer;
use crate::support::http_server::Reply;
use crate::support::soon;
use crate::{World, token};

/// `{"access_token":{"nbf":{"essential":true}}}`
const LATER: &str = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZX19fQ==";

fn challenged(challenge: &str) -> Reply {
    Reply::new(401).header("www-authenticate", challenge)
}

fn demand() -> Reply {
    challenged(&format!(
        r#"Bearer error="insufficient_claims", claims="{LATER}""#
    ))
}

#[tokio::test]
async fn the_claims_that_an_api_demands_of_a_user_are_asked_for_with_the_user_s_refresh_token() {
    // K28
    let world = World::new().await;
    let users = world.builder().ask_for_demanded_claims().build().unwrap();
    let alice = world.sign_in(&users, "alice").await;
    world.api.then(demand());
    let answer = world.client(&users).for_subject(&alice).get("x").send();
    assert_eq!(answer.await.unwrap().status(), 200);
    let asked = world.login.requests().pop().unwrap();
    assert_eq!(
        asked.field("refresh_token").as_deref(),
        Some("refresh-alice-1")
    );
    let claims = r#"{"access_token":{"nbf":{"essential":true}}}"#;
    assert_eq!(asked.field("claims").as_deref(), Some(claims));
    assert_eq!(world.api.tokens(), ["access-alice-1", "access-alice-2"]);
    // The other process finds it in the store.
    let other = world.builder().ask_for_demanded_claims().build().unwrap();
    assert_eq!(token(&other, &alice).await.unwrap(), "access-alice-2");
    assert_eq!(world.login.token_requests(), 1);
}

#[tokio::test]
async fn what_the_authorization_server_wants_of_the_user_is_one_value_for_the_sign_in_page() {
    // K28, K12, C11
    let world = World::new().await;
    let users = world.builder().ask_for_demanded_claims().build().unwrap();
    let alice = world.sign_in(&users, "alice").await;
    let wanted = r#"{"access_token":{"polids":{"essential":true}}}"#;
    let refusal = json!({
        "error": "invalid_grant", "suberror": "basic_action", "claims": wanted,
    });
    world
        .login
        .then(Answer::Reply(Reply::new(400).json(&refusal)));
    world.api.then(demand());
    let client = world.client(&users);
    let answer = client.for_subject(&alice).get("x").send().await.unwrap();
    assert_eq!(answer.status(), 401);
    let step_up = StepUp::find_in(&answer).unwrap();
    let parameters: Vec<_> = step_up.authorization_parameters().collect();
    assert_eq!(parameters, [("claims", wanted.to_owned())]);
    // The session goes on, and so does its token.
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-1");
    let status = users.status_of(&alice).await.unwrap().unwrap();
    assert!(!status.is_sign_in_required());
    world.advance(601);
    assert_eq!(token(&users, &alice).await.unwrap(), "access-alice-2");
}

#[tokio::test]
async fn a_step_up_and_a_scope_that_is_missing_are_values_for_the_sign_in_page() {
    // C11
    let world = World::new().await;
    let users = world.process();
    let alice = world.sign_in(&users, "alice").await;
    let client = world.client(&users);
    let stronger = r#"Bearer error="insufficient_user_authentication", acr_values="gold silver", max_age="60""#;
    world.api.then(challenged(stronger));
    let answer = client.for_subject(&alice).get("x").send().await.unwrap();
    let step_up = StepUp::find_in(&answer).unwrap();
    assert_eq!(step_up.acr_values(), Some("gold silver"));
    assert_eq!(step_up.max_age(), Some(Duration::from_secs(60)));
    let parameters: Vec<_> = step_up.authorization_parameters().collect();
    assert_eq!(
        parameters,
        [
            ("acr_values", "gold silver".to_owned()),
            ("max_age", "60".to_owned())
        ]
    );
    let narrow = r#"Bearer error="insufficient_scope", scope="orders:write""#;
    world.api.then(challenged(narrow));
    let answer = client.for_subject(&alice).get("x").send().await.unwrap();
    let step_up = StepUp::find_in(&answer).unwrap();
    assert_eq!(step_up.scope(), Some("orders:write"));
    assert_eq!(step_up.authorization_parameters().count(), 0);
    // Answers that want no sign-in, whatever they say besides.
    for challenge in [
        r#"Bearer scope="orders:read""#,
        r#"Bearer error="insufficient_scope""#,
        r#"Bearer error="invalid_request", acr_values="gold""#,
    ] {
        let reply = Reply::new(403).header("www-authenticate", challenge);
        world.api.then(reply);
        let answer = client.for_subject(&alice).get("x").send().await.unwrap();
        assert_eq!(StepUp::find_in(&answer), None, "{challenge}");
    }
}

#[tokio::test]
async fn claims_that_a_server_does_not_understand_end_no_session() {
    // K28, F5
    let world = World::new().await;
    let users = world.builder().ask_for_demanded_claims().build().unwrap();
    let bob = world.sign_in(&users, "bob").await;
    let alice = world.sign_in(&users, "alice").await;
    let client = world.client(&users).for_subject(&alice);
    let forced = TokenOptions::new().force_refresh();
    for claims in ["e30", "eyJhIjoxfQ", "eyJhIjoyfQ", "eyJhIjozfQ"] {
        let refusal = Reply::new(400).json(&json!({ "error": "invalid_request" }));
        world.login.then(Answer::Reply(refusal));
        world.api.then(challenged(&format!(
            r#"Bearer error="insufficient_claims", claims="{claims}""#
        )));
        let answer = client.get("x").send().await.unwrap();
        assert_eq!(answer.status(), 401);
        world.advance(110);
        users.for_subject(&bob).token_with(&forced).await.unwrap();
    }
    let status = users.status_of(&alice).await.unwrap().unwrap();
    assert!(!status.is_sign_in_required());
    world.advance(601);
    assert_eq!(
        token(&users, &alice).await.unwrap().split('-').nth(1),
        Some("alice")
    );
}

#[tokio::test]
async fn a_demand_that_comes_when_the_next_user_has_signed_in_is_passed_on() {
    // K28, F10
    let world = World::new().await;
    let users = world.builder().ask_for_demanded_claims().build().unwrap();
    let alice = world.sign_in(&users, "alice").await;
    world.api.then(demand());
    world.api.hold();
    let waiting = tokio::spawn({
        let client = world.client(&users).for_subject(&alice);
        async move { client.get("x").send().await.unwrap() }
    });
    world.api.until_held(1).await;
    let bob = world.login.sign_in("bob", world.clock.system_time());
    users.sign_in(&alice, bob).await.unwrap();
    token(&users, &alice).await.unwrap();
    world.api.release();
    let answer = soon(waiting).await.unwrap();
    assert_eq!(answer.status(), 401);
    assert_eq!(world.api.tokens(), ["access-alice-1"]);
    assert_eq!(world.login.token_requests(), 0);
}

#[tokio::test]
async fn a_request_of_which_claims_were_demanded_never_goes_out_with_the_next_user_s_token() {
    // K28, F10
    let world = World::new().await;
    let users = world.builder().ask_for_demanded_claims().build().unwrap();
    let alice = world.sign_in(&users, "alice").await;
    world.login.hold();
    world.api.then(demand());
    let waiting = tokio::spawn({
        let client = world.client(&users).for_subject(&alice);
        async move { client.get("x").send().await.unwrap() }
    });
    world.login.until_held(1).await;
    let bob = world.login.sign_in("bob", world.clock.system_time());
    users.sign_in(&alice, bob).await.unwrap();
    world.login.release();
    let answer = soon(waiting).await.unwrap();
    assert_eq!(answer.status(), 401);
    let why: &reqwest_bearer::Error = answer.extensions().get().unwrap();
    assert_eq!(why.kind(), ErrorKind::SignInRequired);
    assert_eq!(world.api.tokens(), ["access-alice-1"]);
}
