//! C4: an API that refuses cannot turn its clients into a flood on the authorization server.

use std::collections::HashSet;
use std::iter::repeat_n;
use std::sync::Mutex;
use std::time::Duration;

use reqwest::{Body, Response};
use reqwest_bearer::{NamedClient, TestClock, TokenOptions, TokenResponse};

use crate::support::api::{Api, refusal};
use crate::support::http_server::Reply;
use crate::support::issuer::Issuer;
use crate::{Parts, call, secs, stream_body, until};

const STEP: Duration = Duration::from_millis(100);
const TICK: Duration = Duration::from_millis(1);

/// The pauses between the calls of ten minutes: 100 ms in the first of them, then a second, at which
/// a token is no longer brand-new.
fn ten_minutes() -> impl Iterator<Item = Duration> {
    repeat_n(STEP, 600).chain(repeat_n(secs(1.0), 540))
}

/// One request, with a body that can be sent twice, or with one that cannot.
async fn post(client: &NamedClient, body: Body) -> Response {
    client.post("x").body(body).send().await.unwrap()
}

fn text_body() -> Body {
    Body::from("something")
}

#[tokio::test]
async fn after_a_refused_resend_the_next_refresh_waits_a_second_doubling_to_thirty() {
    // C4: with and without a body that can be sent twice.
    for body in [text_body, stream_body] {
        let parts = Parts::new().await;
        parts.api.always(refusal());
        let client = parts.api.client(&parts.source);
        // The first refusal is answered at once; without a resend it is the next call that shows
        // what the API thinks of the new token.
        for _ in 0..2 {
            assert_eq!(post(&client, body()).await.status(), 401);
        }
        let mut requests = 2;
        assert_eq!(parts.server.token_requests(), requests);
        for pause in [1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0] {
            parts.clock.advance(secs(pause) - TICK);
            assert_eq!(post(&client, body()).await.status(), 401);
            assert_eq!(parts.server.token_requests(), requests, "before {pause} s");
            parts.clock.advance(TICK);
            assert_eq!(post(&client, body()).await.status(), 401);
            requests += 1;
            assert_eq!(parts.server.token_requests(), requests, "after {pause} s");
        }
    }
}

#[tokio::test]
async fn an_accepted_resend_ends_the_pauses() {
    // C4
    for (answer, accepted) in [
        (Reply::new(200), true),
        // The API has let the request in, and did not like it.
        (Reply::new(404), true),
        (Reply::new(403), true),
        // It has not said what it thinks of the token.
        (Reply::new(500), false),
        (Reply::new(503), false),
    ] {
        let parts = Parts::new().await;
        let status = answer.status;
        // Two tokens are refused as soon as they come: the next one waits for two seconds.
        parts.api.then(refusal()).then(refusal()).then(refusal());
        assert_eq!(parts.call().await.status(), 401);
        parts.clock.advance(secs(1.0));
        assert_eq!(parts.call().await.status(), 401);
        assert_eq!(parts.server.token_requests(), 3);
        parts.clock.advance(secs(2.0));
        parts.api.then(answer);
        assert_eq!(parts.call().await.status(), status);
        assert_eq!(parts.server.token_requests(), 4);
        // From here on as if nothing had been, or four seconds.
        parts.clock.advance(secs(2.0));
        parts.api.then(refusal());
        let healed = parts.call().await.status() == 200;
        assert_eq!(healed, accepted, "{status}");
    }
}

/// A call whose first answer, a refusal, comes after the token was replaced at the wish of somebody
/// else.
async fn refused_after_a_replacement(parts: &Parts) -> Response {
    parts.api.then(refusal()).hold();
    let mut refused = tokio::spawn(parts.api.client(&parts.source).get("x").send());
    until(parts.api.until_held(1), &mut refused).await;
    let wish = TokenOptions::new().force_refresh();
    parts.source.token_with(&wish).await.unwrap();
    parts.api.release();
    refused.await.unwrap().unwrap()
}

#[tokio::test]
async fn a_resend_with_a_token_that_came_for_another_reason_begins_the_pauses_too() {
    // C4
    let parts = Parts::new().await;
    parts.source.warm_up().await.unwrap();
    parts.api.always(refusal());
    let refused = refused_after_a_replacement(&parts).await;
    assert_eq!(refused.status(), 401);
    assert_eq!(parts.call().await.status(), 401);
    assert_eq!(parts.server.token_requests(), 2);
    parts.clock.advance(secs(1.0));
    assert_eq!(parts.call().await.status(), 401);
    assert_eq!(parts.server.token_requests(), 3);
}

#[tokio::test]
async fn a_resend_with_a_token_that_came_for_another_reason_ends_the_pauses_too() {
    // C4
    let parts = Parts::new().await;
    parts.api.then(refusal()).then(refusal());
    assert_eq!(parts.call().await.status(), 401);
    let healed = refused_after_a_replacement(&parts).await;
    assert_eq!(healed.status(), 200);
    // The pause of a second is over at once.
    parts.api.then(refusal());
    assert_eq!(parts.call().await.status(), 200);
    assert_eq!(parts.server.token_requests(), 4);
}

#[tokio::test]
async fn two_hundred_resends_that_are_refused_together_count_once() {
    // C4
    let parts = Parts::new().await;
    parts.source.warm_up().await.unwrap();
    parts.api.always(refusal());
    parts.api.hold();
    let client = parts.api.client(&parts.source);
    let calls: Vec<_> = (0..200)
        .map(|_| tokio::spawn(client.get("x").send()))
        .collect();
    parts.api.until_held(200).await;
    parts.api.release();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 401);
    }
    assert_eq!(parts.server.token_requests(), 2);
    parts.clock.advance(secs(1.0));
    assert_eq!(client.get("x").send().await.unwrap().status(), 401);
    assert_eq!(parts.server.token_requests(), 3);
}

#[tokio::test]
async fn the_pauses_of_one_api_do_not_delay_the_healing_of_another() {
    // C4: per origin. The token that is refused in vain by one is refused for good by the other.
    let parts = Parts::new().await;
    let wrong = Api::that_takes(|_| false).await;
    assert_eq!(parts.call().await.status(), 200);
    parts.clock.advance(secs(2.0));
    for _ in 0..2 {
        assert_eq!(call(&wrong, &parts.source).await.status(), 401);
    }
    assert_eq!(parts.server.token_requests(), 2);
    parts.server.revoke_all();
    assert_eq!(parts.call().await.status(), 200);
    assert_eq!(parts.server.token_requests(), 3);
    // And the other's own pause goes on.
    assert_eq!(call(&wrong, &parts.source).await.status(), 401);
    assert_eq!(parts.server.token_requests(), 3);
}

#[tokio::test]
async fn the_pauses_for_one_key_do_not_delay_another() {
    // C4: per key.
    let parts = Parts::new().await;
    let client = parts.api.client(&parts.source);
    parts.api.then(refusal()).then(refusal());
    assert_eq!(parts.call().await.status(), 401);
    let options = TokenOptions::new().scope("other");
    parts.api.then(refusal());
    let other = client.get("x").with_extension(options).send().await;
    assert_eq!(other.unwrap().status(), 200);
}

/// An API that takes each token once.
async fn api_of_single_use_tokens() -> Api {
    let used = Mutex::new(HashSet::new());
    Api::that_takes(move |token| used.lock().unwrap().insert(token.to_owned())).await
}

#[tokio::test]
async fn five_refreshes_by_refusal_are_made_in_thirty_seconds() {
    // C4: each resend is accepted, so there are no pauses.
    let parts = Parts::new().await;
    let api = api_of_single_use_tokens().await;
    for _ in 0..6 {
        assert_eq!(call(&api, &parts.source).await.status(), 200);
    }
    assert_eq!(parts.server.token_requests(), 6);
    for pause in [Duration::ZERO, secs(30.0) - TICK] {
        parts.clock.advance(pause);
        assert_eq!(call(&api, &parts.source).await.status(), 401);
        assert_eq!(parts.server.token_requests(), 6);
    }
    parts.clock.advance(TICK);
    assert_eq!(call(&api, &parts.source).await.status(), 200);
    assert_eq!(parts.server.token_requests(), 7);
}

#[tokio::test]
async fn the_first_refusal_of_an_accepted_token_that_is_not_brand_new_is_not_counted() {
    // C4: an API that ends its tokens every second is served, one that is faster is not.
    for (age, served) in [(secs(0.75), true), (secs(0.75) - TICK, false)] {
        let parts = Parts::new().await;
        let api = api_of_single_use_tokens().await;
        let mut refused = 0;
        for _ in 0..180 {
            refused += usize::from(call(&api, &parts.source).await.status() == 401);
            parts.clock.advance(age);
        }
        assert_eq!(refused == 0, served, "{age:?}: {refused}");
    }
}

#[tokio::test]
async fn a_server_that_revokes_every_two_seconds_is_served_for_minutes() {
    // C4
    for body in [text_body, stream_body] {
        let parts = Parts::new().await;
        let client = parts.api.client(&parts.source);
        let mut refused = 0;
        for step in 1..=1800 {
            refused += usize::from(post(&client, body()).await.status() == 401);
            parts.clock.advance(STEP);
            if step % 20 == 0 {
                parts.server.revoke_all();
            }
        }
        assert_eq!(parts.server.token_requests(), 90);
        // A body that cannot be sent twice brings each refusal back, and no call after it.
        let expected = if body().as_bytes().is_some() { 0 } else { 89 };
        assert_eq!(refused, expected);
    }
}

#[tokio::test]
async fn a_token_that_is_refused_by_hand_after_minutes_is_replaced_at_once() {
    // C4: nobody says by hand that the last one was accepted.
    let parts = Parts::new().await;
    for number in 1..=5 {
        let token = parts.source.token().await.unwrap();
        assert_eq!(token.expose(), format!("access-{number}"));
        parts.clock.advance(secs(300.0));
        parts.source.invalidate(&token);
    }
    // One that is refused as soon as it comes is.
    for _ in 0..2 {
        parts
            .source
            .invalidate(&parts.source.token().await.unwrap());
    }
    assert_eq!(parts.server.token_requests(), 6);
    assert_eq!(parts.source.token().await.unwrap().expose(), "access-6");
    parts.clock.advance(secs(1.0));
    assert_eq!(parts.source.token().await.unwrap().expose(), "access-7");
}

#[tokio::test]
async fn an_api_that_always_refuses_costs_a_few_token_requests() {
    // C4: 1 at the start, 1 at once, 5 in the first half minute, then 1 in thirty seconds.
    for body in [text_body, stream_body] {
        let parts = Parts::new().await;
        let wrong = Api::that_takes(|_| false).await;
        let client = wrong.client(&parts.source);
        for pause in ten_minutes() {
            assert_eq!(post(&client, body()).await.status(), 401);
            parts.clock.advance(pause);
        }
        let requests = parts.server.token_requests();
        assert!((15..=27).contains(&requests), "{requests}");
    }
}

#[tokio::test]
async fn an_api_that_always_refuses_harms_none_that_shares_its_source() {
    // C4
    for body in [text_body, stream_body] {
        let parts = Parts::new().await;
        let wrong = Api::that_takes(|_| false).await;
        let (wrong, right) = (wrong.client(&parts.source), parts.api.client(&parts.source));
        for pause in ten_minutes() {
            assert_eq!(post(&right, body()).await.status(), 200);
            assert_eq!(post(&wrong, body()).await.status(), 401);
            parts.clock.advance(pause);
        }
        let requests = parts.server.token_requests();
        assert!((15..=27).contains(&requests), "{requests}");
    }
}

#[tokio::test]
async fn each_of_two_apis_that_always_refuse_has_pauses_of_its_own() {
    // C4: each asks at once, and after 1, 3, 7, 15, 31 seconds.
    let parts = Parts::new().await;
    let (one, other) = (
        Api::that_takes(|_| false).await,
        Api::that_takes(|_| false).await,
    );
    let right = parts.api.client(&parts.source);
    let wrong = [one, other].map(|api| (api.client(&parts.source), api));
    for _ in 0..600 {
        assert_eq!(post(&right, text_body()).await.status(), 200);
        for (client, _running) in &wrong {
            assert_eq!(post(client, text_body()).await.status(), 401);
        }
        parts.clock.advance(STEP);
    }
    let requests = parts.server.token_requests();
    assert!((8..=13).contains(&requests), "{requests}");
}

#[tokio::test]
async fn a_server_that_issues_the_refused_token_again_is_asked_five_times_in_thirty_seconds() {
    // C4, C8: there is no resend here that could be refused.
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    issuer.always(TokenResponse::bearer("same").with_expires_in(secs(600.0)));
    let source = issuer.source(&clock);
    let wrong = Api::that_takes(|_| false).await;
    let client = wrong.client(&source);
    for pause in ten_minutes() {
        assert_eq!(post(&client, text_body()).await.status(), 401);
        clock.advance(pause);
    }
    assert!(issuer.requests() <= 1 + 5 * 20, "{}", issuer.requests());
}
