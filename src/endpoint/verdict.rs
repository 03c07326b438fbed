//! What an OAuth `error` code means for whoever asked.

use http::StatusCode;
use serde_json::{Map, Value};

use crate::error::{Delivery, Error, ErrorKind};

/// The codes that RFCs and OpenID Connect name. Any other is the server's own text and is never
/// printed (D6).
const NAMED: [&str; 29] = [
    // RFC 6749 sections 4.1.2.1 and 5.2
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "invalid_scope",
    "access_denied",
    "server_error",
    "temporarily_unavailable",
    // RFC 6750 section 3.1, RFC 7009 section 2.2.1, RFC 8707 section 2
    "invalid_token",
    "insufficient_scope",
    "unsupported_token_type",
    "invalid_target",
    // RFC 8628 section 3.5
    "authorization_pending",
    "slow_down",
    "expired_token",
    // RFC 9396 section 5, RFC 9449 section 5, RFC 9470 section 3
    "invalid_authorization_details",
    "invalid_dpop_proof",
    "use_dpop_nonce",
    "insufficient_user_authentication",
    // OpenID Connect Core section 3.1.2.6
    "interaction_required",
    "login_required",
    "account_selection_required",
    "consent_required",
    "invalid_request_uri",
    "invalid_request_object",
    "request_not_supported",
    "request_uri_not_supported",
];

/// The member `error` of an answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ErrorMember {
    /// Missing, or a value that says that there is none.
    Absent,
    Code(String),
    /// There, and no text: the error objects of REST APIs.
    NoText,
}

pub(crate) fn error_member(object: &Map<String, Value>) -> ErrorMember {
    match object.get("error") {
        None | Some(Value::Null | Value::Bool(false)) => ErrorMember::Absent,
        Some(Value::String(code)) if code.is_empty() => ErrorMember::Absent,
        Some(Value::String(code)) => ErrorMember::Code(code.clone()),
        Some(_) => ErrorMember::NoText,
    }
}

/// The error for a code.
pub(crate) fn of_code(code: &str, status: StatusCode) -> Error {
    let named = NAMED.into_iter().find(|name| *name == code);
    let (kind, what) = meaning(named);
    let error = Error::new(kind, format!("{what} (status {})", status.as_u16()));
    let error = match named {
        Some("server_error") => error.delivery(Delivery::Failed),
        Some("temporarily_unavailable") => error.delivery(Delivery::TurnedAway),
        // Some servers say this of a dead refresh token (F5).
        Some("invalid_request") if status == StatusCode::BAD_REQUEST => error.unspecific(),
        _ => error,
    };
    match named {
        Some(name) => error.with_oauth_code(name),
        None => error,
    }
}

fn meaning(code: Option<&str>) -> (ErrorKind, &'static str) {
    match code {
        Some("invalid_grant") => (
            ErrorKind::SignInRequired,
            "the authorization server says that the refresh token, code or assertion is dead",
        ),
        Some(
            "interaction_required"
            | "login_required"
            | "account_selection_required"
            | "consent_required",
        ) => (
            ErrorKind::SignInRequired,
            "the authorization server wants to see the user",
        ),
        Some("server_error" | "temporarily_unavailable") => (
            ErrorKind::Unavailable,
            "the authorization server is in trouble",
        ),
        Some("invalid_client") => (
            ErrorKind::Rejected,
            "the authorization server refused the client id, its secret, or the way of client \
             authentication",
        ),
        Some("unauthorized_client" | "unsupported_grant_type") => (
            ErrorKind::Rejected,
            "the authorization server does not let this client use this grant",
        ),
        Some("invalid_scope" | "invalid_target") => (
            ErrorKind::Rejected,
            "the authorization server refused the scope, resource or audience",
        ),
        Some(_) => (
            ErrorKind::Rejected,
            "the authorization server refused the request",
        ),
        None => (
            ErrorKind::Rejected,
            "the authorization server refused the request with an error code of its own",
        ),
    }
}
