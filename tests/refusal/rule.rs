//! C5, C6, C11: which answers refuse the token, and what else they say.

use reqwest_bearer::{BearerChallenge, TestClock, TokenSource};

use crate::support::api::Api;
use crate::support::http_server::Reply;
use crate::{Parts, secs};

const CHALLENGE: &str = "www-authenticate";

fn refusal_with(challenges: &[&'static str]) -> Reply {
    challenges.iter().fold(Reply::new(401), |reply, challenge| {
        reply.header(CHALLENGE, *challenge)
    })
}

/// How many tokens a call costs beyond the first that gets this answer once.
async fn refreshes(parts: &Parts, reply: Reply) -> usize {
    parts.source.warm_up().await.unwrap();
    parts.api.then(reply.clone());
    let answer = parts.call().await;
    let refreshes = parts.server.token_requests() - 1;
    let status = if refreshes == 0 { reply.status } else { 200 };
    assert_eq!(answer.status(), status);
    assert_eq!(parts.api.seen().len(), 1 + refreshes);
    refreshes
}

#[tokio::test]
async fn the_refusals_of_real_servers_are_healed() {
    // C5: as nine servers say it.
    for (server, reply) in [
        (
            "oidc-provider",
            refusal_with(&[
                r#"Bearer realm="https://as.test", error="invalid_token", error_description="invalid token provided""#,
            ])
            .json(&serde_json::json!({ "error": "invalid_token" })),
        ),
        (
            "oidc-provider, without a token",
            refusal_with(&[
                r#"Bearer realm="https://as.test""#,
                r#"DPoP realm="https://as.test", algs="ES256 EdDSA""#,
            ]),
        ),
        ("glewlwyd", Reply::new(401)),
        (
            "canaille",
            refusal_with(&[
                r#"Bearer error="invalid_token", error_description="The access token provided is expired""#,
            ]),
        ),
        (
            "canaille, without a token",
            refusal_with(&[r#"bearer error="missing_authorization""#]),
        ),
        (
            "django-oauth-toolkit, userinfo",
            refusal_with(&[r#"Bearer error="invalid_token""#])
                .header("content-type", "text/html")
                .body("{}"),
        ),
        (
            "doorkeeper",
            refusal_with(&[
                r#"Bearer realm="Doorkeeper", error="invalid_token", error_description="The access token expired""#,
            ]),
        ),
        (
            "lemonldap-ng",
            refusal_with(&["error=invalid_request,error_description=Invalid request"]),
        ),
        (
            "node-oauth2-server",
            refusal_with(&[r#"Bearer realm="Service",error="invalid_token""#]),
        ),
        (
            "a gateway with another scheme",
            refusal_with(&[r#"Basic realm="x""#]),
        ),
        (
            "a challenge that is too long to be read",
            Reply::new(401).header(
                CHALLENGE,
                format!(r#"Bearer error="invalid_request", x="{}""#, "x".repeat(8 * 1024)),
            ),
        ),
    ] {
        let parts = Parts::new().await;
        assert_eq!(refreshes(&parts, reply).await, 1, "{server}");
    }
}

#[tokio::test]
async fn what_another_token_would_not_mend_is_passed_on() {
    // C5
    for (what, reply) in [
        (
            "a scope that is missing",
            refusal_with(&[r#"Bearer error="insufficient_scope", scope="orders""#]),
        ),
        (
            "a stronger sign-in",
            refusal_with(&[r#"Bearer error="insufficient_user_authentication""#]),
        ),
        (
            "a request that is wrong",
            refusal_with(&[r#"Bearer error="invalid_request""#]),
        ),
        (
            "several challenges, one with a reason",
            refusal_with(&[
                r#"Basic realm="x", Bearer error="insufficient_scope""#,
                "DPoP",
            ]),
        ),
        ("django-oauth-toolkit", Reply::new(403)),
        (
            "a 403 with the code of a 401",
            Reply::new(403).header(CHALLENGE, r#"Bearer error="invalid_token""#),
        ),
        ("a mock", Reply::new(400)),
        (
            "a proxy",
            Reply::new(407).header("proxy-authenticate", "Bearer"),
        ),
    ] {
        let parts = Parts::new().await;
        assert_eq!(refreshes(&parts, reply).await, 0, "{what}");
        assert!(!parts.source.status().is_refused(), "{what}");
    }
}

#[tokio::test]
async fn a_claims_challenge_refuses_nothing_and_reaches_the_caller() {
    // C5, C11, K28: Entra's continuous access evaluation. No token that is got in the same way has
    // the claims in it.
    const CLAIMS: &str = "eyJhY2Nlc3NfdG9rZW4iOnsibmJmIjp7ImVzc2VudGlhbCI6dHJ1ZX19fQ==";
    let entra = Reply::new(401).header(
        CHALLENGE,
        format!(
            r#"Bearer realm="", authorization_uri="https://as.test/authorize", error="insufficient_claims", claims="{CLAIMS}""#
        ),
    );
    for reply in [
        entra.clone(),
        refusal_with(&[r#"Bearer error=insufficient_claims"#]),
        refusal_with(&[
            r#"Bearer realm="gateway", error="no_session", scope="a""#,
            r#"Bearer error="insufficient_claims", claims="e30=""#,
        ]),
    ] {
        let parts = Parts::new().await;
        assert_eq!(refreshes(&parts, reply).await, 0);
        assert!(!parts.source.status().is_refused());
    }
    let challenge = challenge_in(entra).await;
    assert!(challenge.has_claims());
    assert_eq!(challenge.claims(), Some(CLAIMS));
    assert_eq!(challenge.error(), Some("insufficient_claims"));
}

#[tokio::test]
async fn a_predicate_takes_the_place_of_the_rule() {
    // C5: the servers that say 403 and 400, and one that says it in a header of its own.
    for (reply, refuses) in [
        (Reply::new(403), 1),
        (Reply::new(400), 1),
        (Reply::new(422).header("x-token", "expired"), 1),
        (Reply::new(422), 0),
        (Reply::new(401), 0),
    ] {
        let mut parts = Parts::new().await;
        parts.source = TokenSource::builder(parts.server.client_credentials())
            .clock(&TestClock::new())
            .refused_when(|status, headers| {
                [400, 403].contains(&status.as_u16()) || headers.contains_key("x-token")
            })
            .build()
            .unwrap();
        let status = reply.status;
        assert_eq!(refreshes(&parts, reply).await, refuses, "{status}");
    }
}

/// A source whose rule sees the final URL.
fn signing_in(parts: &Parts) -> TokenSource {
    TokenSource::builder(parts.server.client_credentials())
        .clock(&TestClock::new())
        .refused_when_answered(|answer| {
            assert_eq!(answer.requested_url().path(), "/x");
            let signs_in = answer.is_from_elsewhere() && answer.url().path() == "/signin";
            signs_in || answer.status() == 203 || answer.headers().contains_key("x-dead")
        })
        .build()
        .unwrap()
}

#[tokio::test]
async fn a_redirect_to_a_sign_in_page_of_another_host_is_healed_where_the_rule_says_so() {
    // K29, C10
    let page = Api::that_takes(|_| false).await;
    page.always(Reply::new(200).body("<form>"));
    for (place, tokens) in [("signin", 2), ("elsewhere", 1)] {
        let mut parts = Parts::new().await;
        parts.source = signing_in(&parts);
        let there = format!("{}/{place}", page.url());
        parts.api.then(Reply::new(302).header("location", there));
        assert_eq!(parts.call().await.status(), 200);
        assert_eq!(parts.server.token_requests(), tokens, "{place}");
        assert_eq!(parts.api.seen().len(), tokens, "{place}");
        assert!(page.seen().iter().all(|seen| seen.token().is_none()));
    }
}

#[tokio::test]
async fn a_203_with_a_page_and_any_header_are_seen_by_the_rule_too() {
    // K29
    for (reply, refuses) in [
        (Reply::new(203).body("<html>"), 1),
        (Reply::new(200).header("x-dead", "yes"), 1),
        (Reply::new(401), 0),
    ] {
        let mut parts = Parts::new().await;
        parts.source = signing_in(&parts);
        assert_eq!(refreshes(&parts, reply).await, refuses);
    }
}

/// The challenge that a call finds in the extensions of this answer.
async fn challenge_in(reply: Reply) -> BearerChallenge {
    let parts = Parts::new().await;
    parts.api.always(reply);
    let answer = parts.call().await;
    answer
        .extensions()
        .get::<BearerChallenge>()
        .unwrap()
        .clone()
}

#[tokio::test]
async fn what_an_api_asks_for_reaches_the_caller_as_typed_values() {
    // C11
    let text =
        r#"Bearer realm="shop", error="insufficient_scope", scope="orders:read orders:write""#;
    for status in [400, 401, 403, 404] {
        let challenge = challenge_in(Reply::new(status).header(CHALLENGE, text)).await;
        assert!(challenge.is_insufficient_scope());
        assert_eq!(challenge.scope(), Some("orders:read orders:write"));
        assert_eq!(challenge.realm(), Some("shop"));
        assert!(!challenge.is_step_up() && !challenge.has_claims());
    }

    let text = r#"Bearer error="insufficient_user_authentication", acr_values="gold silver", max_age="300""#;
    let challenge = challenge_in(Reply::new(401).header(CHALLENGE, text)).await;
    assert!(challenge.is_step_up());
    assert_eq!(challenge.acr_values(), Some("gold silver"));
    assert_eq!(challenge.max_age(), Some(secs(300.0)));
}

#[tokio::test]
async fn a_healed_refusal_leaves_no_challenge_behind() {
    // C11
    let parts = Parts::new().await;
    parts
        .api
        .then(refusal_with(&[r#"Bearer error="invalid_token""#]));
    let answer = parts.call().await;
    assert_eq!(answer.status(), 200);
    assert!(answer.extensions().get::<BearerChallenge>().is_none());
}
