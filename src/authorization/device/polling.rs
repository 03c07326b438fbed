//! What the answers to polls mean (RFC 8628 section 3.5), and how long to wait between them.

use std::time::Duration;

use http::StatusCode;

use crate::error::{Error, ErrorKind, HowFar};

/// What `slow_down` adds to the interval, for this poll and all that follow.
const SLOWER_BY: Duration = Duration::from_secs(5);
/// What is added to the interval at least, and as much again by chance: a server that counts by its own clock
/// is not asked too soon, and the devices of one restart do not ask in step.
const MARGIN: Duration = Duration::from_millis(500);
/// Doubling goes no further, so that a server which comes back is noticed.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

/// How fast is polled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    pub(super) interval: Duration,
    /// The polls without an answer since the last one with one.
    failures: u32,
}

/// What a poll that brought no tokens was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The user has not agreed yet.
    Pending,
    SlowDown,
    /// None, or one of a server in trouble.
    Failed,
    /// The user, or the server, said no.
    Denied,
    Expired,
    /// The server does not know the code, or has given the tokens for it.
    Unknown,
    /// Something else is wrong.
    Refused,
}

impl Pace {
    pub(super) fn new(interval: Duration) -> Self {
        Self {
            interval,
            failures: 0,
        }
    }

    /// The pace after this answer.
    #[must_use]
    pub(super) fn after(self, answer: Answer) -> Self {
        match answer {
            Answer::SlowDown => Self::new(self.interval.saturating_add(SLOWER_BY)),
            Answer::Failed => Self {
                failures: self.failures.saturating_add(1),
                ..self
            },
            _ => Self::new(self.interval),
        }
    }

    /// The same with this interval, if that is longer: GitHub says with `slow_down` which one it wants.
    #[must_use]
    pub(super) fn at_least(self, interval: Option<Duration>) -> Self {
        Self {
            interval: self.interval.max(interval.unwrap_or_default()),
            ..self
        }
    }

    /// How long to wait before the next poll; `draw` is from 0 to 1.
    pub(super) fn pause(self, draw: f64) -> Duration {
        let doubled = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        let doubled = self.interval.saturating_mul(doubled);
        let pause = doubled.min(LONGEST_BACKOFF.max(self.interval));
        pause
            .saturating_add(MARGIN)
            .saturating_add(MARGIN.mul_f64(draw))
    }
}

impl Answer {
    /// What the error of a poll says. Providers have names of their own for what RFC 8628 has names for.
    pub(super) fn of(error: &Error) -> Self {
        let response = error.error_response();
        let said = response.and_then(|response| response.error());
        if error.is_transient() {
            // The body of a status that says all says no more, but for this one, which says the same.
            let limits = |status| status == StatusCode::TOO_MANY_REQUESTS;
            let is_limited = response.is_some_and(|response| limits(response.status()));
            return if is_limited && said == Some("slow_down") {
                Self::SlowDown
            } else {
                Self::Failed
            };
        }
        match error.oauth_code().or(said) {
            Some("authorization_pending") => Self::Pending,
            Some("slow_down") => Self::SlowDown,
            // Entra's name is the second one.
            Some("access_denied" | "authorization_declined") => Self::Denied,
            // Entra's in its first version, and GitHub's.
            Some("expired_token" | "code_expired" | "token_expired") => Self::Expired,
            Some("invalid_grant") if !error.is_about_one_api() => Self::Unknown,
            // Entra, GitHub, django-oauth-toolkit.
            Some("bad_verification_code" | "incorrect_device_code" | "device_not_found") => {
                Self::Unknown
            }
            _ => Self::Refused,
        }
    }

    /// What the caller hears of an answer that ends the wait. Providers' own names become those of the RFCs.
    pub(super) fn ending(self, error: Error, is_answer_lost: bool) -> Error {
        let (code, message) = match self {
            Self::Denied => (
                "access_denied",
                "the user, or the authorization server, said no to the sign-in",
            ),
            Self::Expired => (
                "expired_token",
                "the authorization server says that the device code has expired; begin the sign-in anew",
            ),
            Self::Unknown if is_answer_lost => (
                "invalid_grant",
                "the authorization server does not take the device code any more, and the answer to an \
                 earlier poll was lost, which may have brought the tokens; begin the sign-in anew",
            ),
            Self::Unknown => (
                "invalid_grant",
                "the authorization server does not know the device code, or has given tokens for it \
                 already; begin the sign-in anew",
            ),
            _ => return error,
        };
        Error::sign_in_required(message)
            .because_of(&error)
            .with_oauth_code(code)
    }
}

/// Whether the poll may have brought the tokens, and spent the code.
pub(super) fn may_have_spent(error: &Error) -> bool {
    match error.how_far() {
        HowFar::Lost | HowFar::Unusable | HowFar::Failed => true,
        HowFar::NotSent | HowFar::TurnedAway | HowFar::Answered => false,
    }
}

/// The code's life is over. `failed` is the error of the last poll, if that one failed.
pub(super) fn too_late(failed: Option<Error>) -> Error {
    let error = |message| Error::new(ErrorKind::SignInRequired, message).got(HowFar::NotSent);
    match failed {
        None => error(
            "the device code has expired, and the user has not finished the sign-in; begin it anew",
        ),
        Some(failed) => error(
            "the device code expired while the authorization server could not be asked; begin the sign-in \
             anew",
        )
        .because_of(&failed)
        .with_source(failed),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::StatusCode;
    use proptest::prelude::{any, prop_assert, proptest};
    use serde_json::{Map, Value, json};

    use super::{Answer, Pace, may_have_spent, too_late};
    use crate::error::{Error, ErrorKind, HowFar};
    use crate::error_response::ErrorResponse;

    /// As the answers of a token endpoint are read, without their headers.
    fn error(status: u16, code: &str, kind: ErrorKind, named: Option<&'static str>) -> Error {
        let status = StatusCode::from_u16(status).unwrap();
        let mut members = Map::new();
        members.insert("error".to_owned(), Value::from(code));
        let error = Error::new(kind, "").answered_with(ErrorResponse::new(status, &members, 1));
        match named {
            Some(named) => error.with_oauth_code(named),
            None => error,
        }
    }

    fn millis(pace: Pace, draw: f64) -> u128 {
        pace.pause(draw).as_millis()
    }

    #[test]
    fn the_pause_is_the_interval_and_a_margin() {
        // I3
        for (seconds, draw, expected) in [
            (5, 0.0, 5_500),
            (5, 0.5, 5_750),
            (5, 1.0, 6_000),
            (1, 0.0, 1_500),
            (300, 0.0, 300_500),
        ] {
            let pace = Pace::new(Duration::from_secs(seconds));
            assert_eq!(millis(pace, draw), expected, "{seconds} {draw}");
        }
    }

    #[test]
    fn slow_down_makes_the_interval_longer_for_good() {
        // I3
        let mut pace = Pace::new(Duration::from_secs(5));
        for (answer, expected) in [
            (Answer::Pending, 5_500),
            (Answer::SlowDown, 10_500),
            (Answer::Pending, 10_500),
            (Answer::Failed, 20_500),
            (Answer::SlowDown, 15_500),
            (Answer::Refused, 15_500),
            (Answer::Pending, 15_500),
        ] {
            pace = pace.after(answer);
            assert_eq!(millis(pace, 0.0), expected, "{answer:?}");
        }
    }

    #[test]
    fn polls_without_an_answer_double_the_pause_until_one_comes() {
        // I3
        let mut pace = Pace::new(Duration::from_secs(5));
        for expected in [10_500, 20_500, 40_500, 60_500, 60_500] {
            pace = pace.after(Answer::Failed);
            assert_eq!(millis(pace, 0.0), expected);
        }
        assert_eq!(millis(pace.after(Answer::Pending), 0.0), 5_500);
        for _ in 0..100 {
            pace = pace.after(Answer::Failed);
        }
        assert_eq!(millis(pace, 0.0), 60_500);
        // A server that wants more than that gets it.
        let slow = Pace::new(Duration::from_secs(90)).after(Answer::Failed);
        assert_eq!(millis(slow, 0.0), 90_500);
    }

    #[test]
    fn what_a_poll_is_answered_has_a_meaning_whatever_the_provider_calls_it() {
        // I3
        const REJECTED: ErrorKind = ErrorKind::Rejected;
        const DOWN: ErrorKind = ErrorKind::Unavailable;
        for (status, code, kind, is_named, answer) in [
            (
                400,
                "authorization_pending",
                REJECTED,
                true,
                Answer::Pending,
            ),
            // GitHub and Google.
            (
                200,
                "authorization_pending",
                REJECTED,
                true,
                Answer::Pending,
            ),
            (
                428,
                "authorization_pending",
                REJECTED,
                true,
                Answer::Pending,
            ),
            (400, "slow_down", REJECTED, true, Answer::SlowDown),
            (403, "slow_down", REJECTED, true, Answer::SlowDown),
            (429, "slow_down", DOWN, false, Answer::SlowDown),
            (503, "slow_down", DOWN, false, Answer::Failed),
            (429, "access_denied", DOWN, false, Answer::Failed),
            (500, "expired_token", DOWN, false, Answer::Failed),
            (400, "temporarily_unavailable", DOWN, true, Answer::Failed),
            (400, "access_denied", REJECTED, true, Answer::Denied),
            (
                400,
                "authorization_declined",
                REJECTED,
                false,
                Answer::Denied,
            ),
            (400, "expired_token", REJECTED, true, Answer::Expired),
            (200, "token_expired", REJECTED, false, Answer::Expired),
            (400, "code_expired", REJECTED, false, Answer::Expired),
            (
                400,
                "invalid_grant",
                ErrorKind::SignInRequired,
                true,
                Answer::Unknown,
            ),
            (
                400,
                "bad_verification_code",
                REJECTED,
                false,
                Answer::Unknown,
            ),
            (
                200,
                "incorrect_device_code",
                REJECTED,
                false,
                Answer::Unknown,
            ),
            (404, "device_not_found", REJECTED, false, Answer::Unknown),
            (401, "invalid_client", REJECTED, true, Answer::Refused),
            (
                400,
                "unsupported_grant_type",
                REJECTED,
                true,
                Answer::Refused,
            ),
            (400, "canary", REJECTED, false, Answer::Refused),
        ] {
            let named = is_named.then_some(code);
            let error = error(status, code, kind, named);
            assert_eq!(Answer::of(&error), answer, "{status} {code}");
        }
        let timeout = Error::new(ErrorKind::Timeout, "");
        assert_eq!(Answer::of(&timeout), Answer::Failed);
        for kind in [
            ErrorKind::Protocol,
            ErrorKind::Settings,
            ErrorKind::Panicked,
        ] {
            assert_eq!(
                Answer::of(&Error::new(kind, "")),
                Answer::Refused,
                "{kind:?}"
            );
        }
    }

    #[test]
    fn a_verdict_has_the_code_of_the_rfc_and_the_words_of_the_server() {
        // I3
        for (answer, said, is_lost, code, words) in [
            (
                Answer::Denied,
                "authorization_declined",
                false,
                "access_denied",
                "said no",
            ),
            (
                Answer::Expired,
                "token_expired",
                false,
                "expired_token",
                "has expired",
            ),
            (
                Answer::Unknown,
                "bad_verification_code",
                false,
                "invalid_grant",
                "already",
            ),
            (
                Answer::Unknown,
                "invalid_grant",
                true,
                "invalid_grant",
                "was lost",
            ),
        ] {
            let error = error(400, said, ErrorKind::Rejected, None);
            let ending = answer.ending(error, is_lost);
            assert_eq!(ending.kind(), ErrorKind::SignInRequired);
            assert_eq!(ending.oauth_code(), Some(code));
            assert_eq!(ending.error_response().unwrap().error(), Some(said));
            assert!(ending.to_string().contains(words), "{ending}");
        }
        let refused = error(
            401,
            "invalid_client",
            ErrorKind::Rejected,
            Some("invalid_client"),
        );
        let ending = Answer::Refused.ending(refused, true);
        assert_eq!(ending.kind(), ErrorKind::Rejected);
    }

    #[test]
    fn a_poll_may_have_brought_the_tokens_where_the_server_got_it_and_did_not_say_no() {
        // I3
        for (how_far, may) in [
            (HowFar::NotSent, false),
            (HowFar::TurnedAway, false),
            (HowFar::Failed, true),
            (HowFar::Lost, true),
            (HowFar::Unusable, true),
            (HowFar::Answered, false),
        ] {
            let error = Error::new(ErrorKind::Unavailable, "").got(how_far);
            assert_eq!(may_have_spent(&error), may, "{how_far:?}");
        }
    }

    #[test]
    fn the_end_of_the_code_s_life_says_whether_the_server_was_there() {
        // I3
        let user = too_late(None);
        let down = too_late(Some(Error::new(ErrorKind::Unavailable, "canary")));
        for error in [&user, &down] {
            assert_eq!(error.kind(), ErrorKind::SignInRequired);
        }
        assert!(user.to_string().contains("has not finished"), "{user}");
        assert!(down.to_string().contains("could not be asked"), "{down}");
        let source = std::error::Error::source(&down).unwrap();
        assert_eq!(source.to_string(), json!("canary").as_str().unwrap());
    }

    proptest! {
        #[test]
        fn no_pace_makes_a_panic_or_a_pause_below_the_interval(
            seconds in any::<u64>(),
            answers in proptest::collection::vec(0_u8..3, 0..80),
            draw in 0.0..1.0,
        ) {
            // I3
            let mut pace = Pace::new(Duration::from_secs(seconds));
            for answer in answers {
                pace = pace.after(match answer {
                    0 => Answer::Pending,
                    1 => Answer::SlowDown,
                    _ => Answer::Failed,
                });
                prop_assert!(pace.pause(draw) >= pace.interval);
            }
        }
    }
}
