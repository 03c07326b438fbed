//! The answer to a pushed authorization request (RFC 9126 section 2.2).

use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::endpoint::transport::Answer;
use crate::endpoint::{answer, members};
use crate::error::Error;
use crate::error_response::ErrorResponse;

/// A longer reference fits into no URL.
const LONGEST: usize = 2 * 1024;

/// What stands for a pushed request in the authorization URL.
pub(crate) struct PushedRequest {
    pub(crate) request_uri: String,
    pub(crate) expires_in: Duration,
}

/// # Errors
/// What the server said, or what is wrong with its answer. There is no way back to a request that is not
/// pushed: it would be weaker than what the server offers.
pub(crate) fn read(answer: &Answer, now: SystemTime) -> Result<PushedRequest, Error> {
    let (status, headers) = (answer.status, &answer.headers);
    let members = members::read(headers, &answer.body);
    let has_reference = |members: &Map<String, Value>| members.contains_key("request_uri");
    match &members {
        // RFC 9126 has 201; some servers say 200.
        Some(object) if status.is_success() && has_reference(object) => {
            usable(object).map_err(|problem| {
                let response = ErrorResponse::new(status, object, answer.body.len());
                Error::protocol(format!(
                    "the answer to the pushed authorization request {problem} (status {})",
                    status.as_u16()
                ))
                .answered_with(response)
            })
        }
        Some(object) if status.is_success() && !object.contains_key("error") => {
            Err(Error::protocol(format!(
                "the answer to the pushed authorization request has no `request_uri` (status {})",
                status.as_u16()
            )))
        }
        _ => Err(answer::refusal(status, headers, members, &answer.body, now)),
    }
}

fn usable(members: &Map<String, Value>) -> Result<PushedRequest, &'static str> {
    let reference = members.get("request_uri").and_then(Value::as_str);
    let reference = reference.ok_or("has a `request_uri` that is no text")?;
    let is_visible = reference.bytes().all(|byte| byte.is_ascii_graphic());
    if reference.is_empty() || reference.len() > LONGEST || !is_visible {
        return Err("has a `request_uri` that cannot be one");
    }
    let seconds = members.get("expires_in").and_then(Value::as_u64);
    let seconds = seconds.filter(|seconds| *seconds > 0);
    let seconds = seconds.ok_or("has no `expires_in` in whole seconds above 0")?;
    Ok(PushedRequest {
        request_uri: reference.to_owned(),
        expires_in: Duration::from_secs(seconds),
    })
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::{HeaderMap, StatusCode};
    use proptest::prelude::{any, proptest};
    use serde_json::{Value, json};
    use zeroize::Zeroizing;

    use super::{LONGEST, read};
    use crate::endpoint::transport::Answer;
    use crate::error::ErrorKind;

    fn answer(status: u16, body: &[u8]) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Zeroizing::new(body.to_vec()),
            is_of_repetition: false,
        }
    }

    fn of(status: u16, body: &Value) -> Result<(String, Duration), ErrorKind> {
        let answer = answer(status, body.to_string().as_bytes());
        let read = read(&answer, SystemTime::UNIX_EPOCH);
        read.map(|pushed| (pushed.request_uri, pushed.expires_in))
            .map_err(|error| error.kind())
    }

    #[test]
    fn only_a_reference_with_a_life_is_taken() {
        // I4
        let good = |uri: &str| json!({ "request_uri": uri, "expires_in": 60 });
        let longest = "x".repeat(LONGEST);
        for status in [200, 201] {
            for uri in ["urn:ietf:params:oauth:request_uri:6esc", "x", &longest] {
                let read = of(status, &good(uri));
                assert_eq!(read, Ok((uri.to_owned(), Duration::from_secs(60))));
            }
        }
        for bad in [
            json!({}),
            json!({ "expires_in": 60 }),
            json!({ "request_uri": 7, "expires_in": 60 }),
            json!({ "request_uri": null, "expires_in": 60 }),
            good(""),
            good("urn: x"),
            good("urn:\u{fc}"),
            good("urn:x\r\nset-cookie: a"),
            good(&format!("{longest}x")),
            json!({ "request_uri": "x" }),
            json!({ "request_uri": "x", "expires_in": 0 }),
            json!({ "request_uri": "x", "expires_in": -1 }),
            json!({ "request_uri": "x", "expires_in": 1.5 }),
            json!({ "request_uri": "x", "expires_in": "60" }),
            json!([]),
            json!("x"),
        ] {
            assert_eq!(of(201, &bad), Err(ErrorKind::Protocol), "{bad}");
        }
    }

    #[test]
    fn a_refusal_of_a_pushed_request_says_what_the_server_said() {
        // I4
        for (status, body, kind) in [
            (
                400,
                json!({ "error": "invalid_request" }),
                ErrorKind::Rejected,
            ),
            (
                401,
                json!({ "error": "invalid_client" }),
                ErrorKind::Rejected,
            ),
            (
                200,
                json!({ "error": "invalid_scope" }),
                ErrorKind::Rejected,
            ),
            (503, good_for_nothing(), ErrorKind::Unavailable),
            (429, good_for_nothing(), ErrorKind::Unavailable),
            (302, good_for_nothing(), ErrorKind::Protocol),
            (404, json!("no"), ErrorKind::Protocol),
        ] {
            assert_eq!(of(status, &body), Err(kind), "{status}");
        }
    }

    fn good_for_nothing() -> Value {
        json!({ "request_uri": "urn:x", "expires_in": 60 })
    }

    proptest! {
        #[test]
        fn no_answer_to_a_pushed_request_makes_a_panic(
            status in 200_u16..600,
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            // I4
            let _ = read(&answer(status, &body), SystemTime::UNIX_EPOCH);
        }
    }
}
