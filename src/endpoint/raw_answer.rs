//! An answer of a token endpoint as it was sent, for a hook that translates it.

use std::fmt;

use http::{HeaderMap, StatusCode};
use serde_json::Value;
use zeroize::Zeroize;

use crate::endpoint::members;

/// An answer of a token endpoint before anything has read it: what a hook of
/// [`translate_answers`](crate::TokenEndpointBuilder::translate_answers) is given.
///
/// Its `Debug` output shows the status alone, since the rest may hold tokens.
pub struct RawAnswer {
    status: StatusCode,
    headers: HeaderMap,
    json: Value,
}

impl RawAnswer {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body as JSON, whatever JSON it is; a form as an object of texts.
    /// [`Null`](Value::Null) if it is neither, or nested more than 127 deep.
    ///
    /// Looking into it by name never panics: what is not there is `Null`.
    #[must_use]
    pub fn json(&self) -> &Value {
        &self.json
    }

    pub(crate) fn new(status: StatusCode, headers: HeaderMap, body: &[u8]) -> Self {
        let json = match members::read(&headers, body) {
            Some(members) => Value::Object(members),
            None => serde_json::from_slice(members::without_mark(body)).unwrap_or_default(),
        };
        Self {
            status,
            headers,
            json,
        }
    }
}

impl fmt::Debug for RawAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RawAnswer")
            .field("status", &self.status.as_u16())
            .finish_non_exhaustive()
    }
}

impl Drop for RawAnswer {
    fn drop(&mut self) {
        wipe(&mut self.json);
    }
}

/// Wipes each text in a value: any of them may be a token (D6).
pub(crate) fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(values) => values.iter_mut().for_each(wipe),
        Value::Object(members) => members.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, StatusCode};
    use serde_json::{Value, json};

    use super::{RawAnswer, wipe};

    fn read(label: &'static str, body: &str) -> Value {
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static(label));
        let answer = RawAnswer::new(StatusCode::OK, headers, body.as_bytes());
        answer.json().clone()
    }

    #[test]
    fn a_body_is_json_of_any_kind_or_a_form_or_nothing() {
        // K5
        for (label, body, expected) in [
            ("application/json", r#"{"a":1}"#, json!({ "a": 1 })),
            ("text/html", "\u{feff}[{\"a\":1}]", json!([{ "a": 1 }])),
            ("application/json", "7", json!(7)),
            (
                "application/x-www-form-urlencoded",
                "access_token=a+b",
                json!({ "access_token": "a b" }),
            ),
            ("application/json", "<html>", Value::Null),
            ("application/json", "", Value::Null),
        ] {
            assert_eq!(read(label, body), expected, "{body}");
        }
        let deep = format!("{}1{}", "[".repeat(524_288), "]".repeat(524_288));
        assert_eq!(read("application/json", &deep), Value::Null);
    }

    #[test]
    fn it_shows_its_status_alone() {
        // D6
        let body = br#"{"canary":"canary"}"#;
        let answer = RawAnswer::new(StatusCode::OK, HeaderMap::new(), body);
        assert_eq!(format!("{answer:?}"), "RawAnswer { status: 200, .. }");
    }

    #[test]
    fn each_text_in_a_value_is_wiped() {
        // D6
        let mut value = json!({ "a": "canary", "b": [{ "c": "canary" }, 1, null] });
        wipe(&mut value);
        assert_eq!(value, json!({ "a": "", "b": [{ "c": "" }, 1, null] }));
    }
}
