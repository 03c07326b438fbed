//! What an answer of a token endpoint means: a pure function of status, headers and body.

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::endpoint::transport::status_says_all;
use crate::endpoint::verdict::{self, ErrorMember};
use crate::error::{Delivery, Error, ErrorKind};
use crate::retry_after;
use crate::secret::Secret;
use crate::token::{LONGEST_LIFETIME, Lifetime, TokenResponse, bearer_header};

/// Reads an answer to a token request (RFC 6749 sections 5.1 and 5.2). `now` is for a
/// `Retry-After` that is a date.
///
/// # Errors
/// Whatever is not a usable bearer token. No text of the body is in the error (D6).
pub(crate) fn parse_token_answer(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Result<TokenResponse, Error> {
    let object = read_object(body);
    let refused = object
        .as_ref()
        .is_some_and(|object| !matches!(verdict::error_member(object), ErrorMember::Absent));
    match object {
        // Some servers say 200 and mean an error (Slack, older GitHub).
        Some(object) if status.is_success() && !refused => {
            read_token(object).map_err(|problem| unusable(&problem, status, headers))
        }
        _ => Err(parse_refusal(status, headers, body, now)),
    }
}

/// Reads an answer to a revocation (RFC 7009 section 2.2): 200 is success, whatever the body.
pub(crate) fn parse_revocation_answer(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Result<(), Error> {
    if status.is_success() {
        return Ok(());
    }
    Err(parse_refusal(status, headers, body, now))
}

/// What an answer that brings no token means.
fn parse_refusal(status: StatusCode, headers: &HeaderMap, body: &[u8], now: SystemTime) -> Error {
    let object = read_object(body);
    let member = object.as_ref().map(verdict::error_member);
    let error = match member {
        _ if status_says_all(status) => failure(status),
        Some(ErrorMember::Code(code)) => verdict::of_code(&code, status),
        _ => without_code(status, headers, body, object.is_some()),
    };
    match pause(headers, now) {
        Some(pause) => error.with_retry_after(pause),
        None => error,
    }
}

/// `Retry-After`, which is heeded for every status.
pub(crate) fn pause(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    retry_after::parse(headers.get(RETRY_AFTER)?, now)
}

/// A failure that the status alone tells.
pub(crate) fn failure(status: StatusCode) -> Error {
    let (delivery, what) = match status {
        StatusCode::TOO_MANY_REQUESTS => (Delivery::TurnedAway, "wants fewer requests"),
        StatusCode::SERVICE_UNAVAILABLE => (Delivery::TurnedAway, "is not available"),
        StatusCode::INTERNAL_SERVER_ERROR => (Delivery::Failed, "failed"),
        // A proxy or a timer spoke; whether the server did its work nobody knows.
        _ => (Delivery::Lost, "gave no answer of its own"),
    };
    let status = status.as_u16();
    Error::new(
        ErrorKind::Unavailable,
        format!("the authorization server {what} (status {status})"),
    )
    .delivery(delivery)
}

/// An answer that is no OAuth answer: status and content type say where to look, and the body
/// stays unprinted.
pub(crate) fn unusable(problem: &str, status: StatusCode, headers: &HeaderMap) -> Error {
    Error::protocol(format!(
        "the authorization server's answer {problem} (status {}, {})",
        status.as_u16(),
        content_type(headers)
    ))
}

/// A refusal without an `error` code that can be read.
fn without_code(status: StatusCode, headers: &HeaderMap, body: &[u8], is_object: bool) -> Error {
    let silent = is_object || body.trim_ascii().is_empty();
    match status {
        // A proxy's HTML page with a 400 does not come from the token endpoint, so it must not
        // count towards the death of a refresh token (F5).
        StatusCode::BAD_REQUEST if silent => refused(status, headers).unspecific(),
        // Wrong client credentials are answered with whatever the web framework has for a 401.
        StatusCode::UNAUTHORIZED => refused(status, headers),
        StatusCode::FORBIDDEN if silent => refused(status, headers),
        _ if status.is_redirection() => {
            unusable("is a redirect, and those are not followed", status, headers)
        }
        _ if !status.is_success() => unusable("is no OAuth error", status, headers),
        _ if is_object => unusable("has an `error` that is no text", status, headers),
        _ if body.is_empty() => unusable("has no body", status, headers),
        _ => unusable("is not a JSON object", status, headers),
    }
}

fn refused(status: StatusCode, headers: &HeaderMap) -> Error {
    Error::new(
        ErrorKind::Rejected,
        format!(
            "the authorization server refused the request without an OAuth error code; check the \
             client credentials and the parameters (status {}, {})",
            status.as_u16(),
            content_type(headers)
        ),
    )
}

/// Type and subtype alone, and only if they look like that: the rest could hold anything.
fn content_type(headers: &HeaderMap) -> String {
    const LONGEST: usize = 80;
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return "no content type".to_owned();
    };
    let essence = value
        .to_str()
        .ok()
        .and_then(|text| text.split(';').next())
        .map(|essence| essence.trim().to_ascii_lowercase())
        .filter(|essence| {
            let is_token = |part: &str| {
                !part.is_empty()
                    && part
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || b"+-._".contains(&byte))
            };
            essence.len() <= LONGEST
                && essence
                    .split_once('/')
                    .is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
        });
    match essence {
        Some(essence) => format!("content type {essence}"),
        None => "a content type that cannot be read".to_owned(),
    }
}

fn read_object(body: &[u8]) -> Option<Map<String, Value>> {
    // Servers on .NET have been seen to begin with a byte order mark.
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    serde_json::from_slice(text).ok()
}

/// The token in an answer that reports no error; otherwise what is wrong with it.
fn read_token(mut members: Map<String, Value>) -> Result<TokenResponse, String> {
    check_token_type(members.remove("token_type").as_ref())?;
    let access_token = match members.remove("access_token") {
        Some(Value::String(text)) if !text.is_empty() => Secret::new(text),
        Some(Value::String(_)) => return Err("has an empty `access_token`".to_owned()),
        Some(_) => return Err("has an `access_token` that is no text".to_owned()),
        None => return Err("has no `access_token`".to_owned()),
    };
    if bearer_header(&access_token).is_err() {
        return Err(
            "has an `access_token` with characters that no bearer token may have \
                    (RFC 6750 section 2.1)"
                .to_owned(),
        );
    }
    let refresh_in = match read_lifetime(members.remove("refresh_in").as_ref()) {
        Lifetime::Stated(after) => Some(after),
        Lifetime::Unstated | Lifetime::Spent => None,
    };
    Ok(TokenResponse {
        access_token,
        lifetime: read_lifetime(members.remove("expires_in").as_ref()),
        refresh_in,
        refresh_token: take_secret(&mut members, "refresh_token"),
        id_token: take_secret(&mut members, "id_token"),
        scope: read_scope(members.remove("scope")),
        asked_scope: None,
        members,
    })
}

/// RFC 6749 section 7.1: a client must not use a token whose type it does not understand.
fn check_token_type(value: Option<&Value>) -> Result<(), String> {
    let text = match value {
        None | Some(Value::Null) => return Ok(()),
        Some(Value::String(text)) => text.as_str(),
        Some(_) => return Err("has a `token_type` that is no text".to_owned()),
    };
    if text.is_empty() || text.eq_ignore_ascii_case("bearer") {
        return Ok(());
    }
    // Only registered names are printed; anything else is the server's text.
    let name = ["DPoP", "N_A", "PoP", "mac"]
        .into_iter()
        .find(|name| text.eq_ignore_ascii_case(name));
    Err(match name {
        Some(name) => format!("brings a token of the type {name}, which is no bearer token"),
        None => "brings a token that is no bearer token".to_owned(),
    })
}

/// `expires_in` and `refresh_in` in all the forms that servers use (B11).
fn read_lifetime(value: Option<&Value>) -> Lifetime {
    let seconds = match value {
        Some(Value::Number(number)) => number.as_f64(),
        Some(Value::String(text)) => read_number(text.trim()),
        _ => None,
    };
    let Some(seconds) = seconds else {
        return Lifetime::Unstated;
    };
    if seconds <= 0.0 {
        return Lifetime::Spent;
    }
    // What is too long for a duration is longer than ten years, too.
    let lifetime = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_LIFETIME);
    if lifetime.is_zero() {
        return Lifetime::Spent;
    }
    Lifetime::Stated(lifetime.min(LONGEST_LIFETIME))
}

/// Only digits and what goes with them: "inf", "NaN" and "infinity" are no numbers here.
fn read_number(text: &str) -> Option<f64> {
    let is_numeric = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if is_numeric { text.parse().ok() } else { None }
}

fn take_secret(members: &mut Map<String, Value>, name: &str) -> Option<Secret> {
    match members.remove(name) {
        Some(Value::String(text)) if !text.is_empty() => Some(Secret::new(text)),
        _ => None,
    }
}

/// A text by RFC 6749 section 3.3; a few servers send a list.
fn read_scope(value: Option<Value>) -> Option<String> {
    match value? {
        Value::String(scope) => Some(scope),
        Value::Array(scopes) => {
            let scopes: Option<Vec<&str>> = scopes.iter().map(Value::as_str).collect();
            scopes.map(|scopes| scopes.join(" "))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;
    use std::time::{Duration, SystemTime};

    use http::{HeaderMap, HeaderValue, StatusCode};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{parse_revocation_answer, parse_token_answer};
    use crate::error::{Delivery, Error, ErrorKind};
    use crate::token::{LONGEST_LIFETIME, Lifetime, TokenResponse};

    fn headers(content_type: Option<&str>) -> HeaderMap {
        content_type
            .map(|text| (http::header::CONTENT_TYPE, text.parse().unwrap()))
            .into_iter()
            .collect()
    }

    fn parse(status: u16, content_type: Option<&str>, body: &str) -> Result<TokenResponse, Error> {
        parse_token_answer(
            StatusCode::from_u16(status).unwrap(),
            &headers(content_type),
            body.as_bytes(),
            SystemTime::UNIX_EPOCH,
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
        delivery: Delivery,
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
    fn a_bearer_token_is_one_in_any_case_and_where_the_type_is_missing() {
        // E5
        for member in [
            "",
            r#","token_type":"Bearer""#,
            r#","token_type":"bearer""#,
            r#","token_type":"BEARER""#,
            r#","token_type":null"#,
            r#","token_type":"""#,
        ] {
            ok(&format!(r#"{{"access_token":"a"{member}}}"#));
        }
    }

    #[test]
    fn a_token_of_another_type_is_an_error() {
        // E5
        for kind in [
            r#""DPoP""#,
            r#""dpop""#,
            r#""N_A""#,
            r#""mac""#,
            r#""canary""#,
            "1",
            "{}",
        ] {
            let body = format!(r#"{{"access_token":"a","token_type":{kind}}}"#);
            let error = failed(
                json_answer(200, &body),
                ErrorKind::Protocol,
                Delivery::Answered,
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
            (None, r#"{"access_token":"canary\r\nX: y"}"#, "RFC 6750"),
            (None, r#"{"access_token":"can ary"}"#, "RFC 6750"),
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
            let error = failed(answer, ErrorKind::Protocol, Delivery::Answered, None);
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
                Delivery::Answered,
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
                let error = failed(answer, kind, Delivery::Answered, Some(code));
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
        for code in ["scope_invalid", "canary", "INVALID_GRANT", "invalid_grant "] {
            let answer = json_answer(400, &format!(r#"{{"error":"{code}"}}"#));
            let error = failed(answer, ErrorKind::Rejected, Delivery::Answered, None);
            assert!(!format!("{error} {error:?}").contains(code), "{error:?}");
            assert!(!error.is_unspecific_refusal());
        }
    }

    #[test]
    fn a_server_that_says_it_is_in_trouble_is_unavailable() {
        // E3
        use ErrorKind::Unavailable;
        let answer = json_answer(400, r#"{"error":"server_error"}"#);
        failed(answer, Unavailable, Delivery::Failed, Some("server_error"));
        let answer = json_answer(200, r#"{"error":"temporarily_unavailable"}"#);
        failed(
            answer,
            Unavailable,
            Delivery::TurnedAway,
            Some("temporarily_unavailable"),
        );
    }

    #[test]
    fn a_code_echoed_by_a_failing_server_is_never_a_verdict() {
        // E3
        for (status, delivery) in [
            (408, Delivery::Lost),
            (429, Delivery::TurnedAway),
            (500, Delivery::Failed),
            (501, Delivery::Lost),
            (502, Delivery::Lost),
            (503, Delivery::TurnedAway),
            (504, Delivery::Lost),
            (520, Delivery::Lost),
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
            let now = SystemTime::UNIX_EPOCH;
            let error =
                parse_token_answer(status, &headers, body.as_bytes(), now).expect_err("no token");
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
            let now = SystemTime::UNIX_EPOCH;
            parse_revocation_answer(status, &HeaderMap::new(), body.as_bytes(), now)
        };
        for body in ["", "<html>", r#"{"error":"invalid_request"}"#, "{}"] {
            assert!(answer(200, body).is_ok(), "{body}");
        }
        let error = answer(400, r#"{"error":"unsupported_token_type"}"#).expect_err("refused");
        assert_eq!(error.oauth_code(), Some("unsupported_token_type"));
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
            let _ = parse_token_answer(status, &headers, &body, SystemTime::UNIX_EPOCH);
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
        fn a_number_and_its_text_are_the_same_lifetime(seconds in any::<f64>()) {
            // B11
            prop_assume!(seconds.is_finite());
            let number = json!({"access_token": "a", "expires_in": seconds}).to_string();
            let text = json!({"access_token": "a", "expires_in": seconds.to_string()}).to_string();
            prop_assert_eq!(ok(&number).lifetime, ok(&text).lifetime);
        }
    }
}
