//! How long a `Retry-After` header asks to wait (RFC 9110 section 10.2.3).

use std::time::{Duration, SystemTime};

use http::HeaderValue;

use crate::error::LONGEST_PAUSE;

/// Seconds, or a date that is compared with `now`. A date in the past is no wait at all; what
/// cannot be read is `None`.
pub(crate) fn parse(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    let pause = match seconds(text) {
        Some(pause) => pause,
        None => {
            let date = httpdate::parse_http_date(text).ok()?;
            date.duration_since(now).unwrap_or_default()
        }
    };
    Some(pause.min(LONGEST_PAUSE))
}

/// The grammar knows integers only, but fractions are seen from rate limiters.
fn seconds(text: &str) -> Option<Duration> {
    // Without this look, "infinity" and "NaN" would be numbers.
    if !text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || byte == b'.')
    {
        return None;
    }
    let seconds: f64 = text.parse().ok()?;
    // So many digits that they make no duration are a long wait, too.
    Some(Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_PAUSE))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::HeaderValue;
    use proptest::prelude::*;

    use super::{LONGEST_PAUSE, parse};

    const NOW: u64 = 1_767_225_600;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn read(text: &str) -> Option<Duration> {
        parse(&HeaderValue::from_str(text).unwrap(), at(NOW))
    }

    #[test]
    fn seconds_and_dates_are_read_and_capped_at_an_hour() {
        // B5
        let millis = |text| read(text).map(|pause| pause.as_millis());
        for (text, pause) in [
            ("0", Some(0)),
            ("1", Some(1_000)),
            (" 7 ", Some(7_000)),
            ("1.5", Some(1_500)),
            ("3599", Some(3_599_000)),
            ("3600", Some(3_600_000)),
            ("3601", Some(3_600_000)),
            ("99999999999999999999999999", Some(3_600_000)),
            ("Thu, 01 Jan 2026 00:00:30 GMT", Some(30_000)),
            ("Thursday, 01-Jan-26 00:00:30 GMT", Some(30_000)),
            ("Thu, 01 Jan 2026 00:00:00 GMT", Some(0)),
            ("Wed, 31 Dec 2025 23:59:59 GMT", Some(0)),
            ("Fri, 01 Jan 2027 00:00:00 GMT", Some(3_600_000)),
            ("", None),
            ("-1", None),
            ("+1", None),
            ("1e3", None),
            ("NaN", None),
            ("inf", None),
            ("1.2.3", None),
            (".", None),
            ("soon", None),
            ("Thu, 32 Jan 2026 00:00:30 GMT", None),
        ] {
            assert_eq!(millis(text), pause, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_a_wait_of_more_than_an_hour(
            bytes in proptest::collection::vec(any::<u8>(), 0..80),
            now in 0_u64..20_000_000_000,
        ) {
            // B5
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                prop_assert!(parse(&value, at(now)).is_none_or(|pause| pause <= LONGEST_PAUSE));
            }
        }

        #[test]
        fn a_date_is_the_time_until_then(ahead in 0_u64..10_000) {
            // B5
            let text = httpdate::fmt_http_date(at(NOW + ahead));
            prop_assert_eq!(read(&text), Some(Duration::from_secs(ahead.min(3_600))));
        }

        #[test]
        fn digits_are_seconds(seconds in any::<u64>()) {
            // B5
            prop_assert_eq!(
                read(&seconds.to_string()),
                Some(Duration::from_secs(seconds.min(3_600)))
            );
        }
    }
}
