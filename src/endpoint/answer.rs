//! What an answer of a token endpoint means: a pure function of status, headers and body.

use std::time::{Duration, SystemTime};

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};

use crate::endpoint::issued::read_token;
use crate::endpoint::transport::status_says_all;
use crate::endpoint::verdict::{self, Asked, ErrorMember};
use crate::endpoint::{fragments, lifetime, media_type, members};
use crate::error::{Error, ErrorKind, HowFar};
use crate::error_response::ErrorResponse;
use crate::retry_after;
use crate::token::TokenResponse;

/// Reads an answer to a token request (RFC 6749 sections 5.1 and 5.2). `now` is for a
/// `Retry-After` that is a date, and for lifetimes in an answer without a `Date`.
///
/// # Errors
/// Whatever is not a usable bearer token. No text of the body is shown by the error (D6).
pub(crate) fn parse_token_answer(
    asked: Asked,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    now: SystemTime,
) -> Result<TokenResponse, Error> {
    let members = members::read(headers, body);
    judge(asked, status, headers, members, body, now)
}

/// The same of an answer with these members, read from `body` or translated.
pub(crate) fn judge(
    asked: Asked,
    status: StatusCode,
    headers: &HeaderMap,
    members: Option<Map<String, Value>>,
    body: &[u8],
    now: SystemTime,
) -> Result<TokenResponse, Error> {
    match members {
        // Some servers say 200 and mean an error (Slack, older GitHub).
        Some(mut members)
            if status.is_success()
                && verdict::error_member(&members, asked) == ErrorMember::Absent =>
        {
            let date = lifetime::answered_at(headers, now);
            read_token(&mut members, date, asked).map_err(|problem| {
                unusable(&problem, status, headers)
                    .got(HowFar::Unusable)
                    .answered_with(ErrorResponse::new(status, &members, body.len()))
            })
        }
        members => Err(parse_refusal(asked, status, headers, members, body, now)),
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
    let members = members::read(headers, body);
    Err(refusal(status, headers, members, body, now))
}

/// What an answer means that does not bring what was asked for, and that was no token.
pub(crate) fn refusal(
    status: StatusCode,
    headers: &HeaderMap,
    members: Option<Map<String, Value>>,
    body: &[u8],
    now: SystemTime,
) -> Error {
    parse_refusal(Asked::OTHER, status, headers, members, body, now)
}

/// What an answer that brings no token means.
fn parse_refusal(
    asked: Asked,
    status: StatusCode,
    headers: &HeaderMap,
    members: Option<Map<String, Value>>,
    body: &[u8],
    now: SystemTime,
) -> Error {
    let is_object = members.is_some();
    let members = members.unwrap_or_else(|| fragments::read(body));
    let member = if status.is_success() {
        verdict::error_member(&members, asked)
    } else {
        verdict::refusal_member(&members, asked)
    };
    let pause = pause(headers, now);
    let error = match member {
        _ if status_says_all(status) => failure(status),
        ErrorMember::Code(code) => verdict::of_code(&code, &members, status, asked),
        // Google and Cloudflare limit the rate like this.
        _ if status == StatusCode::FORBIDDEN && pause.is_some() => failure(status),
        // Wrong client credentials, or a dead refresh token: it says something, but not what.
        ErrorMember::NoText if status == StatusCode::UNAUTHORIZED && asked.is_refresh() => {
            refused(status, headers).unspecific()
        }
        _ => without_code(status, headers, body, is_object),
    };
    let error = error.answered_with(ErrorResponse::new(status, &members, body.len()));
    match pause {
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
        StatusCode::TOO_MANY_REQUESTS | StatusCode::FORBIDDEN => {
            (HowFar::TurnedAway, "wants fewer requests")
        }
        StatusCode::SERVICE_UNAVAILABLE => (HowFar::TurnedAway, "is not available"),
        StatusCode::INTERNAL_SERVER_ERROR => (HowFar::Failed, "failed"),
        // A proxy or a timer spoke; whether the server did its work nobody knows.
        _ => (HowFar::Lost, "gave no answer of its own"),
    };
    let status = status.as_u16();
    Error::new(
        ErrorKind::Unavailable,
        format!("the authorization server {what} (status {status})"),
    )
    .got(delivery)
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
        // Whatever a success looks like, the server may have done its part: a proxy's page, a
        // compressed body and a notice of PHP's say nothing of what has become of a refresh token.
        _ => {
            let problem = if is_object {
                "has an `error` that is no text"
            } else if body.is_empty() {
                "has no body"
            } else {
                "is not a JSON object"
            };
            unusable(problem, status, headers).got(HowFar::Unusable)
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

fn content_type(headers: &HeaderMap) -> String {
    if !headers.contains_key(CONTENT_TYPE) {
        return "no content type".to_owned();
    }
    match media_type::of(headers) {
        Some(essence) => format!("content type {essence}"),
        None => "a content type that cannot be read".to_owned(),
    }
}

#[cfg(test)]
mod tests;
