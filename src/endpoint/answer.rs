//! What an answer of a token endpoint means: a pure function of status, headers and body.

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::endpoint::issued::read_token;
use crate::endpoint::transport::status_says_all;
use crate::endpoint::verdict::{self, ErrorMember};
use crate::error::{Delivery, Error, ErrorKind};
use crate::retry_after;
use crate::token::TokenResponse;

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
        Some(object) if status.is_success() && !refused => read_token(object)
            .map_err(|problem| unusable(&problem, status, headers).delivery(Delivery::Unusable)),
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
fn unusable(problem: &str, status: StatusCode, headers: &HeaderMap) -> Error {
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
        _ if body.is_empty() => {
            unusable("has no body", status, headers).delivery(Delivery::Unusable)
        }
        _ => {
            let error = unusable("is not a JSON object", status, headers);
            // One that begins was cut off, where neither a length nor a chunk tells; a page begins
            // otherwise, and is not the token endpoint's.
            if without_mark(body).trim_ascii_start().starts_with(b"{") {
                error.delivery(Delivery::Unusable)
            } else {
                error
            }
        }
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
    // Descriptions come in any encoding, and all that matters here is ASCII.
    serde_json::from_str(&String::from_utf8_lossy(without_mark(body))).ok()
}

/// Servers on .NET have been seen to begin with a byte order mark.
pub(crate) fn without_mark(body: &[u8]) -> &[u8] {
    body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body)
}

#[cfg(test)]
mod tests;
