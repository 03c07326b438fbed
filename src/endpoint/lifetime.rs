//! How long a token lives, in all the ways in which servers say so (B11).

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::DATE;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;
use serde_json::{Map, Value};

use crate::id_token::expiry_claim;
use crate::secret::Secret;
use crate::token::{LONGEST_LIFETIME, Lifetime};

/// What is meant as a point in time lies within this window around the answer's date, in milliseconds:
/// an hour before to 400 days after.
const WINDOW: RangeInclusive<f64> = -3_600_000.0..=34_560_000_000.0;

/// As Azure App Service has written `expires_on` over the years.
const AZURE: [&str; 2] = ["%m/%d/%Y %H:%M:%S %:z", "%m/%d/%Y %I:%M:%S %p %:z"];

/// What the server's clock said when it answered: an end that it states is one by that clock, and
/// ours may be wrong. `now` is ours, for an answer without a `Date` that can be read.
pub(crate) fn answered_at(headers: &HeaderMap, now: SystemTime) -> SystemTime {
    let date = headers.get(DATE).and_then(|value| value.to_str().ok());
    date.and_then(|text| httpdate::parse_http_date(text).ok())
        .unwrap_or(now)
}

/// How long the access token lives: `expires_in` (RFC 6749 section 5.1), if it can be read, and
/// otherwise what is left until the end that a server may state in its place.
pub(crate) fn of_access_token(members: &Map<String, Value>, date: SystemTime) -> Lifetime {
    let stated = members.get("expires_in");
    stated
        .and_then(|value| lifetime(value, date))
        .or_else(|| left(members, &["expires_at", "expires_on"], date))
        .unwrap_or(Lifetime::Unstated)
}

/// How long the refresh token lives, where the server tells: there is no standard for it.
/// `refresh_token_expires_in` is GitHub's, Microsoft's and Google's name, `refresh_expires_in` is
/// Keycloak's, with 0 for one that does not end, and `x_refresh_token_expires_in` QuickBooks'.
pub(crate) fn of_refresh_token(members: &Map<String, Value>, date: SystemTime) -> Option<Duration> {
    const LIFETIMES: [&str; 3] = [
        "refresh_token_expires_in",
        "refresh_expires_in",
        "x_refresh_token_expires_in",
    ];
    const ENDS: [&str; 4] = [
        "refresh_token_expires_at",
        "refresh_token_expires_on",
        "refresh_expires_at",
        "refresh_expires_on",
    ];
    let stated = LIFETIMES
        .iter()
        .filter_map(|name| members.get(*name))
        .find_map(|value| lifetime(value, date));
    positive(stated.or_else(|| left(members, &ENDS, date))?)
}

/// When to refresh, counted like a lifetime (`refresh_in`, B10).
pub(crate) fn of_hint(members: &Map<String, Value>, date: SystemTime) -> Option<Duration> {
    positive(lifetime(members.get("refresh_in")?, date)?)
}

/// What is left of an id token by the server's clock; `None` if its end cannot be read.
pub(crate) fn of_id_token(id_token: &Secret, date: SystemTime) -> Option<Lifetime> {
    let end = expiry_claim(id_token)?;
    Some(of_seconds(end - millis(date) / 1000.0))
}

fn positive(lifetime: Lifetime) -> Option<Duration> {
    match lifetime {
        Lifetime::Stated(lifetime) => Some(lifetime),
        Lifetime::Unstated | Lifetime::Spent => None,
    }
}

/// What is left until the first of these members that is a point in time.
fn left(members: &Map<String, Value>, names: &[&str], date: SystemTime) -> Option<Lifetime> {
    let mut stated = names.iter().filter_map(|name| members.get(*name));
    stated.find_map(|value| until(value, date))
}

/// A lifetime, or what is left of one whose end is stated in its place.
fn lifetime(value: &Value, date: SystemTime) -> Option<Lifetime> {
    until(value, date).or_else(|| number(value).map(of_seconds))
}

/// What is left until a point in time; `None` for what is none that can be meant.
fn until(value: &Value, date: SystemTime) -> Option<Lifetime> {
    let date = millis(date);
    let ends = match number(value) {
        // Where a clock says 1970, a lifetime would lie in the window.
        Some(number) if number <= LONGEST_LIFETIME.as_secs_f64() => return None,
        // Since 1970, in seconds or, as JavaScript counts, in milliseconds.
        Some(number) => [Some(number * 1000.0), Some(number)],
        None => [point_in_time(value.as_str()?.trim()), None],
    };
    let mut offsets = ends.into_iter().flatten().map(|end| end - date);
    let offset = offsets.find(|offset| WINDOW.contains(offset))?;
    Some(of_seconds(offset / 1000.0))
}

fn of_seconds(seconds: f64) -> Lifetime {
    if seconds < 0.0 {
        return Lifetime::Spent;
    }
    // What is too long for a duration is longer than ten years, too.
    let lifetime = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_LIFETIME);
    if lifetime.is_zero() {
        return Lifetime::Spent;
    }
    Lifetime::Stated(lifetime.min(LONGEST_LIFETIME))
}

/// An integer, a float, or the text of one.
fn number(value: &Value) -> Option<f64> {
    let text = match value {
        Value::Number(number) => return number.as_f64(),
        Value::String(text) => text.trim(),
        _ => return None,
    };
    // Only digits and what goes with them: "inf", "NaN" and "infinity" are no numbers here.
    let is_numeric = text
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b"+-.eE".contains(&byte));
    if is_numeric { text.parse().ok() } else { None }
}

/// Milliseconds since 1970 of a date with a time; one that names no offset is in UTC.
fn point_in_time(text: &str) -> Option<f64> {
    let timestamp: Option<Timestamp> = text.parse().ok();
    let timestamp = timestamp.or_else(|| in_utc(text)).or_else(|| {
        let mut formats = AZURE.into_iter();
        formats.find_map(|format| strtime::parse(format, text).ok()?.to_timestamp().ok())
    });
    match timestamp {
        #[expect(
            clippy::cast_precision_loss,
            reason = "an f64 counts milliseconds exactly for 285,000 years"
        )]
        Some(timestamp) => Some(timestamp.as_millisecond() as f64),
        None => httpdate::parse_http_date(text).ok().map(millis),
    }
}

fn in_utc(text: &str) -> Option<Timestamp> {
    let local: DateTime = text.parse().ok()?;
    TimeZone::UTC.to_timestamp(local).ok()
}

fn millis(time: SystemTime) -> f64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::{HeaderMap, HeaderValue};
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::{answered_at, of_access_token, of_refresh_token};
    use crate::token::{LONGEST_LIFETIME, Lifetime};

    /// 1 June 2026, 12:00:00 UTC.
    const DATE: u64 = 1_780_315_200;

    fn date() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(DATE)
    }

    fn members(object: Value) -> Map<String, Value> {
        match object {
            Value::Object(members) => members,
            other => panic!("{other} is no object"),
        }
    }

    #[test]
    fn a_date_in_any_of_its_spellings_is_the_end_that_is_meant() {
        // K6
        for text in [
            "2026-06-01T12:10:00Z",
            "2026-06-01t12:10:00z",
            "2026-06-01T12:10:00.000Z",
            "2026-06-01T12:10:00.0000000Z",
            "2026-06-01T12:10:00+00:00",
            "2026-06-01T12:10:00+0000",
            "2026-06-01T14:10:00+02:00",
            "2026-05-31T22:40:00-13:30",
            "2026-06-01 12:10:00Z",
            "2026-06-01T12:10:00",
            "2026-06-01 12:10:00",
            " 2026-06-01T12:10:00Z\n",
            "20260601T121000Z",
            "06/01/2026 12:10:00 +00:00",
            "06/01/2026 14:10:00 +02:00",
            "6/1/2026 12:10:00 PM +00:00",
            "06/01/2026 02:10:00 PM +02:00",
            "Mon, 01 Jun 2026 12:10:00 GMT",
        ] {
            let stated = Lifetime::Stated(Duration::from_secs(600));
            for name in ["expires_at", "expires_on", "expires_in"] {
                let read = of_access_token(&members(json!({ name: text })), date());
                assert_eq!(read, stated, "{name} {text}");
            }
        }
    }

    #[test]
    fn what_is_no_end_that_can_be_meant_says_nothing() {
        // K6
        for value in [
            json!("2026-06-01T10:59:59Z"),
            json!("2027-07-06T12:00:01Z"),
            json!("1970-01-01T00:10:00Z"),
            json!("2026-13-01T12:10:00Z"),
            json!("12:10:00"),
            json!("in 600 seconds"),
            json!(""),
            json!(600),
            json!(-1),
            json!(true),
            json!({ "seconds": DATE + 600 }),
        ] {
            let read = of_access_token(&members(json!({ "expires_at": value })), date());
            assert_eq!(read, Lifetime::Unstated, "{value}");
        }
    }

    #[test]
    fn an_end_that_is_over_leaves_a_token_that_is_spent() {
        // K6, B11
        for value in [json!(DATE), json!(DATE - 1), json!("2026-06-01T11:00:00Z")] {
            let read = of_access_token(&members(json!({ "expires_at": value })), date());
            assert_eq!(read, Lifetime::Spent, "{value}");
        }
    }

    #[test]
    fn a_lifetime_is_one_for_a_clock_that_has_lost_its_time_too() {
        // K6, B11
        for clock in [0, 1_000, 90_000] {
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(clock);
            for seconds in [600, 86_400, 315_360_000] {
                let read = of_access_token(&members(json!({ "expires_in": seconds })), date);
                let stated = Lifetime::Stated(Duration::from_secs(seconds));
                assert_eq!(read, stated, "{clock} {seconds}");
            }
        }
    }

    #[test]
    fn the_life_of_a_refresh_token_is_read_by_any_of_its_names() {
        // K8
        let day = Duration::from_secs(86_400);
        for (object, expected) in [
            (
                json!({ "refresh_token_expires_in": 8_640_000 }),
                Some(100 * day),
            ),
            (
                json!({ "refresh_token_expires_in": "8640000" }),
                Some(100 * day),
            ),
            (
                json!({ "x_refresh_token_expires_in": 8_640_000 }),
                Some(100 * day),
            ),
            (
                json!({ "refresh_expires_in": 8_640_000.0 }),
                Some(100 * day),
            ),
            (
                json!({ "refresh_token_expires_in": DATE + 86_400 }),
                Some(day),
            ),
            (
                json!({ "refresh_token_expires_at": DATE + 86_400 }),
                Some(day),
            ),
            (
                json!({ "refresh_token_expires_at": (DATE + 86_400) * 1000 }),
                Some(day),
            ),
            (
                json!({ "refresh_token_expires_on": "2026-06-02T12:00:00Z" }),
                Some(day),
            ),
            (
                json!({ "refresh_token_expires_in": null, "x_refresh_token_expires_in": 86_400 }),
                Some(day),
            ),
            // Keycloak's offline tokens do not end.
            (json!({ "refresh_expires_in": 0 }), None),
            (json!({ "refresh_expires_in": -1 }), None),
            (json!({ "refresh_token_expires_at": DATE - 1 }), None),
            (json!({ "refresh_token_expires_at": 3600 }), None),
            (json!({ "expires_in": 3600 }), None),
        ] {
            let read = of_refresh_token(&members(object.clone()), date());
            assert_eq!(read, expected, "{object}");
        }
    }

    #[test]
    fn the_date_of_the_answer_goes_before_our_clock() {
        // K6
        let now = SystemTime::UNIX_EPOCH;
        let mut headers = HeaderMap::new();
        assert_eq!(answered_at(&headers, now), now);
        headers.insert("date", HeaderValue::from_static("yesterday"));
        assert_eq!(answered_at(&headers, now), now);
        let value = HeaderValue::from_static("Mon, 01 Jun 2026 12:00:00 GMT");
        headers.insert("date", value);
        assert_eq!(answered_at(&headers, now), date());
    }

    proptest! {
        #[test]
        fn no_member_makes_a_panic_or_a_lifetime_of_nothing(
            number in any::<f64>(),
            text in "[-0-9TZ:./+ eEPAM]{0,30}|.{0,20}",
            seconds in any::<u32>(),
        ) {
            // K6, B11
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds.into());
            for value in [json!(number), json!(text)] {
                for name in ["expires_in", "expires_at"] {
                    let read = of_access_token(&members(json!({ name: value })), date);
                    if let Lifetime::Stated(lifetime) = read {
                        prop_assert!(!lifetime.is_zero() && lifetime <= LONGEST_LIFETIME);
                    }
                }
            }
        }
    }
}
