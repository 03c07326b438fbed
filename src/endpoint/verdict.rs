//! What an OAuth `error` code means for whoever asked.

use http::StatusCode;
use serde_json::{Map, Value};

use crate::endpoint::refresh_codes::{is_dead, is_doubtful};
use crate::error::{Error, ErrorKind, HowFar};

/// The codes that RFCs and OpenID Connect name. Any other is the server's own text and is never
/// printed (D6).
const NAMED: [&str; 33] = [
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
    // RFC 7591 section 3.2.2
    "invalid_redirect_uri",
    "invalid_client_metadata",
    "invalid_software_statement",
    "unapproved_software_statement",
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

/// What was asked for, as far as the answer can mean something else for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    is_refresh: bool,
    is_proven: bool,
    is_for_another_server: bool,
}

impl Asked {
    /// A token for a refresh token (RFC 6749 section 6).
    pub(crate) const REFRESH: Self = Self {
        is_refresh: true,
        is_proven: false,
        is_for_another_server: false,
    };
    /// Anything else.
    pub(crate) const OTHER: Self = Self {
        is_refresh: false,
        is_proven: false,
        is_for_another_server: false,
    };

    /// What a token request with this `grant_type` asks for.
    pub(crate) fn by(grant_type: Option<&str>) -> Self {
        match grant_type {
            Some("refresh_token") => Self::REFRESH,
            _ => Self::OTHER,
        }
    }

    /// The same with a proof of the key that the token is to be bound to (RFC 9449 section 5).
    pub(crate) fn proven(self) -> Self {
        Self {
            is_proven: true,
            ..self
        }
    }

    /// The same for what no API is sent, but another authorization server (RFC 8693 section 2.2.1).
    pub(crate) fn for_another_server(self) -> Self {
        Self {
            is_for_another_server: true,
            ..self
        }
    }

    pub(crate) fn is_for_another_server(self) -> bool {
        self.is_for_another_server
    }

    pub(crate) fn is_refresh(self) -> bool {
        self.is_refresh
    }

    pub(crate) fn is_proven(self) -> bool {
        self.is_proven
    }
}

/// What an answer says of an error.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ErrorMember {
    /// `error` is missing, or has a value that says that there is none.
    Absent,
    Code(String),
    /// There, and without a code that is known: the error objects of REST APIs.
    NoText,
}

/// The member `error`, or the code in it where it is an object.
pub(crate) fn error_member(members: &Map<String, Value>, asked: Asked) -> ErrorMember {
    match members.get("error") {
        None | Some(Value::Null | Value::Bool(false)) => ErrorMember::Absent,
        Some(Value::String(code)) if code.is_empty() => ErrorMember::Absent,
        Some(Value::String(code)) => ErrorMember::Code(code.clone()),
        Some(Value::Object(error)) => {
            let known = known_code(error, &["code", "type"], |code| {
                named(code).is_some() || (asked.is_refresh() && is_dead(code))
            });
            known.map_or(ErrorMember::NoText, ErrorMember::Code)
        }
        Some(_) => ErrorMember::NoText,
    }
}

/// What a refusal says: where `error` has no code, one that other members have for a dead refresh
/// token, as HubSpot's `status` and Supabase's `error_code`.
pub(crate) fn refusal_member(members: &Map<String, Value>, asked: Asked) -> ErrorMember {
    let member = error_member(members, asked);
    if matches!(member, ErrorMember::Code(_)) || !asked.is_refresh() {
        return member;
    }
    known_code(members, &["error_code", "code", "status"], is_dead)
        .map_or(member, ErrorMember::Code)
}

fn known_code(
    members: &Map<String, Value>,
    names: &[&str],
    is_known: impl Fn(&str) -> bool,
) -> Option<String> {
    let texts = names.iter().filter_map(|name| members.get(*name)?.as_str());
    texts
        .into_iter()
        .find(|text| is_known(text))
        .map(String::from)
}

/// The error for a code, which these members came with.
pub(crate) fn of_code(
    code: &str,
    members: &Map<String, Value>,
    status: StatusCode,
    asked: Asked,
) -> Error {
    if asked.is_refresh() && is_dead(code) {
        return Error::new(
            ErrorKind::SignInRequired,
            format!(
                "the authorization server says, with a code of its own, that the refresh token is \
                 dead (status {})",
                status.as_u16()
            ),
        );
    }
    let named = named(code);
    let about_one_api = wants_the_user(named, members);
    let (kind, what) = if about_one_api {
        (
            ErrorKind::SignInRequired,
            "the authorization server wants to see the user before it issues this token",
        )
    } else {
        meaning(named)
    };
    let error = Error::new(kind, format!("{what} (status {})", status.as_u16()));
    let error = match named {
        _ if about_one_api => error.about_one_api(claims(members)),
        Some("server_error") => error.got(HowFar::Failed),
        Some("temporarily_unavailable") => error.got(HowFar::TurnedAway),
        // Some servers say this of a dead refresh token (F5).
        Some("invalid_request") if status == StatusCode::BAD_REQUEST => error.unspecific(),
        // Atlassian and Spring say these of a dead refresh token; others mean what the RFCs mean.
        Some("unauthorized_client" | "invalid_token") if asked.is_refresh() => error.unspecific(),
        None if asked.is_refresh() && is_doubtful(code) => error.unspecific(),
        _ => error,
    };
    match named {
        Some(name) => error.with_oauth_code(name),
        None => error,
    }
}

/// The name in a code. EVE Online and others put a sentence behind it, after a colon or a blank.
pub(crate) fn named(code: &str) -> Option<&'static str> {
    let mut words = code
        .trim_start()
        .split(|character: char| character == ':' || character.is_whitespace());
    let first = words.next()?;
    NAMED.into_iter().find(|name| *name == first)
}

/// Entra's `suberror`s for "not for this API, and not without the user": a second factor, a consent,
/// a policy. The refresh token goes on being good for other APIs.
const SUBERRORS: [&str; 5] = [
    "basic_action",
    "additional_action",
    "message_only",
    "consent_required",
    "protection_policy_required",
];

/// Whether the user has to do something for this token, and the refresh token is alive.
fn wants_the_user(code: Option<&str>, members: &Map<String, Value>) -> bool {
    match code {
        Some(
            "interaction_required"
            | "login_required"
            | "account_selection_required"
            | "consent_required",
        ) => true,
        Some("invalid_grant") => {
            let suberror = members.get("suberror").and_then(Value::as_str);
            suberror.is_some_and(|suberror| SUBERRORS.contains(&suberror.trim()))
        }
        _ => false,
    }
}

/// The `claims` that the sign-in has to ask for (OpenID Connect Core section 5.5).
fn claims(members: &Map<String, Value>) -> Option<&str> {
    /// Longer ones would fit into no authorization URL.
    const LONGEST: usize = 8 * 1024;
    let claims = members.get("claims")?.as_str()?;
    (claims.len() <= LONGEST).then_some(claims)
}

fn meaning(code: Option<&str>) -> (ErrorKind, &'static str) {
    match code {
        Some("invalid_grant") => (
            ErrorKind::SignInRequired,
            "the authorization server says that the refresh token, code or assertion is dead",
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
        Some(
            "invalid_redirect_uri"
            | "invalid_client_metadata"
            | "invalid_software_statement"
            | "unapproved_software_statement",
        ) => (
            ErrorKind::Rejected,
            "the authorization server does not register such a client",
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

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Map, Value, json};

    use super::{Asked, ErrorMember, of_code, refusal_member};
    use crate::error::{Error, ErrorKind, HowFar};

    fn members(object: Value) -> Map<String, Value> {
        serde_json::from_value(object).unwrap()
    }

    /// The error for this object in an answer with this status.
    fn verdict(asked: Asked, status: StatusCode, object: Value) -> Error {
        let members = members(object);
        match refusal_member(&members, asked) {
            ErrorMember::Code(code) => of_code(&code, &members, status, asked),
            other => panic!("{members:?}: {other:?}"),
        }
    }

    #[test]
    fn a_dead_refresh_token_by_another_name_is_a_verdict_that_ends_it() {
        // K9, F5
        for code in ["bad_refresh_token", "invalid_code", "expired_token"] {
            let status = StatusCode::BAD_REQUEST;
            let error = verdict(Asked::REFRESH, status, json!({ "error": code }));
            // As `Record::failed` wants it of a verdict that ends a refresh token.
            assert_eq!(error.kind(), ErrorKind::SignInRequired, "{code}");
            assert_eq!(
                (error.oauth_code(), error.how_far()),
                (None, HowFar::Answered)
            );
            assert!(!error.is_about_one_api() && !error.is_unspecific_refusal());
            assert!(!format!("{error} {error:?}").contains(code), "{error:?}");
        }
    }

    #[test]
    fn a_dead_refresh_token_is_found_where_servers_put_the_code() {
        // K9
        for object in [
            json!({ "error": { "code": "refresh_token_invalidated", "type": "invalid_request_error" } }),
            json!({ "error": { "type": "invalid_refresh_token", "code": 401 } }),
            json!({ "status": "BAD_REFRESH_TOKEN", "message": "canary" }),
            json!({ "code": 400, "error_code": "refresh_token_not_found", "msg": "canary" }),
            json!({ "code": "refresh_token_already_used", "message": "canary" }),
            json!({ "error": true, "code": "invalid_refresh_token" }),
        ] {
            let status = StatusCode::UNAUTHORIZED;
            let error = verdict(Asked::REFRESH, status, object.clone());
            assert_eq!(error.kind(), ErrorKind::SignInRequired, "{object}");
            let other = refusal_member(&members(object), Asked::OTHER);
            assert!(!matches!(other, ErrorMember::Code(_)), "{other:?}");
        }
    }

    #[test]
    fn the_name_of_a_code_ends_at_a_colon_or_a_blank() {
        // K9
        for asked in [Asked::REFRESH, Asked::OTHER] {
            for (code, name) in [
                ("invalid_grant", Some("invalid_grant")),
                (
                    "invalid_grant: Token is expired or invalid.",
                    Some("invalid_grant"),
                ),
                ("invalid_grant:x", Some("invalid_grant")),
                (" invalid_grant\tx", Some("invalid_grant")),
                ("invalid_client: x", Some("invalid_client")),
                ("invalid_grant_x", None),
                ("x: invalid_grant", None),
            ] {
                let error = verdict(asked, StatusCode::BAD_REQUEST, json!({ "error": code }));
                assert_eq!(error.oauth_code(), name, "{code}");
                let dead = error.kind() == ErrorKind::SignInRequired;
                assert_eq!(dead, name == Some("invalid_grant"), "{code}");
            }
        }
    }

    #[test]
    fn a_code_that_is_ambiguous_in_an_answer_to_a_refresh_is_an_unspecific_refusal() {
        // K9, F5
        for (code, unspecific) in [
            ("unauthorized_client", true),
            ("invalid_token", true),
            ("session_not_found", true),
            ("session_expired", true),
            ("invalid_client", false),
            ("invalid_scope", false),
            ("access_denied", false),
            ("scope_invalid", false),
        ] {
            for status in [
                StatusCode::OK,
                StatusCode::UNAUTHORIZED,
                StatusCode::FORBIDDEN,
            ] {
                let error = verdict(Asked::REFRESH, status, json!({ "error": code }));
                assert_eq!(error.kind(), ErrorKind::Rejected, "{code}");
                assert_eq!(error.is_unspecific_refusal(), unspecific, "{code}");
                let other = verdict(Asked::OTHER, status, json!({ "error": code }));
                assert!(!other.is_unspecific_refusal(), "{code}");
            }
        }
    }

    #[test]
    fn what_one_api_wants_of_the_user_ends_no_refresh_token_and_brings_the_claims() {
        // K12
        let suberror = |suberror: &str| json!({ "error": "invalid_grant", "suberror": suberror, "claims": "{}" });
        for (object, about_one_api) in [
            (suberror("basic_action"), true),
            (suberror("additional_action"), true),
            (suberror("message_only"), true),
            (suberror("consent_required"), true),
            (
                json!({ "error": "interaction_required", "claims": "{}" }),
                true,
            ),
            (json!({ "error": "consent_required", "claims": "{}" }), true),
            (json!({ "error": "login_required", "claims": "{}" }), true),
            (
                json!({ "error": "account_selection_required", "claims": "{}" }),
                true,
            ),
            (suberror("bad_token"), false),
            (suberror("token_expired"), false),
            (suberror(""), false),
            (json!({ "error": "invalid_grant", "claims": "{}" }), false),
        ] {
            let error = verdict(Asked::REFRESH, StatusCode::BAD_REQUEST, object.clone());
            assert_eq!(error.kind(), ErrorKind::SignInRequired, "{object}");
            assert_eq!(error.is_about_one_api(), about_one_api, "{object}");
            assert_eq!(error.claims(), about_one_api.then_some("{}"), "{object}");
        }
    }

    #[test]
    fn claims_are_kept_up_to_8_kib_and_never_shown() {
        // K12, D6
        for (length, kept) in [(8 * 1024, true), (8 * 1024 + 1, false)] {
            let object = json!({ "error": "interaction_required", "claims": "c".repeat(length) });
            let error = verdict(Asked::REFRESH, StatusCode::BAD_REQUEST, object);
            assert_eq!(error.claims().is_some(), kept, "{length}");
            assert!(error.is_about_one_api());
            assert!(!format!("{error} {error:?}").contains("ccc"));
        }
        let object = json!({ "error": "interaction_required", "claims": { "x": 1 } });
        let error = verdict(Asked::REFRESH, StatusCode::BAD_REQUEST, object);
        assert_eq!(error.claims(), None);
    }
}
