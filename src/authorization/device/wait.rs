//! What is known of a wait for a user: what was shown, how long to wait, and what the polls have brought.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::authorization::device::polling::{Answer, Pace, may_have_spent};
use crate::authorization::kept_key::KeptKey;
use crate::authorization::pending::seconds;
use crate::clock::system_time;
use crate::dpop::SessionKey;
use crate::endpoint::device_codes::{Instructions, interval};
use crate::error::Error;
use crate::secret::Secret;

/// The number of what is written; nothing else is read.
const FORMAT: u8 = 1;

/// A wait, as it goes on in whichever process.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "Kept", try_from = "Kept")]
pub(super) struct Wait {
    pub(super) device_code: Secret,
    pub(super) instructions: Instructions,
    /// Asked for once more with each poll.
    pub(super) resource: Option<String>,
    /// Which server, and as whom: see [`server_of`](crate::authorization::pending::server_of).
    pub(super) server: String,
    pub(super) expires_at: SystemTime,
    pub(super) pace: Pace,
    /// When the server was last asked, and how long not to ask it after that. Not when to ask it next: a clock
    /// that is set back then makes no wait longer than this.
    pub(super) asked_at: SystemTime,
    pub(super) pause: Duration,
    /// Whether a poll that got no answer may have brought the tokens.
    pub(super) is_answer_lost: bool,
    pub(super) key: Option<SessionKey>,
}

impl Wait {
    /// How long it is until the server may be asked, or the code's life is over.
    pub(super) fn rest(&self, now: SystemTime) -> Duration {
        let waited = now.duration_since(self.asked_at).unwrap_or_default();
        let left = self.expires_at.duration_since(now).unwrap_or_default();
        self.pause.saturating_sub(waited).min(left)
    }

    /// Takes note that the server is asked now: the pause counts from here, also in another process that reads
    /// this while a poll is out.
    pub(super) fn asks(&mut self, now: SystemTime, draw: f64) {
        self.asked_at = now;
        self.pause = self.pace.pause(draw);
    }

    /// Takes note of a poll that brought no tokens. Returns its error if it failed.
    ///
    /// # Errors
    /// If that ends the wait.
    pub(super) fn note(
        &mut self,
        error: Error,
        now: SystemTime,
        draw: f64,
    ) -> Result<Option<Error>, Error> {
        let answer = Answer::of(&error);
        self.pace = self.pace.after(answer);
        if answer == Answer::SlowDown {
            let response = error.error_response();
            let wanted = response.and_then(|response| response.member("interval"));
            self.pace = self.pace.at_least(wanted.and_then(interval));
        }
        self.asks(now, draw);
        let asked_for = error.retry_after().unwrap_or_default();
        self.pause = self.pause.max(asked_for);
        match answer {
            Answer::Pending => {
                // So no tokens have been given for the code.
                self.is_answer_lost = false;
                Ok(None)
            }
            Answer::SlowDown => Ok(None),
            Answer::Failed => {
                self.is_answer_lost |= may_have_spent(&error);
                Ok(Some(error))
            }
            Answer::Denied | Answer::Expired | Answer::Unknown | Answer::Refused => {
                let was_lost = self.is_answer_lost;
                self.is_answer_lost |= may_have_spent(&error);
                Err(answer.ending(error, was_lost))
            }
        }
    }
}

/// What is written.
#[derive(Serialize, Deserialize)]
struct Kept {
    format: u8,
    device_code: Zeroizing<String>,
    user_code: String,
    verification_uri: String,
    #[serde(default)]
    verification_uri_complete: Option<String>,
    #[serde(default)]
    resource: Option<String>,
    server: String,
    /// In seconds since 1970, as the next.
    expires_at: u64,
    asked_at: u64,
    /// In seconds, as the next.
    interval: u64,
    pause: u64,
    #[serde(default)]
    is_answer_lost: bool,
    #[serde(default)]
    dpop_key: Option<KeptKey>,
}

impl From<Wait> for Kept {
    fn from(wait: Wait) -> Self {
        let Instructions {
            user_code,
            verification_uri,
            verification_uri_complete,
        } = wait.instructions;
        Self {
            format: FORMAT,
            device_code: Zeroizing::new(wait.device_code.expose().to_owned()),
            user_code,
            verification_uri: verification_uri.into(),
            verification_uri_complete: verification_uri_complete.map(Into::into),
            resource: wait.resource,
            server: wait.server,
            expires_at: seconds(wait.expires_at),
            // Up, all three, so that the server is not asked too soon.
            asked_at: seconds(wait.asked_at).saturating_add(1),
            interval: rounded_up(wait.pace.interval),
            pause: rounded_up(wait.pause),
            is_answer_lost: wait.is_answer_lost,
            dpop_key: wait.key.as_ref().map(KeptKey::of),
        }
    }
}

impl TryFrom<Kept> for Wait {
    type Error = String;

    fn try_from(kept: Kept) -> Result<Self, String> {
        if kept.format != FORMAT {
            return Err(format!(
                "a pending device authorization of format {}, and this version reads {FORMAT}",
                kept.format
            ));
        }
        if kept.device_code.is_empty() {
            return Err("a pending device authorization without `device_code`".to_owned());
        }
        let complete = kept.verification_uri_complete.as_deref();
        let instructions = Instructions::new(&kept.user_code, &kept.verification_uri, complete)
            .map_err(|problem| format!("a pending device authorization that {problem}"))?;
        let at = |seconds| system_time(Duration::from_secs(seconds));
        Ok(Self {
            device_code: Secret::new(kept.device_code.as_str()),
            instructions,
            resource: kept.resource,
            server: kept.server,
            expires_at: at(kept.expires_at),
            pace: Pace::new(Duration::from_secs(kept.interval)),
            asked_at: at(kept.asked_at),
            pause: Duration::from_secs(kept.pause),
            is_answer_lost: kept.is_answer_lost,
            key: kept.dpop_key.as_ref().map(KeptKey::read).transpose()?,
        })
    }
}

fn rounded_up(span: Duration) -> u64 {
    let begun = u64::from(span.subsec_nanos() > 0);
    span.as_secs().saturating_add(begun)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use http::StatusCode;
    use serde_json::{Value, json};

    use super::Wait;
    use crate::authorization::device::polling::Pace;
    use crate::endpoint::device_codes::Instructions;
    use crate::error::{Error, ErrorKind, HowFar};
    use crate::error_response::ErrorResponse;
    use crate::secret::Secret;

    const START: f64 = 1_767_225_600.0;

    fn at(seconds: f64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs_f64(START + seconds)
    }

    /// Asked at 0 s; the code lives for 600 s.
    fn wait() -> Wait {
        let complete = "https://as.example.com/device?c=ABCD-EFGH";
        Wait {
            device_code: Secret::new("canary"),
            instructions: Instructions::new(
                "ABCD-EFGH",
                "https://as.example.com/device",
                Some(complete),
            )
            .unwrap(),
            resource: None,
            server: "server".to_owned(),
            expires_at: at(600.0),
            pace: Pace::new(Duration::from_secs(5)),
            asked_at: at(0.0),
            pause: Duration::from_secs_f64(5.5),
            is_answer_lost: false,
            key: None,
        }
    }

    fn pending() -> Error {
        Error::new(ErrorKind::Rejected, "").with_oauth_code("authorization_pending")
    }

    fn lost() -> Error {
        Error::new(ErrorKind::Timeout, "").got(HowFar::Lost)
    }

    fn dead() -> Error {
        Error::new(ErrorKind::SignInRequired, "").with_oauth_code("invalid_grant")
    }

    #[test]
    fn the_server_is_left_alone_for_the_pause_and_no_longer_than_the_code_lives() {
        // I3
        for (now, rest) in [
            (0.0, 5.5),
            (5.4, 0.1),
            (5.5, 0.0),
            (300.0, 0.0),
            // The wall clock was set back.
            (-86_400.0, 5.5),
        ] {
            let seconds = wait().rest(at(now)).as_secs_f64();
            assert!((seconds - rest).abs() < 1e-6, "{now}: {seconds}");
        }
        let mut wait = wait();
        wait.pause = Duration::from_secs(3600);
        assert_eq!(wait.rest(at(590.0)), Duration::from_secs(10));
        assert_eq!(wait.rest(at(600.0)), Duration::ZERO);
    }

    #[test]
    fn a_retry_after_that_is_longer_than_the_pause_is_waited_for() {
        // I3
        for (seconds, pause) in [(1, 10.5), (11, 11.0)] {
            let busy = Error::new(ErrorKind::Unavailable, "").got(HowFar::TurnedAway);
            let busy = busy.with_retry_after(Duration::from_secs(seconds));
            let mut wait = wait();
            assert!(wait.note(busy, at(7.0), 0.0).unwrap().is_some());
            assert_eq!(wait.pause, Duration::from_secs_f64(pause));
            assert_eq!(wait.asked_at, at(7.0));
        }
    }

    #[test]
    fn an_interval_in_slow_down_is_taken_where_it_is_longer() {
        // I3
        for (interval, expected) in [
            (json!(30), 30),
            (json!("30"), 30),
            (json!(7), 10),
            (json!(5_000), 60),
            (json!(-1), 10),
            (Value::Null, 10),
        ] {
            let members = json!({ "error": "slow_down", "interval": interval });
            let members = members.as_object().unwrap();
            let response = ErrorResponse::new(StatusCode::OK, members, 1);
            let slow_down = Error::new(ErrorKind::Rejected, "").with_oauth_code("slow_down");
            let mut wait = wait();
            wait.note(slow_down.answered_with(response), at(1.0), 0.0)
                .unwrap();
            assert_eq!(wait.pace.interval, Duration::from_secs(expected));
        }
    }

    #[test]
    fn a_lost_answer_is_remembered_until_the_server_says_that_the_user_has_not_agreed() {
        // I3
        let slow_down = || Error::new(ErrorKind::Rejected, "").with_oauth_code("slow_down");
        let down = || Error::new(ErrorKind::Unavailable, "").got(HowFar::NotSent);
        for (answers, is_lost) in [
            (vec![], false),
            (vec![pending()], false),
            (vec![down()], false),
            (vec![lost()], true),
            (vec![lost(), down(), slow_down()], true),
            (vec![lost(), pending()], false),
        ] {
            let mut wait = wait();
            for answer in answers {
                assert!(wait.note(answer, at(1.0), 0.5).is_ok());
            }
            let error = wait.note(dead(), at(2.0), 0.5).unwrap_err();
            assert_eq!(error.to_string().contains("was lost"), is_lost, "{error}");
        }
        // What says nothing that can be used may have been the tokens.
        let mut wait = wait();
        let page = Error::protocol("").got(HowFar::Unusable);
        assert_eq!(
            wait.note(page, at(1.0), 0.5).unwrap_err().kind(),
            ErrorKind::Protocol
        );
        let error = wait.note(dead(), at(2.0), 0.5).unwrap_err();
        assert!(error.to_string().contains("was lost"), "{error}");
    }

    #[test]
    fn a_wait_that_was_written_goes_on_and_asks_no_sooner() {
        // I3
        let mut one = wait();
        one.resource = Some("https://api.example.com/".to_owned());
        let slow_down = Error::new(ErrorKind::Rejected, "").with_oauth_code("slow_down");
        one.note(slow_down, at(7.3), 0.5).unwrap();
        one.note(lost(), at(20.7), 0.5).unwrap();
        let kept = serde_json::to_string(&one).unwrap();
        let other: Wait = serde_json::from_str(&kept).unwrap();
        assert_eq!(other.pace.interval, Duration::from_secs(10));
        assert_eq!(other.device_code, one.device_code);
        assert!(other.instructions == one.instructions && other.is_answer_lost);
        assert_eq!((other.resource, other.server), (one.resource, one.server));
        assert_eq!(other.expires_at, one.expires_at);
        let next = one.asked_at + one.pause;
        let later = (other.asked_at + other.pause).duration_since(next).unwrap();
        assert!(later <= Duration::from_secs(2), "{later:?}");
    }

    #[test]
    fn what_was_written_is_read_with_the_care_that_an_answer_is() {
        // I3, D6
        let good = serde_json::to_value(wait()).unwrap();
        for (name, value) in [
            ("format", json!(2)),
            ("device_code", json!("")),
            ("user_code", json!("AB\u{1b}[2J")),
            ("verification_uri", json!("file:///etc/passwd")),
            ("expires_at", json!(-1)),
            ("server", Value::Null),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            let error = serde_json::from_value::<Wait>(bad).err().expect(name);
            assert!(!error.to_string().contains("canary"), "{error}");
        }
        // Numbers that nobody has written harm nobody.
        let mut odd = good;
        for name in ["expires_at", "interval", "asked_at", "pause"] {
            odd[name] = json!(u64::MAX);
        }
        let mut odd: Wait = serde_json::from_value(odd).unwrap();
        odd.note(lost(), at(1.0), 1.0).unwrap();
        let _ = odd.rest(at(1.0));
        serde_json::to_string(&odd).unwrap();
    }
}
