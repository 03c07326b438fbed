//! What a redirect says (RFC 6749 sections 4.1.2 and 4.1.2.1, RFC 9207), read and compared with what was asked.

use std::borrow::Cow;

use http::StatusCode;
use reqwest::Url;
use serde_json::{Map, Value};

use crate::authorization::unguessable::is_same;
use crate::endpoint::verdict;
use crate::error::{Error, ErrorKind, HowFar};
use crate::error_response::ErrorResponse;
use crate::secret::Secret;

/// More than any browser sends. Codes of real servers have up to a few kilobytes.
const LONGEST: usize = 32 * 1024;

/// The parameters that the authorization server sends. The redirect URI may have others of its own, and those
/// any number of times.
const OF_THE_SERVER: [&str; 6] = [
    "state",
    "iss",
    "code",
    "error",
    "error_description",
    "error_uri",
];

/// What the answer to one authorization request has to say.
pub(crate) struct Expected<'request> {
    pub(crate) state: &'request Secret,
    /// As the server's document has it; `None` where there is no document.
    pub(crate) issuer: Option<&'request str>,
    pub(crate) names_issuer: bool,
}

/// The code in a redirect: a URL, what follows its host, or a query, with or without the `?`.
///
/// # Errors
/// [`ErrorKind::InvalidAuthorizationResponse`] if it is no answer to this request, whoever has made it;
/// otherwise what the server says there.
pub(crate) fn code_in(redirect: &str, expected: &Expected<'_>) -> Result<Secret, Error> {
    if redirect.len() > LONGEST {
        return Err(invalid("is larger than 32 KiB"));
    }
    let query = query_of(redirect);
    let parameters = Parameters::read(&query)?;
    // The state is first: without it nothing else in there is of our server.
    let state = parameters.get("state");
    match state {
        None => return Err(invalid("has no `state`")),
        Some(state) if !is_same(expected.state, state) => {
            return Err(invalid("has the `state` of another request"));
        }
        Some(_) => {}
    }
    check_issuer(parameters.get("iss"), expected)?;
    match (parameters.get("code"), parameters.get("error")) {
        (Some(_), Some(_)) => Err(invalid("has both a `code` and an `error`")),
        (None, Some(code)) => Err(refused(code, &parameters, query.len())),
        (Some(code), None) if is_code(code) => Ok(Secret::new(code)),
        (Some(_), None) => Err(invalid("has a `code` that cannot be one")),
        (None, None) => Err(invalid("has neither a `code` nor an `error`")),
    }
}

/// The query, without its `?`.
fn query_of(redirect: &str) -> Cow<'_, str> {
    // No query is a URL, since a scheme has no `=` in it.
    if let Ok(url) = Url::parse(redirect) {
        return Cow::Owned(url.query().unwrap_or_default().to_owned());
    }
    let query = if redirect.starts_with('/') {
        redirect.split_once('?').map_or("", |(_, query)| query)
    } else {
        redirect.strip_prefix('?').unwrap_or(redirect)
    };
    Cow::Borrowed(query.split('#').next().unwrap_or_default())
}

/// What the server has sent, each once.
struct Parameters<'query>(Vec<(&'static str, Cow<'query, str>)>);

impl<'query> Parameters<'query> {
    /// # Errors
    /// If one of them is there twice (RFC 6749 section 3.1): whoever has put in the second one wants it to be
    /// read in place of the first.
    fn read(query: &'query str) -> Result<Self, Error> {
        let mut parameters = Self(Vec::with_capacity(OF_THE_SERVER.len()));
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let Some(known) = OF_THE_SERVER.iter().find(|known| **known == name) else {
                continue;
            };
            if parameters.get(known).is_some() {
                return Err(invalid(&format!("has `{known}` more than once")));
            }
            parameters.0.push((known, value));
        }
        Ok(parameters)
    }

    fn get(&self, name: &str) -> Option<&str> {
        let mut parameters = self.0.iter();
        parameters.find_map(|(known, value)| (*known == name).then_some(&**value))
    }
}

/// RFC 9207 section 2.4: byte for byte, since another server may have an issuer that is almost the same.
fn check_issuer(came: Option<&str>, expected: &Expected<'_>) -> Result<(), Error> {
    match (came, expected.issuer) {
        (Some(came), Some(issuer)) if came != issuer => Err(invalid(
            "is of another issuer (`iss`) than the server that the user was sent to (RFC 9207)",
        )),
        (None, Some(_)) if expected.names_issuer => Err(invalid(
            "has no `iss`, and the server's document says that each has one (RFC 9207)",
        )),
        // Without a document there is nothing to compare with.
        _ => Ok(()),
    }
}

/// 1*VSCHAR (RFC 6749 appendix A.11).
fn is_code(code: &str) -> bool {
    !code.is_empty() && code.bytes().all(|byte| matches!(byte, 0x20..=0x7E))
}

fn invalid(problem: &str) -> Error {
    Error::new(
        ErrorKind::InvalidAuthorizationResponse,
        format!("what came to the redirect URI {problem}"),
    )
}

/// What the server said (RFC 6749 section 4.1.2.1, OpenID Connect Core section 3.1.2.6).
fn refused(code: &str, parameters: &Parameters<'_>, size: usize) -> Error {
    let named = verdict::named(code);
    let (kind, message) = match named {
        Some("access_denied") => (
            ErrorKind::SignInRequired,
            "the user, or the authorization server, said no to the sign-in",
        ),
        Some(
            "login_required"
            | "interaction_required"
            | "consent_required"
            | "account_selection_required",
        ) => (
            ErrorKind::SignInRequired,
            "the authorization server has to show the user a page, and was asked not to \
             (`prompt=none`)",
        ),
        Some("server_error" | "temporarily_unavailable") => (
            ErrorKind::Unavailable,
            "the authorization server is in trouble",
        ),
        Some(_) => (
            ErrorKind::Rejected,
            "the authorization server refused the authorization request",
        ),
        None => (
            ErrorKind::Rejected,
            "the authorization server refused the authorization request with an error code of its own",
        ),
    };
    let members: Map<String, Value> = parameters
        .0
        .iter()
        .filter(|(name, _)| name.starts_with("error"))
        .map(|(name, value)| ((*name).to_owned(), Value::String(value.to_string())))
        .collect();
    let response = ErrorResponse::new(StatusCode::FOUND, &members, size);
    let error = Error::new(kind, message)
        .got(HowFar::Answered)
        .answered_with(response);
    match named {
        Some(name) => error.with_oauth_code(name),
        None => error,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, proptest};

    use super::{Expected, LONGEST, code_in};
    use crate::error::{Error, ErrorKind};
    use crate::secret::Secret;

    const ISSUER: &str = "https://as.example.com/t";
    const ISS: &str = "iss=https%3A%2F%2Fas.example.com%2Ft";

    fn with(redirect: &str, issuer: Option<&str>, names_issuer: bool) -> Result<String, Error> {
        let state = Secret::new("canary-state");
        let expected = Expected {
            state: &state,
            issuer,
            names_issuer,
        };
        code_in(redirect, &expected).map(|code| code.expose().to_owned())
    }

    fn read(redirect: &str) -> Result<String, Error> {
        with(redirect, Some(ISSUER), false)
    }

    #[test]
    fn a_code_is_read_from_whatever_form_a_framework_hands_the_redirect_on_in() {
        // I4
        for redirect in [
            "code=c+1%2F&state=canary-state",
            "?state=canary-state&code=c%201/",
            "/signed-in?code=c+1/&state=canary-state",
            "https://app.example.com/signed-in?code=c+1/&state=canary-state",
            "com.example.app:/signed-in?code=c+1/&state=canary-state#_=_",
            "code=c+1/&state=canary-state#_=_",
            "state=canary-state&session_state=x&x=1&x=2&code=c+1/",
            &format!("code=c+1/&state=canary-state&{ISS}"),
        ] {
            assert_eq!(read(redirect).unwrap(), "c 1/", "{redirect}");
        }
    }

    #[test]
    fn a_redirect_that_is_no_answer_to_this_request_is_refused() {
        // I4, D6
        let long = "x".repeat(LONGEST);
        for (redirect, said) in [
            ("", "no `state`"),
            ("/signed-in", "no `state`"),
            ("https://app.example.com/", "no `state`"),
            ("code=canary", "no `state`"),
            ("error=access_denied", "no `state`"),
            ("code=canary&state=", "another request"),
            ("code=canary&state=canary-stat", "another request"),
            ("code=canary&state=canary-state2", "another request"),
            ("code=canary&state=CANARY-STATE", "another request"),
            (
                "code=canary&state=canary-state&state=canary-state",
                "`state` more than once",
            ),
            (
                "code=canary&state=canary-state&st%61te=x",
                "`state` more than once",
            ),
            (
                "code=canary&state=canary-state&code=x",
                "`code` more than once",
            ),
            (
                "error=canary&state=canary-state&error=x",
                "`error` more than once",
            ),
            (
                "error=canary&code=canary&state=canary-state",
                "both a `code` and an `error`",
            ),
            ("state=canary-state", "neither"),
            ("code=&state=canary-state", "cannot be one"),
            ("code=canary%0a&state=canary-state", "cannot be one"),
            ("code=canary%ff&state=canary-state", "cannot be one"),
            (&format!("code={long}&state=canary-state"), "32 KiB"),
        ] {
            let error = read(redirect).expect_err(redirect);
            assert_eq!(error.kind(), ErrorKind::InvalidAuthorizationResponse);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains(said), "{shown}");
            assert!(!shown.contains("canary"), "{shown}");
        }
    }

    #[test]
    fn the_issuer_in_a_redirect_is_that_of_the_document_byte_for_byte() {
        // I4
        let redirect = |iss: &str| format!("code=c&state=canary-state&{iss}");
        for (iss, issuer, names_issuer, is_good) in [
            (ISS, Some(ISSUER), true, true),
            (ISS, Some(ISSUER), false, true),
            ("", Some(ISSUER), false, true),
            ("", Some(ISSUER), true, false),
            ("iss=", Some(ISSUER), false, false),
            ("iss=https://as.example.com/t/", Some(ISSUER), false, false),
            ("iss=https://as.example.com/T", Some(ISSUER), false, false),
            (
                "iss=https://as.example.com:443/t",
                Some(ISSUER),
                false,
                false,
            ),
            ("iss=https://other.example.com", Some(ISSUER), true, false),
            (&format!("{ISS}&{ISS}"), Some(ISSUER), true, false),
            ("iss=https://other.example.com", None, false, true),
            ("", None, false, true),
        ] {
            let read = with(&redirect(iss), issuer, names_issuer);
            assert_eq!(read.is_ok(), is_good, "{iss} {names_issuer}");
            let kind = read.err().map(|error| error.kind());
            assert!(kind.is_none_or(|kind| kind == ErrorKind::InvalidAuthorizationResponse));
        }
        // What another server says is not what ours says, errors included.
        let mixed_up = "error=access_denied&state=canary-state&iss=https://other.example.com";
        let error = read(mixed_up).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidAuthorizationResponse);
    }

    #[test]
    fn what_the_server_says_in_a_redirect_is_an_error_of_its_own_kind() {
        // I4, D6
        for (code, kind, named) in [
            ("access_denied", ErrorKind::SignInRequired, true),
            ("login_required", ErrorKind::SignInRequired, true),
            ("interaction_required", ErrorKind::SignInRequired, true),
            ("consent_required", ErrorKind::SignInRequired, true),
            (
                "account_selection_required",
                ErrorKind::SignInRequired,
                true,
            ),
            ("temporarily_unavailable", ErrorKind::Unavailable, true),
            ("server_error", ErrorKind::Unavailable, true),
            ("invalid_scope", ErrorKind::Rejected, true),
            ("unauthorized_client", ErrorKind::Rejected, true),
            ("unsupported_response_type", ErrorKind::Rejected, true),
            ("canary", ErrorKind::Rejected, false),
            ("", ErrorKind::Rejected, false),
        ] {
            let redirect = format!(
                "error={code}&error_description=canary+words&state=canary-state&session_state=x"
            );
            let error = read(&redirect).unwrap_err();
            assert_eq!(error.kind(), kind, "{code}");
            assert_eq!(error.oauth_code(), named.then_some(code));
            let response = error.error_response().unwrap();
            assert_eq!(response.error(), Some(code));
            assert_eq!(response.error_description(), Some("canary words"));
            assert!(response.member("state").is_none());
            let shown = format!("{error} {error:?} {response:?}");
            assert!(!shown.contains("canary"), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn nothing_that_comes_to_the_redirect_uri_makes_a_panic_or_a_code(redirect in any::<String>()) {
            // I4
            let read = read(&redirect);
            prop_assert!(read.is_err());
            let shown = read.map_err(|error| error.kind());
            prop_assert!(shown == Err(ErrorKind::InvalidAuthorizationResponse));
        }

        #[test]
        fn only_the_state_that_was_sent_brings_a_code(state in "[ -~]{0,20}", code in "[a-z]{1,9}") {
            // I4
            let redirect = reqwest::Url::parse_with_params(
                "https://app.example.com/",
                [("state", &state), ("code", &code)],
            );
            prop_assert!(read(redirect.unwrap().as_str()).is_err());
        }
    }
}
