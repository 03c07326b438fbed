//! What the authorization server itself said of a request that it did not answer with a token.

use std::fmt;

use http::StatusCode;
use serde_json::{Map, Value};

/// The largest object that is kept, in bytes as it was sent.
const LARGEST: usize = 16 * 1024;

/// An error response of a token, revocation, pushed authorization request or device authorization endpoint
/// (RFC 6749 section 5.2), or of a redirect (section 4.1.2.1, with the status 302), in the server's own
/// words.
///
/// For a person who looks for a fault: what these words say is the server's business and may hold
/// anything, names of users and fragments of SQL among it. So no error, event or log line of this
/// crate shows them, and neither does the `Debug` output of this type; they are read here alone, by
/// [`Error::error_response`](crate::Error::error_response).
///
/// ```
/// # fn example(error: &reqwest_bearer::Error) {
/// if let Some(response) = error.error_response() {
///     // `AADSTS7000215: Invalid client secret provided. ...`
///     eprintln!("{}: {:?}", response.status(), response.error_description());
/// }
/// # }
/// ```
///
/// It has the members of an answer that was a JSON object or a form, up to 16 KiB; of a larger one
/// status and code, of any other answer the status alone. Members that are named like a secret
/// (`access_token`, `client_secret`) are left out.
#[derive(Clone)]
pub struct ErrorResponse {
    status: StatusCode,
    members: Map<String, Value>,
}

impl ErrorResponse {
    /// The answer's status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The member `error`, whatever code it is; `None` if there is none, or if it is no text.
    #[must_use]
    pub fn error(&self) -> Option<&str> {
        self.text("error")
    }

    /// The member `error_description`: a text for the developer of the client.
    #[must_use]
    pub fn error_description(&self) -> Option<&str> {
        self.text("error_description")
    }

    /// The member `error_uri`: a page about the error.
    #[must_use]
    pub fn error_uri(&self) -> Option<&str> {
        self.text("error_uri")
    }

    /// Any other member, such as Entra's `error_codes` and `trace_id`.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// An answer of which nothing but its status can be read.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        Self {
            status,
            members: Map::new(),
        }
    }

    /// An answer with these members, which the server sent in so many bytes.
    pub(crate) fn new(status: StatusCode, members: &Map<String, Value>, size: usize) -> Self {
        let members = if size <= LARGEST {
            without_secrets(members)
        } else {
            let code = members.get_key_value("error");
            let code = code.filter(|(_, code)| code.as_str().is_some_and(is_short));
            let code = code.map(|(name, code)| (name.clone(), code.clone()));
            code.into_iter().collect()
        };
        Self { status, members }
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.members.get(name)?.as_str()
    }
}

impl fmt::Debug for ErrorResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The members are the server's body (D6).
        formatter
            .debug_struct("ErrorResponse")
            .field("status", &self.status.as_u16())
            .finish_non_exhaustive()
    }
}

fn is_short(text: &str) -> bool {
    text.len() <= LARGEST
}

/// A server may send a token beside its error, or echo what it was sent; that is no word of its own,
/// and would stay in memory for as long as the error.
fn without_secrets(members: &Map<String, Value>) -> Map<String, Value> {
    let open = members.iter().filter(|(name, _)| !is_secret(name));
    open.map(|(name, value)| (name.clone(), open_part(value)))
        .collect()
}

fn open_part(value: &Value) -> Value {
    match value {
        Value::Object(members) => Value::Object(without_secrets(members)),
        Value::Array(values) => values.iter().map(open_part).collect(),
        other => other.clone(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    ["token", "secret", "assertion", "password", "device_code"]
        .iter()
        .any(|kind| name.ends_with(kind))
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use serde_json::{Map, Value, json};

    use super::{ErrorResponse, LARGEST};

    fn response(object: Value, size: usize) -> ErrorResponse {
        let members: Map<String, Value> = serde_json::from_value(object).unwrap();
        ErrorResponse::new(StatusCode::BAD_REQUEST, &members, size)
    }

    #[test]
    fn secrets_beside_an_error_are_left_out_at_any_depth() {
        // K14, D6
        let response = response(
            json!({
                "error": "x", "access_token": "canary", "refreshToken": "canary",
                "device_code": "canary",
                "request": { "client_secret": "canary", "scope": "a" },
                "list": [{ "id_token": "canary", "code": 7 }],
            }),
            200,
        );
        assert_eq!(response.member("access_token"), None);
        assert_eq!(response.member("refreshToken"), None);
        assert_eq!(response.member("device_code"), None);
        assert_eq!(response.member("request"), Some(&json!({ "scope": "a" })));
        assert_eq!(response.member("list"), Some(&json!([{ "code": 7 }])));
    }

    #[test]
    fn of_a_large_object_the_code_alone_is_kept() {
        // K14
        let object = || json!({ "error": "x", "error_description": "y" });
        assert_eq!(response(object(), LARGEST).error_description(), Some("y"));
        let large = response(object(), LARGEST + 1);
        assert_eq!(
            (large.error(), large.error_description()),
            (Some("x"), None)
        );
        let huge = json!({ "error": "x".repeat(LARGEST + 1) });
        assert_eq!(response(huge, 2 * LARGEST).error(), None);
    }

    #[test]
    fn it_shows_its_status_and_no_word_of_the_server() {
        // K14, D6
        let response = response(json!({ "error": "canary", "canary": "canary" }), 30);
        assert_eq!(format!("{response:?}"), "ErrorResponse { status: 400, .. }");
    }
}
