//! The answers that servers give, and any bytes.

use std::error::Error as _;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::endpoint::answer::{parse_revocation_answer, parse_token_answer};
use crate::endpoint::verdict::Asked;
use crate::error::{Error, ErrorKind, HowFar};
use crate::token::{LONGEST_LIFETIME, Lifetime, TokenResponse};

/// 1 January 2026: what is a lifetime, and what an end, depends on it.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600)
}

fn headers(content_type: Option<&str>) -> HeaderMap {
    content_type
        .map(|text| (http::header::CONTENT_TYPE, text.parse().unwrap()))
        .into_iter()
        .collect()
}

fn parse(status: u16, content_type: Option<&str>, body: &str) -> Result<TokenResponse, Error> {
    parse_as(Asked::OTHER, status, content_type, body)
}

fn parse_as(
    asked: Asked,
    status: u16,
    content_type: Option<&str>,
    body: &str,
) -> Result<TokenResponse, Error> {
    parse_token_answer(
        asked,
        StatusCode::from_u16(status).unwrap(),
        &headers(content_type),
        body.as_bytes(),
        now(),
    )
}

fn json_answer(status: u16, body: &str) -> Result<TokenResponse, Error> {
    parse(status, Some("application/json"), body)
}

fn ok(body: &str) -> TokenResponse {
    json_answer(200, body).unwrap_or_else(|error| panic!("{body}: {error}"))
}

#[track_caller]
fn failed(
    answer: Result<TokenResponse, Error>,
    kind: ErrorKind,
    delivery: HowFar,
    code: Option<&str>,
) -> Error {
    let error = answer.expect_err("no token");
    assert_eq!(error.kind(), kind, "{error:?}");
    assert_eq!(error.how_far(), delivery, "{error:?}");
    assert_eq!(error.oauth_code(), code, "{error:?}");
    error
}

#[test]
fn every_form_of_expires_in_is_read_and_nothing_overflows() {
    // B11
    let stated = |seconds: f64| Lifetime::Stated(Duration::from_secs_f64(seconds));
    let longest = Lifetime::Stated(LONGEST_LIFETIME);
    for (text, lifetime) in [
        ("3600", stated(3600.0)),
        ("3600.0", stated(3600.0)),
        ("299.5", stated(299.5)),
        ("3.6e3", stated(3600.0)),
        (r#""3600""#, stated(3600.0)),
        (r#"" 3600 ""#, stated(3600.0)),
        (r#""3600.5""#, stated(3600.5)),
        ("0.25", stated(0.25)),
        ("315360000", longest),
        ("315360001", longest),
        ("315359999", stated(315_359_999.0)),
        ("18446744073709551615", longest),
        ("18446744073709551616", longest),
        ("1e300", longest),
        (r#""1e999""#, longest),
        (r#""99999999999999999999999999""#, longest),
        ("0", Lifetime::Spent),
        ("-0.0", Lifetime::Spent),
        ("-1", Lifetime::Spent),
        ("1e-300", Lifetime::Spent),
        ("-9223372036854775808", Lifetime::Spent),
        (r#""0""#, Lifetime::Spent),
        (r#""-1e999""#, Lifetime::Spent),
        ("null", Lifetime::Unstated),
        ("true", Lifetime::Unstated),
        ("[3600]", Lifetime::Unstated),
        (r#"{"seconds":3600}"#, Lifetime::Unstated),
        (r#""""#, Lifetime::Unstated),
        (r#""soon""#, Lifetime::Unstated),
        (r#""NaN""#, Lifetime::Unstated),
        (r#""inf""#, Lifetime::Unstated),
        (r#""-infinity""#, Lifetime::Unstated),
        (r#""3600s""#, Lifetime::Unstated),
        (r#""1 000""#, Lifetime::Unstated),
        (r#""e""#, Lifetime::Unstated),
    ] {
        let body = format!(r#"{{"access_token":"a","expires_in":{text}}}"#);
        assert_eq!(ok(&body).lifetime, lifetime, "{text}");
    }
    assert_eq!(ok(r#"{"access_token":"a"}"#).lifetime, Lifetime::Unstated);
}

#[test]
fn a_refresh_in_is_read_like_a_lifetime() {
    // B10
    for (text, hint) in [
        ("1800", Some(1_800_000)),
        (r#""1800.5""#, Some(1_800_500)),
        ("0", None),
        ("-1", None),
        ("null", None),
        (r#""soon""#, None),
    ] {
        let body = format!(r#"{{"access_token":"a","refresh_in":{text}}}"#);
        let read = ok(&body).refresh_in.map(|after| after.as_millis());
        assert_eq!(read, hint, "{text}");
    }
}

#[test]
fn a_token_of_any_other_type_or_of_none_is_a_bearer_token() {
    // E5
    for member in [
        "",
        r#","token_type":"Bearer""#,
        r#","token_type":"bearer""#,
        r#","token_type":"BEARER""#,
        r#","token_type":null"#,
        r#","token_type":"""#,
        r#","token_type":"User Access Token""#,
        r#","token_type":1"#,
        r#","token_type":{}"#,
    ] {
        ok(&format!(r#"{{"access_token":"a"{member}}}"#));
    }
}

#[test]
fn a_token_whose_type_needs_a_proof_or_is_none_is_an_error() {
    // K2, E5
    for kind in ["DPoP", "dpop", " POP ", "N_A", "mac", "HMAC"] {
        let body = format!(r#"{{"access_token":"canary","token_type":"{kind}"}}"#);
        let error = failed(
            json_answer(200, &body),
            ErrorKind::Protocol,
            HowFar::Unusable,
            None,
        );
        assert!(!error.to_string().contains("canary"), "{error}");
    }
}

#[test]
fn all_members_are_read_and_unknown_ones_are_kept() {
    // E5
    let response = ok(concat!(
        "\u{feff} ",
        r#"{"created_at":1767225600,"scope":"read write","id_token":"i.d.t","#,
        r#""issued_token_type":"urn:x","refresh_token":"r","expires_in":1,"expires_in":299,"#,
        r#""token_type":"Bearer","access_token":"a.b-c_d~e+f/g=="}"#
    ));
    assert_eq!(response.access_token.expose(), "a.b-c_d~e+f/g==");
    assert_eq!(
        response.lifetime,
        Lifetime::Stated(Duration::from_secs(299))
    );
    assert_eq!(response.scope.as_deref(), Some("read write"));
    assert_eq!(
        response
            .refresh_token
            .map(|token| token.expose().to_owned()),
        Some("r".into())
    );
    assert_eq!(
        response.id_token.map(|token| token.expose().to_owned()),
        Some("i.d.t".into())
    );
    assert_eq!(
        Value::Object(response.members),
        json!({"created_at": 1_767_225_600, "issued_token_type": "urn:x"})
    );
}

#[test]
fn odd_members_that_are_not_needed_do_no_harm() {
    // E5
    let response = ok(
        r#"{"access_token":"a","refresh_token":"","id_token":null,"scope":["a","b"],"error":null}"#,
    );
    assert!(response.refresh_token.is_none() && response.id_token.is_none());
    assert_eq!(response.scope.as_deref(), Some("a b"));
    let response = ok(r#"{"access_token":"a","refresh_token":7,"scope":7,"error":""}"#);
    assert!(response.refresh_token.is_none() && response.scope.is_none());
}

#[test]
fn an_answer_without_a_usable_token_is_a_protocol_error_with_status_and_content_type() {
    // E5, D7
    for (content_type, body, said) in [
        (
            Some("text/html; charset=utf-8"),
            "<html>canary</html>",
            "(status 200, content type text/html)",
        ),
        (
            Some("application/json"),
            "",
            "has no body (status 200, content type application/json)",
        ),
        (None, "", "(status 200, no content type)"),
        (
            Some("Application/JSON"),
            r#"{"canary":1}"#,
            "has no `access_token` (status 200, content type application/json)",
        ),
        (
            Some("canary"),
            r#"{"access_token":null}"#,
            "a content type that cannot be read",
        ),
        (
            Some("text/can ary"),
            r#"{"access_token":""}"#,
            "a content type that cannot be read",
        ),
        (
            Some("a/b/canary"),
            r#"{"access_token":{"canary":1}}"#,
            "a content type that cannot be read",
        ),
        (
            None,
            r#"{"access_token":"canary\r\nX: y"}"#,
            "no header can carry",
        ),
        (None, r#"{"access_token":"can ary"}"#, "no header can carry"),
        (None, r#"["canary"]"#, "is not a JSON object"),
        (None, r#"{"access_token":"canary""#, "is not a JSON object"),
        (
            None,
            r#"{"access_token":"canary"} canary"#,
            "is not a JSON object",
        ),
        (
            None,
            r#"{"access_token":"canary","error":{"code":"canary"}}"#,
            "has an `error` that is no text",
        ),
    ] {
        let answer = parse(200, content_type, body);
        // K4, E3: whatever it looks like, what was spent may be spent.
        let error = failed(answer, ErrorKind::Protocol, HowFar::Unusable, None);
        assert!(error.to_string().contains(said), "{error}");
        assert!(
            !format!("{error} {error:?}").contains("canary"),
            "{error:?}"
        );
        assert!(error.source().is_none());
    }
    let long = format!("text/{}", "canary".repeat(20));
    let error = parse(200, Some(&long), "").expect_err("no token");
    assert!(!error.to_string().contains("canary"), "{error}");
}

#[test]
fn a_deeply_nested_answer_is_an_error_and_no_overflow() {
    // E5
    for depth in [1_000, 500_000] {
        let body = format!(r#"{{"access_token":"a","x":{}"#, "[".repeat(depth));
        failed(
            json_answer(200, &body),
            ErrorKind::Protocol,
            HowFar::Unusable,
            None,
        );
    }
}

#[test]
fn the_oauth_code_is_read_for_every_status_and_label() {
    // E5, E8
    use ErrorKind::{Rejected, SignInRequired};
    for status in [200, 201, 302, 400, 401, 403, 404, 405, 418] {
        for (code, kind) in [
            ("invalid_grant", SignInRequired),
            ("interaction_required", SignInRequired),
            ("login_required", SignInRequired),
            ("consent_required", SignInRequired),
            ("invalid_client", Rejected),
            ("unauthorized_client", Rejected),
            ("unsupported_grant_type", Rejected),
            ("invalid_scope", Rejected),
            ("invalid_target", Rejected),
            ("invalid_request", Rejected),
            ("access_denied", Rejected),
            ("slow_down", Rejected),
            ("authorization_pending", Rejected),
            ("expired_token", Rejected),
            ("unsupported_token_type", Rejected),
        ] {
            let body = format!(
                r#"{{"access_token":"canary","error_description":"canary","error":"{code}"}}"#
            );
            let answer = parse(status, Some("text/html"), &body);
            let error = failed(answer, kind, HowFar::Answered, Some(code));
            assert!(!error.is_transient());
            assert!(
                !format!("{error} {error:?}").contains("canary"),
                "{error:?}"
            );
        }
    }
}

#[test]
fn a_code_that_no_rfc_names_is_a_refusal_and_is_not_printed() {
    // D6, IDPS: `scope_invalid`
    for code in ["scope_invalid", "canary", "INVALID_GRANT", "invalid_grants"] {
        let answer = json_answer(400, &format!(r#"{{"error":"{code}"}}"#));
        let error = failed(answer, ErrorKind::Rejected, HowFar::Answered, None);
        assert!(!format!("{error} {error:?}").contains(code), "{error:?}");
        assert!(!error.is_unspecific_refusal());
    }
}

#[test]
fn a_server_that_says_it_is_in_trouble_is_unavailable() {
    // E3
    use ErrorKind::Unavailable;
    let answer = json_answer(400, r#"{"error":"server_error"}"#);
    failed(answer, Unavailable, HowFar::Failed, Some("server_error"));
    let answer = json_answer(200, r#"{"error":"temporarily_unavailable"}"#);
    failed(
        answer,
        Unavailable,
        HowFar::TurnedAway,
        Some("temporarily_unavailable"),
    );
}

#[test]
fn a_code_echoed_by_a_failing_server_is_never_a_verdict() {
    // E3
    for (status, delivery) in [
        (408, HowFar::Lost),
        (429, HowFar::TurnedAway),
        (500, HowFar::Failed),
        (501, HowFar::Lost),
        (502, HowFar::Lost),
        (503, HowFar::TurnedAway),
        (504, HowFar::Lost),
        (520, HowFar::Lost),
    ] {
        for body in [
            "",
            "<html>",
            r#"{"error":"invalid_grant"}"#,
            r#"{"access_token":"a"}"#,
        ] {
            let error = failed(
                json_answer(status, body),
                ErrorKind::Unavailable,
                delivery,
                None,
            );
            assert!(error.is_transient() && !error.is_unspecific_refusal());
        }
    }
}

#[test]
fn only_a_400_that_says_invalid_request_or_nothing_is_unspecific() {
    // F5
    let unspecific = |status, content_type, body| {
        let error = parse(status, content_type, body).expect_err("no token");
        (error.kind(), error.is_unspecific_refusal())
    };
    let json = Some("application/json");
    let problem = Some("application/problem+json");
    for (status, content_type, body, kind, expected) in [
        // glewlwyd
        (400, None, "", ErrorKind::Rejected, true),
        (400, None, " \r\n", ErrorKind::Rejected, true),
        (
            400,
            json,
            r#"{"error":"invalid_request"}"#,
            ErrorKind::Rejected,
            true,
        ),
        (
            400,
            problem,
            r#"{"title":"Bad Request"}"#,
            ErrorKind::Rejected,
            true,
        ),
        (
            400,
            json,
            r#"{"error":{"message":"x"}}"#,
            ErrorKind::Rejected,
            true,
        ),
        // A proxy's page, not the token endpoint's word.
        (400, Some("text/html"), "<html>", ErrorKind::Protocol, false),
        (
            400,
            json,
            r#"{"error":"invalid_client"}"#,
            ErrorKind::Rejected,
            false,
        ),
        (
            400,
            json,
            r#"{"error":"scope_invalid"}"#,
            ErrorKind::Rejected,
            false,
        ),
        (
            401,
            json,
            r#"{"error":"invalid_request"}"#,
            ErrorKind::Rejected,
            false,
        ),
        (401, None, "", ErrorKind::Rejected, false),
        (
            401,
            Some("text/plain"),
            "Unauthorized",
            ErrorKind::Rejected,
            false,
        ),
        (403, None, "", ErrorKind::Rejected, false),
        (403, Some("text/html"), "<html>", ErrorKind::Protocol, false),
        (
            404,
            Some("text/plain"),
            "Not Found",
            ErrorKind::Protocol,
            false,
        ),
        (405, None, "", ErrorKind::Protocol, false),
        (307, None, "", ErrorKind::Protocol, false),
    ] {
        let read = unspecific(status, content_type, body);
        assert_eq!(read, (kind, expected), "{status} {content_type:?} {body}");
    }
}

#[test]
fn an_answer_to_a_refresh_that_may_mean_a_dead_refresh_token_is_unspecific() {
    // K9, F5
    let json = Some("application/json");
    for (status, body, expected) in [
        (400, "", true),
        (400, r#"{"error":"invalid_request"}"#, true),
        (403, r#"{"error":"unauthorized_client"}"#, true),
        (401, r#"{"error":"invalid_token"}"#, true),
        (401, r#"{"error":{"message":"x","code":"x"}}"#, true),
        (401, r#"{"error":{"message":"x","code":401}}"#, true),
        // Wrong client credentials.
        (401, "", false),
        (401, "{}", false),
        (401, r#"{"message":"Unauthorized"}"#, false),
        (401, r#"{"error":"invalid_client"}"#, false),
        (401, r#"{"error":{"code":"invalid_client"}}"#, false),
        (403, "", false),
        (403, r#"{"error":{"message":"x"}}"#, false),
    ] {
        let error = parse_as(Asked::REFRESH, status, json, body).expect_err("no token");
        assert_eq!(error.kind(), ErrorKind::Rejected, "{status} {body}");
        assert_eq!(error.is_unspecific_refusal(), expected, "{status} {body}");
        let other = json_answer(status, body).expect_err("no token");
        assert_eq!(
            other.is_unspecific_refusal(),
            expected && status == 400,
            "{status} {body}"
        );
    }
}

#[test]
fn a_403_that_asks_for_a_pause_and_gives_no_code_has_turned_the_request_away() {
    // K17, E3
    for (body, kind, delivery, code) in [
        ("<html>", ErrorKind::Unavailable, HowFar::TurnedAway, None),
        ("", ErrorKind::Unavailable, HowFar::TurnedAway, None),
        (
            r#"{"error":{"code":403}}"#,
            ErrorKind::Unavailable,
            HowFar::TurnedAway,
            None,
        ),
        (
            r#"{"error":"invalid_client"}"#,
            ErrorKind::Rejected,
            HowFar::Answered,
            Some("invalid_client"),
        ),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("30"));
        let status = StatusCode::FORBIDDEN;
        for asked in [Asked::REFRESH, Asked::OTHER] {
            let answer = parse_token_answer(asked, status, &headers, body.as_bytes(), now());
            let error = failed(answer, kind, delivery, code);
            assert_eq!(error.retry_after(), Some(Duration::from_secs(30)), "{body}");
        }
    }
}

#[test]
fn an_error_has_the_words_of_the_server_and_does_not_show_them() {
    // K14, D6
    let words = |status: u16, content_type, body: &str| {
        let error = parse(status, content_type, body).expect_err("no token");
        let shown = format!("{error} {error:?} {error:#?}");
        assert!(!shown.contains("canary"), "{shown}");
        let response = error.error_response().expect("an answer came").clone();
        assert_eq!(response.status().as_u16(), status);
        response
    };
    let response = words(
        401,
        Some("application/json"),
        r#"{"error":"invalid_client","error_description":"canary","error_uri":"https://canary","trace_id":"canary"}"#,
    );
    assert_eq!(response.error(), Some("invalid_client"));
    assert_eq!(response.error_description(), Some("canary"));
    assert_eq!(response.error_uri(), Some("https://canary"));
    assert_eq!(response.member("trace_id"), Some(&json!("canary")));
    let own = words(400, None, r#"{"error":"canary-7"}"#);
    assert_eq!(own.error(), Some("canary-7"));
    let form = "application/x-www-form-urlencoded";
    let form = words(200, Some(form), "error=canary&error_description=a+canary");
    assert_eq!(form.error_description(), Some("a canary"));
    let in_trouble = words(503, None, r#"{"error":"canary"}"#);
    assert_eq!(in_trouble.error(), Some("canary"));
    let unusable = words(
        200,
        None,
        r#"{"message":"canary","data":{"access_token":"canary"}}"#,
    );
    assert_eq!(unusable.member("message"), Some(&json!("canary")));
    assert_eq!(unusable.member("data"), Some(&json!({})));
    let broken = words(400, None, "{\"error\":\"invalid_grant\",\"x\":\"a\nb\"}");
    assert_eq!(broken.error(), Some("invalid_grant"));
    let page = words(404, Some("text/html"), "<html>canary");
    assert_eq!((page.error(), page.error_description()), (None, None));
    let large = format!(
        r#"{{"error":"invalid_grant","error_description":"{}"}}"#,
        "x".repeat(16_384)
    );
    let large = words(400, None, &large);
    assert_eq!(
        (large.error(), large.error_description()),
        (Some("invalid_grant"), None)
    );
}

#[test]
fn a_retry_after_is_kept_for_every_status() {
    // B5
    for (status, body) in [
        (400, ""),
        (401, ""),
        (429, ""),
        (503, ""),
        (200, "x"),
        (302, ""),
    ] {
        let mut headers = HeaderMap::new();
        headers.insert("retry-after", HeaderValue::from_static("7"));
        let status = StatusCode::from_u16(status).unwrap();
        let error = parse_token_answer(Asked::OTHER, status, &headers, body.as_bytes(), now())
            .expect_err("no token");
        assert_eq!(
            error.retry_after(),
            Some(Duration::from_secs(7)),
            "{status}"
        );
    }
}

#[test]
fn a_revocation_succeeds_with_a_200_whatever_the_body() {
    // F10
    let answer = |status: u16, body: &str| {
        let status = StatusCode::from_u16(status).unwrap();
        parse_revocation_answer(status, &HeaderMap::new(), body.as_bytes(), now())
    };
    for body in ["", "<html>", r#"{"error":"invalid_request"}"#, "{}"] {
        assert!(answer(200, body).is_ok(), "{body}");
    }
    let error = answer(400, r#"{"error":"unsupported_token_type"}"#).expect_err("refused");
    assert_eq!(error.oauth_code(), Some("unsupported_token_type"));
    // K14
    let response = error.error_response().expect("an answer came");
    assert_eq!(response.error(), Some("unsupported_token_type"));
    assert!(answer(503, "").is_err() && answer(302, "").is_err());
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "[ -~]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[a-z_]{0,8}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_a_panic(
        status in 100_u16..1000,
        content_type in proptest::collection::vec(any::<u8>(), 0..40),
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        // E5
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::from_bytes(&content_type) {
            headers.insert(http::header::CONTENT_TYPE, value);
        }
        let status = StatusCode::from_u16(status).unwrap();
        for asked in [Asked::REFRESH, Asked::OTHER] {
            let _ = parse_token_answer(asked, status, &headers, &body, now());
        }
    }

    #[test]
    fn a_token_comes_only_from_a_success_without_an_error(
        status in 200_u16..600,
        members in proptest::collection::btree_map(
            prop_oneof![
                Just("access_token".to_owned()),
                Just("token_type".to_owned()),
                Just("expires_in".to_owned()),
                Just("refresh_in".to_owned()),
                Just("scope".to_owned()),
                Just("error".to_owned()),
            ],
            any_json(),
            0..6,
        ),
    ) {
        // E5, B11, D7
        let object = Value::Object(members.clone().into_iter().collect());
        if let Ok(response) = json_answer(status, &object.to_string()) {
            prop_assert!((200..300).contains(&status));
            let harmless = [Value::Null, json!(""), json!(false)];
            let refused = members.get("error").is_some_and(|error| !harmless.contains(error));
            prop_assert!(!refused);
            let token = response.access_token.expose();
            prop_assert_eq!(Some(token), members["access_token"].as_str());
            let header = HeaderValue::from_str(&format!("Bearer {token}"));
            prop_assert!(header.is_ok());
            if let Lifetime::Stated(lifetime) = response.lifetime {
                prop_assert!(!lifetime.is_zero() && lifetime <= LONGEST_LIFETIME);
            }
        }
    }

    #[test]
    fn no_answer_ends_a_session_or_shows_itself_unless_it_says_that_the_refresh_token_is_dead(
        status in prop_oneof![Just(200_u16), Just(400), Just(401), 200_u16..600],
        members in proptest::collection::btree_map(
            prop_oneof![
                Just("error".to_owned()),
                Just("code".to_owned()),
                Just("status".to_owned()),
                Just("error_code".to_owned()),
                Just("error_description".to_owned()),
                Just("suberror".to_owned()),
                Just("message".to_owned()),
            ],
            prop_oneof![
                Just(json!("invalid_request")),
                Just(json!("unauthorized_client")),
                Just(json!("invalid_token")),
                Just(json!("access_denied")),
                Just(json!("server_error")),
                Just(json!("canary invalid_grant")),
                Just(json!({ "code": "canary", "type": "canary" })),
                any_json(),
            ],
            0..6,
        ),
        cut in 0_usize..200,
        form in any::<bool>(),
    ) {
        // K9, K10, F5, D6: whole, cut anywhere, and as a form.
        let (label, mut body) = if form {
            let texts = members.iter().map(|(name, value)| {
                (name, value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned))
            });
            let mut body = form_urlencoded::Serializer::new(String::new());
            ("application/x-www-form-urlencoded", body.extend_pairs(texts).finish())
        } else {
            let object = Value::Object(members.into_iter().collect());
            ("application/json", object.to_string())
        };
        if cut < body.len() && body.is_char_boundary(cut) {
            body.truncate(cut);
        }
        if let Err(error) = parse_as(Asked::REFRESH, status, Some(label), &body) {
            prop_assert_ne!(error.kind(), ErrorKind::SignInRequired, "{} {}", status, body);
            let shown = format!("{error} {error:?}");
            prop_assert!(!shown.contains("canary"), "{}", shown);
        }
    }

    #[test]
    fn a_number_and_its_text_are_the_same_lifetime(eighths in any::<i64>()) {
        // B11: eighths have exact decimals, so that no parser has anything to round.
        let seconds = (eighths >> 16) as f64 / 8.0;
        let number = json!({"access_token": "a", "expires_in": seconds}).to_string();
        let text = json!({"access_token": "a", "expires_in": seconds.to_string()}).to_string();
        prop_assert_eq!(ok(&number).lifetime, ok(&text).lifetime);
    }
}
