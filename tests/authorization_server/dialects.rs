//! Servers that go their own ways in an answer: what they mean is understood, and nothing more.

use std::time::{Duration, SystemTime};

use reqwest_bearer::{
    ClientAuthentication, Error, ErrorKind, Secret, TestClock, TokenEndpoint, TokenRequest,
    TokenSet,
};
use serde_json::{Value, json};
use wiremock::ResponseTemplate;

use crate::{public_client, request, server_with};

/// Monday, 1 June 2026, 12:00:00 GMT, as the servers here have it.
const DATE: &str = "Mon, 01 Jun 2026 12:00:00 GMT";
const DATE_SECONDS: u64 = 1_780_315_200;

async fn ask(grant_type: &str, answer: ResponseTemplate) -> Result<TokenSet, Error> {
    let server = server_with(answer).await;
    let request = TokenRequest::new(grant_type).secret_field("refresh_token", "r-0");
    let response = public_client(&server).request_token(request).await?;
    Ok(TokenSet::from_response(response, SystemTime::UNIX_EPOCH))
}

async fn refresh(answer: ResponseTemplate) -> Result<TokenSet, Error> {
    ask("refresh_token", answer).await
}

fn labelled(status: u16, body: impl Into<Vec<u8>>, label: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, label)
}

fn json_text(status: u16, body: &str) -> ResponseTemplate {
    labelled(status, body, "application/json")
}

fn text(secret: Option<&Secret>) -> Option<&str> {
    secret.map(Secret::expose)
}

/// The lifetime that an answer with these members states.
async fn lifetime(members: Value) -> Option<Duration> {
    let mut members = members;
    members["access_token"] = "t".into();
    let answer = ResponseTemplate::new(200)
        .insert_header("date", DATE)
        .set_body_json(&members);
    let tokens = refresh(answer).await.expect("a token");
    let end = tokens.expires_at()?;
    Some(end.duration_since(SystemTime::UNIX_EPOCH).expect("later"))
}

#[tokio::test]
async fn a_token_is_taken_byte_for_byte_whatever_characters_its_server_likes() {
    // K1, D7
    for good in [
        "00Dx0000000EXAM!AR8AQP0j_a.b",
        "Atza|IwEBI-_x",
        "v^1.1#i^1#f^0**",
        "AAAA%2FAAA%3DAAAA",
        "123|abc",
        "a,b;c=d\"e'\\<f>{g}[h]@i:j?k&l$m`n~",
        "=",
    ] {
        let answer = ResponseTemplate::new(200).set_body_json(json!({ "access_token": good }));
        let tokens = refresh(answer).await.expect("a token");
        assert_eq!(text(tokens.access_token()), Some(good));
    }
}

#[tokio::test]
async fn a_token_is_a_bearer_token_unless_its_type_needs_a_proof_or_is_none() {
    // K2, E5
    for good in [
        json!("User Access Token"),
        json!("Application Access Token"),
        json!("jwt-bearer"),
        json!("BearerToken"),
        json!("bot"),
        json!("user"),
        json!("access_token"),
        json!("urn:ietf:params:oauth:token-type:access_token"),
        json!(1),
        json!(["Bearer"]),
        json!({}),
    ] {
        let answer = json!({ "access_token": "t", "token_type": good });
        let tokens = refresh(ResponseTemplate::new(200).set_body_json(answer)).await;
        assert_eq!(text(tokens.expect("a token").access_token()), Some("t"));
    }
    for bad in [
        "DPoP", "dpop", "PoP", "pop", "mac", "MAC", "hmac", "N_A", "n_a",
    ] {
        let answer = json!({ "access_token": "t", "token_type": bad });
        let error = refresh(ResponseTemplate::new(200).set_body_json(answer)).await;
        assert_eq!(error.expect_err(bad).kind(), ErrorKind::Protocol, "{bad}");
    }
}

#[tokio::test]
async fn a_form_encoded_answer_is_read() {
    // K3, E5
    let body = "access_token=a2&token_type=bearer&expires_in=3600&refresh_token=r2\
                &scope=repo%2Cgist&refresh_token_expires_in=7200&x=%7C+y";
    for label in [
        "application/x-www-form-urlencoded",
        "Application/X-WWW-Form-Urlencoded; Charset=UTF-8",
        "text/plain;charset=utf-8",
    ] {
        let tokens = refresh(labelled(200, body, label)).await.expect(label);
        assert_eq!(text(tokens.access_token()), Some("a2"));
        assert_eq!(text(tokens.refresh_token()), Some("r2"));
        assert_eq!(tokens.scope(), Some("repo,gist"));
        assert_eq!(tokens.member("x"), Some(&json!("| y")));
        let hour = SystemTime::UNIX_EPOCH + Duration::from_secs(3600);
        assert_eq!(tokens.expires_at(), Some(hour));
    }
    // Facebook's older form.
    let tokens = refresh(labelled(
        200,
        "access_token=123|abc&expires=60\n",
        "text/plain",
    ))
    .await
    .expect("a token");
    assert_eq!(text(tokens.access_token()), Some("123|abc"));
    let minute = SystemTime::UNIX_EPOCH + Duration::from_secs(60);
    assert_eq!(tokens.expires_at(), Some(minute));
}

#[tokio::test]
async fn a_form_brings_no_token_that_json_could_not_bring() {
    // K3, D7
    let form = "application/x-www-form-urlencoded";
    for (body, label) in [
        ("access_token=a%0D%0AX:%20y", form),
        ("access_token=a+b", form),
        ("access_token=", form),
        ("access_token=a&token_type=DPoP", form),
        ("<html>access_token=a</html>", "text/plain"),
        ("Notice: x\naccess_token=a", "text/plain"),
        ("access_token=a", "text/html"),
        ("access_token=a", "application/json"),
        ("", form),
        ("<html>", form),
    ] {
        let error = refresh(labelled(200, body, label)).await.expect_err(body);
        assert_eq!(error.kind(), ErrorKind::Protocol, "{body}");
    }
}

#[tokio::test]
async fn an_error_in_a_form_is_read_for_every_status() {
    // K3, K9
    let form = "application/x-www-form-urlencoded";
    let body = "error=bad_refresh_token&error_description=The+refresh+token+passed+is+incorrect";
    let error = refresh(labelled(200, body, form)).await.expect_err("dead");
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    for status in [200, 400, 401] {
        let answer = labelled(status, "error=invalid_client", form);
        let error = refresh(answer).await.expect_err("refused");
        assert_eq!(error.oauth_code(), Some("invalid_client"));
    }
    let error = refresh(labelled(400, "error=invalid_grant&x=y", "text/plain"))
        .await
        .expect_err("refused");
    assert_eq!(error.oauth_code(), Some("invalid_grant"));
}

#[tokio::test]
async fn an_end_in_place_of_a_lifetime_is_understood_by_the_server_s_own_clock() {
    // K6, B11
    let seconds = |count: u64| Some(Duration::from_secs(count));
    let end = DATE_SECONDS + 600;
    for (members, expected) in [
        (json!({ "expires_in": end }), seconds(600)),
        (
            json!({ "expires_in": end * 1000 + 5 }),
            Some(Duration::from_millis(600_005)),
        ),
        (json!({ "expires_in": end.to_string() }), seconds(600)),
        (
            json!({ "expires_in": format!("{end}.5") }),
            Some(Duration::from_millis(600_500)),
        ),
        // An end that is over leaves what a lifetime of nothing leaves.
        (json!({ "expires_in": DATE_SECONDS - 3600 }), seconds(0)),
        // The edges of what is believed to be a point in time.
        (
            json!({ "expires_in": DATE_SECONDS + 400 * 86_400 }),
            seconds(400 * 86_400),
        ),
        (
            json!({ "expires_in": DATE_SECONDS + 400 * 86_400 + 1 }),
            seconds(315_360_000),
        ),
        (
            json!({ "expires_in": DATE_SECONDS - 3601 }),
            seconds(315_360_000),
        ),
        (json!({ "expires_in": 315_360_000 }), seconds(315_360_000)),
        (json!({ "expires_at": end }), seconds(600)),
        (json!({ "expires_at": end * 1000 }), seconds(600)),
        (json!({ "expires_on": end.to_string() }), seconds(600)),
        (
            json!({ "expires_at": "2026-06-01T12:10:00Z" }),
            seconds(600),
        ),
        (
            json!({ "expires_at": "2026-06-01T14:10:00.5+02:00" }),
            Some(Duration::from_millis(600_500)),
        ),
        (json!({ "expires_at": "2026-06-01 12:10:00" }), seconds(600)),
        (
            json!({ "expires_at": "2026-06-01T12:10:00+0000" }),
            seconds(600),
        ),
        (
            json!({ "expires_on": "06/01/2026 12:10:00 +00:00" }),
            seconds(600),
        ),
        (
            json!({ "expires_on": "6/1/2026 12:10:00 PM +00:00" }),
            seconds(600),
        ),
        (
            json!({ "expires_at": null, "expires_on": end }),
            seconds(600),
        ),
        // `expires_in` goes before the others, if it can be read.
        (
            json!({ "expires_in": 60, "expires_at": end, "expires_on": end }),
            seconds(60),
        ),
        (
            json!({ "expires_in": null, "expires_at": end }),
            seconds(600),
        ),
        (
            json!({ "expires_in": "soon", "expires_on": end }),
            seconds(600),
        ),
        // What is no point in time that can be meant says nothing.
        (json!({ "expires_at": 3600 }), None),
        (json!({ "expires_at": DATE_SECONDS + 401 * 86_400 }), None),
        (json!({ "expires_at": "2036-06-01T12:10:00Z" }), None),
        (json!({ "expires_at": "tomorrow" }), None),
        (json!({ "expires_at": [end] }), None),
        (json!({}), None),
    ] {
        assert_eq!(lifetime(members.clone()).await, expected, "{members}");
    }
}

#[tokio::test]
async fn a_server_without_a_date_is_read_by_our_clock() {
    // K6
    let clock = TestClock::new();
    clock.advance(Duration::from_secs(1_000));
    let end = clock.system_time() + Duration::from_secs(600);
    let end = end.duration_since(SystemTime::UNIX_EPOCH).expect("later");
    // hyper's servers put a `Date` on every answer that has none; one that cannot be read is none.
    let answer = ResponseTemplate::new(200)
        .insert_header("date", "today")
        .set_body_json(json!({ "access_token": "t", "expires_in": end.as_secs() }));
    let server = server_with(answer).await;
    let endpoint = TokenEndpoint::builder(ClientAuthentication::none("me"))
        .token_url(format!("{}/token", server.uri()))
        .clock(&clock)
        .build()
        .expect("settings");
    let response = endpoint.request_token(request()).await.expect("a token");
    let tokens = TokenSet::from_response(response, SystemTime::UNIX_EPOCH);
    let life = SystemTime::UNIX_EPOCH + Duration::from_secs(600);
    assert_eq!(tokens.expires_at(), Some(life));
}

#[tokio::test]
async fn a_refresh_token_that_is_dead_by_another_name_wants_a_sign_in() {
    // K9, F5
    for (status, body) in [
        (200, r#"{"error":"bad_refresh_token"}"#),
        (200, r#"{"ok":false,"error":"invalid_refresh_token"}"#),
        (200, r#"{"error":"invalid_code"}"#),
        (400, r#"{"error":"refresh_token_expired"}"#),
        (401, r#"{"error":"token_revoked"}"#),
        (
            401,
            r#"{"error":{"message":"Your refresh token has been invalidated.","code":"refresh_token_invalidated"}}"#,
        ),
        (401, r#"{"error":{"code":"refresh_token_reused"}}"#),
        (400, r#"{"error":"InvalidRefreshToken"}"#),
        (
            400,
            r#"{"error":"invalid_grant: Token is expired or invalid."}"#,
        ),
        (400, r#"{"error":"invalid_grant The token is over"}"#),
        (400, r#"{"error":" invalid_grant "}"#),
    ] {
        let error = refresh(json_text(status, body)).await.expect_err(body);
        assert_eq!(error.kind(), ErrorKind::SignInRequired, "{body}");
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[tokio::test]
async fn only_an_answer_to_a_refresh_can_say_that_a_refresh_token_is_dead() {
    // K9
    for code in ["bad_refresh_token", "invalid_code", "token_revoked"] {
        let answer = json_text(400, &json!({ "error": code }).to_string());
        let error = ask("authorization_code", answer).await.expect_err(code);
        assert_eq!(error.kind(), ErrorKind::Rejected, "{code}");
    }
    let answer = json_text(400, r#"{"error":"invalid_grant: no such code"}"#);
    let error = ask("authorization_code", answer).await.expect_err("dead");
    assert_eq!(error.oauth_code(), Some("invalid_grant"));
}

#[tokio::test]
async fn a_code_is_read_from_json_that_is_not_quite_json() {
    // K10
    for body in [
        "{\"error\":\"invalid_grant\",\"error_description\":\"one\ntwo\"}",
        "\u{feff} {\"error_description\":\"one\ttwo\r\n\",\"error\":\"invalid_grant\"}",
        r#"{"error_description":"it isn\'t","error":"invalid_grant"}"#,
        r#"{"error":"invalid_grant",}"#,
        r#"{"x":{"error":"canary","y":["}"]},"error":"invalid_grant","error_desc"#,
    ] {
        let error = refresh(json_text(400, body)).await.expect_err(body);
        assert_eq!(error.oauth_code(), Some("invalid_grant"), "{body}");
    }
    for body in [
        "{\"access_token\":\"t\",\"x\":\"one\ntwo\"}",
        r#"{"access_token":"t","expires_in":60,}"#,
        r#"Notice: {"access_token":"t"}"#,
        r#"{"access_token":"t"} {"error":""}"#,
    ] {
        let error = refresh(json_text(200, body)).await.expect_err(body);
        assert_eq!(error.kind(), ErrorKind::Protocol, "{body}");
    }
}

#[tokio::test]
async fn the_claims_for_the_next_sign_in_are_in_the_error() {
    // K12
    let claims = r#"{"access_token":{"capolids":{"essential":true,"values":["canary"]}}}"#;
    for (error, suberror) in [
        ("invalid_grant", "basic_action"),
        ("invalid_grant", "additional_action"),
        ("invalid_grant", "message_only"),
        ("invalid_grant", "consent_required"),
        ("interaction_required", ""),
    ] {
        let answer = json!({ "error": error, "suberror": suberror, "claims": claims });
        let answer = ResponseTemplate::new(400).set_body_json(answer);
        let error = refresh(answer).await.expect_err("no token");
        assert_eq!(error.kind(), ErrorKind::SignInRequired, "{suberror}");
        assert_eq!(error.claims(), Some(claims), "{suberror}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("canary"), "{shown}");
    }
    let answer = json!({ "error": "invalid_grant", "suberror": "bad_token", "claims": claims });
    let answer = ResponseTemplate::new(400).set_body_json(answer);
    let error = refresh(answer).await.expect_err("no token");
    assert_eq!(error.claims(), None);
}

#[tokio::test]
async fn the_words_of_the_server_are_read_on_request() {
    // K14
    let answer = ResponseTemplate::new(401).set_body_json(json!({
        "error": "invalid_client", "error_description": "AADSTS7000215: canary",
        "error_uri": "https://canary.test/", "error_codes": [7_000_215], "trace_id": "canary",
    }));
    let error = refresh(answer).await.expect_err("refused");
    let response = error.error_response().expect("an answer came");
    assert_eq!(response.status(), 401);
    assert_eq!(response.error(), Some("invalid_client"));
    assert_eq!(response.error_description(), Some("AADSTS7000215: canary"));
    assert_eq!(response.error_uri(), Some("https://canary.test/"));
    assert_eq!(response.member("error_codes"), Some(&json!([7_000_215])));
    let shown = format!("{error} {error:?} {response:?}");
    assert!(!shown.contains("canary"), "{shown}");
    let own = refresh(json_text(400, r#"{"error":"E0000011"}"#)).await;
    let own = own.expect_err("refused");
    let response = own.error_response().expect("an answer came");
    assert_eq!(response.error(), Some("E0000011"));
    let page = refresh(labelled(404, "<html>", "text/html")).await;
    let page = page.expect_err("refused");
    let response = page.error_response().expect("an answer came");
    assert_eq!((response.status().as_u16(), response.error()), (404, None));
}

#[tokio::test]
async fn a_token_set_says_when_its_refresh_token_ends() {
    // K8
    let answer = json!({ "access_token": "t", "refresh_token": "r", "x_refresh_token_expires_in": 8_640_000 });
    let tokens = refresh(ResponseTemplate::new(200).set_body_json(answer)).await;
    let tokens = tokens.expect("a token");
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(8_640_000);
    assert_eq!(tokens.refresh_token_expires_at(), Some(end));
    let member = tokens.member("x_refresh_token_expires_in");
    assert_eq!(member, Some(&json!(8_640_000)));
}

#[tokio::test]
async fn a_403_with_a_retry_after_and_no_code_is_a_server_that_wants_us_to_wait() {
    // K17
    for (body, label) in [
        ("<html>", "text/html"),
        ("", "text/html"),
        ("{}", "application/json"),
    ] {
        let answer = labelled(403, body, label).insert_header("retry-after", "30");
        let error = refresh(answer).await.expect_err("no token");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{body}");
        assert!(error.is_transient());
        let error = refresh(labelled(403, body, label))
            .await
            .expect_err("no token");
        assert!(!error.is_transient(), "{body}");
    }
    let answer = json_text(403, r#"{"error":"invalid_client"}"#).insert_header("retry-after", "9");
    let error = refresh(answer).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Rejected);
}
