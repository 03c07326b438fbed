//! What gRPC says by headers of its own: how a call ended, and within which time it is to.

use std::time::Duration;

use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// A timeout has eight digits at most.
const MOST_DIGITS: u128 = 99_999_999;

/// How an answer tells the outcome of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// By its HTTP status: it is none of gRPC, or one that a proxy gave in its place.
    ByStatus,
    /// By a code that stands in its headers, as this HTTP status.
    Now(StatusCode),
    /// By a code that is in its trailers.
    AtItsEnd,
}

impl Outcome {
    /// That of an answer with this status and these headers.
    #[inline]
    pub(super) fn of(status: StatusCode, headers: &HeaderMap) -> Self {
        let content = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let Some(rest) = content.and_then(|content| content.strip_prefix(b"application/grpc"))
        else {
            return Self::ByStatus;
        };
        match code_in(headers) {
            _ if status != StatusCode::OK => Self::ByStatus,
            Some(meaning) => Self::Now(meaning),
            // gRPC-Web has its trailers inside the body, where nobody looks for them here.
            None if rest.starts_with(b"-web") => Self::ByStatus,
            None => Self::AtItsEnd,
        }
    }
}

/// The code in headers or trailers, as the HTTP status that means the same (`google.rpc.Code`); 200 for the
/// codes that are about the call, and not about who calls.
pub(super) fn code_in(fields: &HeaderMap) -> Option<StatusCode> {
    let meaning = match fields.get(STATUS)?.as_bytes() {
        b"16" => StatusCode::UNAUTHORIZED,
        b"7" => StatusCode::FORBIDDEN,
        b"2" | b"13" | b"15" => StatusCode::INTERNAL_SERVER_ERROR,
        b"12" => StatusCode::NOT_IMPLEMENTED,
        b"14" => StatusCode::SERVICE_UNAVAILABLE,
        b"4" => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::OK,
    };
    Some(meaning)
}

/// Within which time the caller wants its answer. `None` also for what is no timeout.
pub(super) fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let is_number =
        (1..=8).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: u64 = is_number.then(|| digits.parse().ok())??;
    Some(match unit {
        "H" => Duration::from_secs(number * 3600),
        "M" => Duration::from_secs(number * 60),
        "S" => Duration::from_secs(number),
        "m" => Duration::from_millis(number),
        "u" => Duration::from_micros(number),
        "n" => Duration::from_nanos(number),
        _ => return None,
    })
}

/// Puts another timeout into the headers, in the finest unit that has room for it.
pub(super) fn set_timeout(headers: &mut HeaderMap, left: Duration) {
    let units = [
        (left.as_nanos(), "n"),
        (left.as_micros(), "u"),
        (left.as_millis(), "m"),
        (u128::from(left.as_secs()), "S"),
    ];
    let fitting = units.into_iter().find(|(number, _)| *number <= MOST_DIGITS);
    let (number, unit) = fitting.unwrap_or((MOST_DIGITS, "S"));
    if let Ok(value) = HeaderValue::try_from(format!("{number}{unit}")) {
        headers.insert(TIMEOUT, value);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::header::CONTENT_TYPE;
    use http::{HeaderMap, HeaderValue, StatusCode};

    use super::{Outcome, STATUS, TIMEOUT, set_timeout, timeout};

    fn outcome(status: u16, content: Option<&'static str>, code: Option<&'static str>) -> Outcome {
        let mut headers = HeaderMap::new();
        let fields = [(CONTENT_TYPE, content), (STATUS, code)];
        for (name, value) in fields {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        Outcome::of(StatusCode::from_u16(status).unwrap(), &headers)
    }

    #[test]
    fn a_code_of_grpc_counts_as_the_http_status_that_means_the_same() {
        // J2
        let grpc = Some("application/grpc");
        for (code, status) in [
            ("0", 200),
            ("16", 401),
            ("7", 403),
            ("5", 200),
            ("2", 500),
            ("4", 504),
            ("12", 501),
            ("13", 500),
            ("14", 503),
            ("15", 500),
            ("016", 200),
            ("", 200),
        ] {
            let now = Outcome::Now(StatusCode::from_u16(status).unwrap());
            assert_eq!(outcome(200, grpc, Some(code)), now, "{code}");
        }
        for content in [
            "application/grpc+proto",
            "application/grpc;x=y",
            "application/grpc",
        ] {
            assert_eq!(outcome(200, Some(content), None), Outcome::AtItsEnd);
        }
    }

    #[test]
    fn what_is_no_answer_of_grpc_is_judged_by_its_status_alone() {
        // J2
        for (status, content, code) in [
            (200, None, Some("16")),
            (200, Some("application/json"), Some("16")),
            (200, Some("text/application/grpc"), Some("16")),
            // A proxy in front of the API.
            (401, Some("application/grpc"), None),
            (503, Some("application/grpc"), Some("16")),
            (200, Some("application/grpc-web+proto"), None),
        ] {
            assert_eq!(outcome(status, content, code), Outcome::ByStatus);
        }
    }

    #[test]
    fn a_timeout_is_read_and_written_in_the_units_of_grpc() {
        // B13
        for (text, read) in [
            ("1H", Some(3_600_000_000_000)),
            ("2M", Some(120_000_000_000)),
            ("3S", Some(3_000_000_000)),
            ("4m", Some(4_000_000)),
            ("5u", Some(5_000)),
            ("99999999n", Some(99_999_999)),
            ("0S", Some(0)),
            ("", None),
            ("S", None),
            ("5", None),
            ("-5S", None),
            ("+5S", None),
            ("5s", None),
            ("123456789S", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(TIMEOUT, HeaderValue::from_static(text));
            assert_eq!(timeout(&headers), read.map(Duration::from_nanos), "{text}");
        }
        for (left, text) in [
            (Duration::ZERO, "0n"),
            (Duration::from_nanos(99_999_999), "99999999n"),
            (Duration::from_nanos(100_000_000), "100000u"),
            (Duration::from_secs(99), "99000000u"),
            (Duration::from_secs(100), "100000m"),
            (Duration::from_secs(100_000), "100000S"),
            (Duration::MAX, "99999999S"),
        ] {
            let mut headers = HeaderMap::new();
            set_timeout(&mut headers, left);
            assert_eq!(headers[TIMEOUT], text, "{left:?}");
        }
    }
}
