//! The answer to a device authorization request (RFC 8628 section 3.2).

use std::time::{Duration, SystemTime};

use reqwest::Url;
use serde_json::{Map, Value};

use crate::endpoint::transport::Answer;
use crate::endpoint::{answer, lifetime, members};
use crate::error::Error;
use crate::error_response::ErrorResponse;
use crate::secret::Secret;
use crate::token::Lifetime;

/// Section 3.2: for a server that does not say.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);
/// For a server that says less: it would be asked without a pause.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// For a server that says more, such as one that means milliseconds: the user would wait for nothing.
const LONGEST_INTERVAL: Duration = Duration::from_secs(60);
/// For a server that does not say, although it has to.
const DEFAULT_LIFE: Duration = Duration::from_secs(10 * 60);
/// For a server that says more: a program that somebody left alone does not ask for ever.
const LONGEST_LIFE: Duration = Duration::from_secs(24 * 60 * 60);
/// Nobody types a longer one.
const LONGEST_USER_CODE: usize = 64;
/// No terminal and no QR code has room for a longer one.
const LONGEST_URI: usize = 2 * 1024;

/// What a device polls with, and what it shows to its user.
pub(crate) struct DeviceCodes {
    pub(crate) device_code: Secret,
    pub(crate) instructions: Instructions,
    pub(crate) lifetime: Duration,
    pub(crate) interval: Duration,
}

/// What a user is shown: nothing in it can make a terminal do anything.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Instructions {
    pub(crate) user_code: String,
    pub(crate) verification_uri: Url,
    /// With the user code in it.
    pub(crate) verification_uri_complete: Option<Url>,
}

impl Instructions {
    /// `complete` is for comfort, so one that cannot be shown is none.
    ///
    /// # Errors
    /// What is wrong with the code or the URI.
    pub(crate) fn new(
        user_code: &str,
        uri: &str,
        complete: Option<&str>,
    ) -> Result<Self, &'static str> {
        let user_code = user_code.trim();
        // Letters of other alphabets may look alike, and go from right to left.
        let is_shown = |byte: u8| matches!(byte, 0x20..=0x7E);
        if user_code.is_empty()
            || user_code.len() > LONGEST_USER_CODE
            || !user_code.bytes().all(is_shown)
        {
            return Err("has a `user_code` that cannot be one");
        }
        Ok(Self {
            user_code: user_code.to_owned(),
            verification_uri: page(uri).ok_or(
                "has a `verification_uri` that is no http or https URL, and is not shown to a user",
            )?,
            verification_uri_complete: complete.and_then(page),
        })
    }
}

/// A URL of a page. What it shows of itself is ASCII without controls: everything else is encoded.
fn page(uri: &str) -> Option<Url> {
    let url = Url::parse(uri.trim()).ok()?;
    let is_page = matches!(url.scheme(), "https" | "http") && url.has_host();
    (is_page && url.as_str().len() <= LONGEST_URI).then_some(url)
}

/// # Errors
/// What the server said, or what is wrong with its answer.
pub(crate) fn read(answer: &Answer, now: SystemTime) -> Result<DeviceCodes, Error> {
    let (status, headers) = (answer.status, &answer.headers);
    let members = members::read(headers, &answer.body);
    let has_code = |members: &Map<String, Value>| members.contains_key("device_code");
    match &members {
        Some(object) if status.is_success() && has_code(object) => {
            let date = lifetime::answered_at(headers, now);
            usable(object, date).map_err(|problem| {
                let response = ErrorResponse::new(status, object, answer.body.len());
                Error::protocol(format!(
                    "the answer to the device authorization request {problem} (status {})",
                    status.as_u16()
                ))
                .answered_with(response)
            })
        }
        Some(object) if status.is_success() && !object.contains_key("error") => {
            Err(Error::protocol(format!(
                "the answer to the device authorization request has no `device_code` (status {})",
                status.as_u16()
            )))
        }
        _ => Err(answer::refusal(status, headers, members, &answer.body, now)),
    }
}

fn usable(members: &Map<String, Value>, date: SystemTime) -> Result<DeviceCodes, &'static str> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    let device_code = text("device_code").filter(|code| !code.is_empty());
    let device_code = device_code.ok_or("has a `device_code` that is no text")?;
    let user_code = text("user_code").ok_or("has no `user_code`")?;
    // Google's name for it, and Entra's in its first version.
    let uri = text("verification_uri").or_else(|| text("verification_url"));
    let uri = uri.ok_or("has no `verification_uri`")?;
    let complete = text("verification_uri_complete").or_else(|| text("verification_url_complete"));
    let instructions = Instructions::new(user_code, uri, complete)?;
    let lifetime = match lifetime::of_access_token(members, date) {
        Lifetime::Stated(lifetime) => lifetime.min(LONGEST_LIFE),
        Lifetime::Unstated => DEFAULT_LIFE,
        Lifetime::Spent => return Err("has codes that have expired already"),
    };
    let stated = members.get("interval");
    Ok(DeviceCodes {
        device_code: Secret::new(device_code),
        instructions,
        lifetime,
        interval: stated.and_then(interval).unwrap_or(DEFAULT_INTERVAL),
    })
}

/// `None` for what is no interval.
pub(crate) fn interval(stated: &Value) -> Option<Duration> {
    let seconds = match stated {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    let interval = Duration::try_from_secs_f64(seconds?).ok()?;
    Some(interval.clamp(SHORTEST_INTERVAL, LONGEST_INTERVAL))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::{HeaderMap, StatusCode};
    use proptest::prelude::{any, prop_assert, proptest};
    use serde_json::{Value, json};
    use zeroize::Zeroizing;

    use super::{DeviceCodes, Instructions, LONGEST_URI, LONGEST_USER_CODE, read};
    use crate::endpoint::transport::Answer;
    use crate::error::{Error, ErrorKind};

    const NOW: u64 = 1_767_225_600;

    fn answer(status: u16, body: &[u8]) -> Answer {
        Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: Zeroizing::new(body.to_vec()),
            is_of_repetition: false,
        }
    }

    fn of(status: u16, body: &Value) -> Result<DeviceCodes, Error> {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW);
        read(&answer(status, body.to_string().as_bytes()), now)
    }

    /// The example of RFC 8628 section 3.2, with these members in place of its own; null takes one out.
    fn example(changes: Value) -> Value {
        let mut body = json!({
            "device_code": "GmRhmhcxhwAzkoEqiMEg_DnyEysNkuNhszIySk9eS",
            "user_code": "WDJB-MJHT",
            "verification_uri": "https://example.com/device",
            "verification_uri_complete": "https://example.com/device?user_code=WDJB-MJHT",
            "expires_in": 1800,
            "interval": 5,
        });
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    }

    #[test]
    fn the_example_of_the_rfc_is_read() {
        // I3
        let codes = of(200, &example(json!({}))).unwrap();
        assert_eq!(codes.device_code.expose().len(), 41);
        assert_eq!(codes.instructions.user_code, "WDJB-MJHT");
        let uri = codes.instructions.verification_uri.as_str();
        assert_eq!(uri, "https://example.com/device");
        let complete = codes.instructions.verification_uri_complete.unwrap();
        assert_eq!(
            complete.as_str(),
            "https://example.com/device?user_code=WDJB-MJHT"
        );
        assert_eq!(codes.lifetime, Duration::from_secs(1800));
        assert_eq!(codes.interval, Duration::from_secs(5));
    }

    #[test]
    fn intervals_and_lives_are_read_in_all_their_spellings_and_bounded() {
        // I3
        for (interval, seconds) in [
            (Value::Null, 5.0),
            (json!(2), 2.0),
            (json!("7"), 7.0),
            (json!(1.5), 1.5),
            (json!(0), 1.0),
            (json!(60), 60.0),
            (json!(5_000), 60.0),
            (json!(-3), 5.0),
            (json!("soon"), 5.0),
            (json!("NaN"), 5.0),
            (json!([5]), 5.0),
        ] {
            let codes = of(200, &example(json!({ "interval": interval }))).unwrap();
            assert_eq!(
                codes.interval,
                Duration::from_secs_f64(seconds),
                "{interval}"
            );
        }
        for (life, seconds) in [
            (Value::Null, 600),
            (json!("900"), 900),
            (json!(1), 1),
            (json!(NOW + 900), 900),
            (json!(1e9), 86_400),
            (json!("soon"), 600),
        ] {
            let codes = of(200, &example(json!({ "expires_in": life }))).unwrap();
            assert_eq!(codes.lifetime, Duration::from_secs(seconds), "{life}");
        }
    }

    #[test]
    fn other_names_for_the_page_are_read_and_a_page_for_comfort_may_be_missing() {
        // I3
        let google = json!({
            "verification_uri": null,
            "verification_uri_complete": null,
            "verification_url": "https://www.google.com/device",
        });
        let codes = of(200, &example(google)).unwrap();
        let uri = codes.instructions.verification_uri.as_str();
        assert_eq!(uri, "https://www.google.com/device");
        for complete in [
            json!(""),
            json!("javascript:alert(1)"),
            json!(7),
            json!("/x"),
        ] {
            let changes = json!({ "verification_uri_complete": complete });
            let codes = of(200, &example(changes)).unwrap();
            assert!(
                codes.instructions.verification_uri_complete.is_none(),
                "{complete}"
            );
        }
    }

    #[test]
    fn an_answer_without_codes_that_can_be_used_is_an_error_that_shows_none() {
        // I3, D6
        let long = "X".repeat(LONGEST_USER_CODE + 1);
        let long_uri = format!("https://example.com/{}", "x".repeat(LONGEST_URI));
        for changes in [
            json!({ "device_code": null }),
            json!({ "device_code": "" }),
            json!({ "device_code": 7 }),
            json!({ "user_code": null }),
            json!({ "user_code": "" }),
            json!({ "user_code": "  " }),
            json!({ "user_code": 7 }),
            json!({ "user_code": long }),
            json!({ "user_code": "canary\u{1b}]8;;https://evil.example\u{7}" }),
            json!({ "user_code": "canary\nroot" }),
            json!({ "user_code": "canary\u{9b}2J" }),
            json!({ "user_code": "\u{202e}canary" }),
            json!({ "verification_uri": null }),
            json!({ "verification_uri": 7 }),
            json!({ "verification_uri": "" }),
            json!({ "verification_uri": "/device" }),
            json!({ "verification_uri": "example.com/device" }),
            json!({ "verification_uri": "javascript:canary" }),
            json!({ "verification_uri": "file:///canary" }),
            json!({ "verification_uri": "vbscript:canary" }),
            json!({ "verification_uri": "data:text/html,canary" }),
            json!({ "verification_uri": long_uri }),
            json!({ "expires_in": 0 }),
            json!({ "expires_in": -5 }),
        ] {
            let error = of(200, &example(changes.clone())).err();
            let error = error.unwrap_or_else(|| panic!("{changes}"));
            assert_eq!(error.kind(), ErrorKind::Protocol, "{changes}");
            let shown = format!("{error} {error:?}");
            assert!(
                !shown.contains("canary") && !shown.contains("GmRhm"),
                "{shown}"
            );
            let response = error.error_response();
            assert!(response.is_none_or(|it| it.member("device_code").is_none()));
        }
    }

    #[test]
    fn a_refusal_of_a_device_authorization_says_what_the_server_said() {
        // I3
        for (status, body, kind) in [
            (
                400,
                json!({ "error": "invalid_scope" }),
                ErrorKind::Rejected,
            ),
            (
                401,
                json!({ "error": "invalid_client" }),
                ErrorKind::Rejected,
            ),
            (
                200,
                json!({ "error": "device_flow_disabled" }),
                ErrorKind::Rejected,
            ),
            (503, example(json!({})), ErrorKind::Unavailable),
            (429, example(json!({})), ErrorKind::Unavailable),
            (302, example(json!({})), ErrorKind::Protocol),
            (404, json!("no"), ErrorKind::Protocol),
            (200, json!({}), ErrorKind::Protocol),
            (200, json!([]), ErrorKind::Protocol),
        ] {
            let error = of(status, &body).err().map(|error| error.kind());
            assert_eq!(error, Some(kind), "{status} {body}");
        }
    }

    proptest! {
        #[test]
        fn what_a_user_is_shown_is_printable_ascii_whatever_a_server_says(
            code in any::<String>(),
            path in any::<String>(),
            complete in any::<String>(),
        ) {
            // I3
            let uri = format!("https://example.com/{path}");
            let complete = format!("https://example.com/?{complete}#{complete}");
            let shown = |text: &str| text.bytes().all(|byte| matches!(byte, 0x20..=0x7E));
            if let Ok(read) = Instructions::new(&code, &uri, Some(&complete)) {
                prop_assert!(shown(&read.user_code));
                prop_assert!(shown(read.verification_uri.as_str()));
                let complete = read.verification_uri_complete;
                prop_assert!(complete.is_none_or(|url| shown(url.as_str())));
            }
        }

        #[test]
        fn no_answer_to_a_device_authorization_makes_a_panic(
            status in 200_u16..600,
            body in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            // I3
            let _ = read(&answer(status, &body), SystemTime::UNIX_EPOCH);
        }
    }
}
