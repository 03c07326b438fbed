//! The hook that translates the answers of a server with members of its own, and what its faults cost.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::clock::{Clock, Moment};
use crate::endpoint::answer;
use crate::endpoint::raw_answer::{RawAnswer, wipe};
use crate::endpoint::transport::{Answer, status_says_all};
use crate::endpoint::verdict::{Asked, ErrorMember, error_member, refusal_member};
use crate::error::{Error, ErrorKind, HowFar};
use crate::schedule::refusal_pause;
use crate::token::TokenResponse;

/// So many answers in a row that the hook could not make anything of stop the spending of refresh
/// tokens: one may have been odd, and a broken hook would cost every session.
const MOST_FAILURES: u32 = 2;

/// A translation takes microseconds. By the machine's own clock, as the time-outs of sockets are.
const LONGEST: Duration = Duration::from_secs(2);

type Translate = dyn Fn(&RawAnswer) -> Option<Value> + Send + Sync;

/// The hook of one endpoint, and how it has fared.
#[derive(Clone)]
pub(crate) struct Translation {
    hook: Arc<Translate>,
    faults: Arc<Mutex<Faults>>,
}

/// The answers in a row that were lost to the hook.
#[derive(Debug, Default)]
struct Faults {
    count: u32,
    /// The last one, and from when on another refresh token may be spent.
    last: Option<(Error, Moment)>,
}

/// What came of a hook that was asked.
pub(crate) enum Translated {
    Members(Value),
    /// It leaves the answer as it was sent.
    Unchanged,
    Fault(Error),
}

impl Translation {
    pub(crate) fn new(hook: impl Fn(&RawAnswer) -> Option<Value> + Send + Sync + 'static) -> Self {
        Self {
            hook: Arc::new(hook),
            faults: Arc::default(),
        }
    }

    /// Whether a refresh token may be spent now. While the hook fails, one is for each pause, whether
    /// or not the one before has been answered: that is how a mended server is found again.
    ///
    /// # Errors
    /// The hook's last fault, with the time to wait; nothing is to be sent.
    pub(crate) fn admit(&self, asked: Asked, now: Moment) -> Result<(), Error> {
        if !asked.is_refresh() {
            return Ok(());
        }
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        let count = faults.count;
        let Some((error, until)) = faults.last.as_mut().filter(|_| count >= MOST_FAILURES) else {
            return Ok(());
        };
        if until.has_come(now) {
            *until = now.later(pause(count));
            return Ok(());
        }
        let message = "the hook `translate_answers` could make nothing of the last answers of this \
                       token endpoint, so that no refresh token is spent there for a while; mend the \
                       hook";
        // Of this kind, so that no flight waits for the end of the pause: others may take it.
        let standing_by = Error::settings(message)
            .got(HowFar::NotSent)
            .with_retry_after(until.soonest_after(now));
        Err(standing_by.because_of(error))
    }

    /// Reads an answer, translated where the hook has something to say of it.
    ///
    /// # Errors
    /// As for an answer that was sent like this. Where the hook fails and the answer as it was sent
    /// says nothing either, it is lost, and the error names the hook.
    pub(crate) async fn read(
        &self,
        asked: Asked,
        answer: Answer,
        now: Moment,
    ) -> Result<TokenResponse, Error> {
        // No verdict comes with these, whatever their body says.
        if status_says_all(answer.status) {
            return untranslated(asked, &answer, now.system_time());
        }
        let raw = RawAnswer::new(answer.status, answer.headers.clone(), &answer.body);
        let said = self.ask(raw).await;
        let (read, hook) = read_translated(asked, &answer, said, now.system_time());
        match (hook, &read) {
            (Hook::LostTheAnswer, Err(error)) => self.note_fault(error, now),
            (Hook::Fine, _) => self.note_success(),
            _ => {}
        }
        read
    }

    /// Asks the hook beside the tasks of this runtime, so that one which takes its time holds up
    /// nothing else, and one that hangs is given up.
    async fn ask(&self, raw: RawAnswer) -> Translated {
        let hook = Arc::clone(&self.hook);
        let asking = tokio::task::spawn_blocking(move || {
            let said = catch_unwind(AssertUnwindSafe(|| hook(&raw)));
            match said {
                Ok(Some(members)) if members != *raw.json() => Translated::Members(members),
                Ok(same) => {
                    wipe(&mut same.unwrap_or_default());
                    Translated::Unchanged
                }
                Err(_) => Translated::Fault(panicked()),
            }
        });
        let clock = Clock::system();
        tokio::select! {
            biased;
            asked = asking => asked.unwrap_or_else(|_| Translated::Fault(panicked())),
            () = clock.sleep(LONGEST) => Translated::Fault(Error::new(
                ErrorKind::Timeout,
                "the hook `translate_answers` took longer than 2 s, and was given up",
            )),
        }
    }

    fn note_success(&self) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        *faults = Faults::default();
    }

    fn note_fault(&self, error: &Error, now: Moment) {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.count = faults.count.saturating_add(1);
        let until = now.later(pause(faults.count));
        faults.last = Some((error.clone(), until));
    }
}

impl fmt::Debug for Translation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Translation")
    }
}

/// The pause after so many failures, as where somebody has to mend something (B6): 1 s, doubling to 30 s.
fn pause(failures: u32) -> Duration {
    refusal_pause(failures.saturating_sub(MOST_FAILURES))
}

fn panicked() -> Error {
    let message = "the hook `translate_answers` panicked";
    Error::new(ErrorKind::Panicked, message)
}

/// How a hook has fared with an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    Fine,
    /// The answer shows nothing of it: a refusal that does not say why, and that it left alone.
    Undecided,
    /// Neither it nor our own rules could make anything of the answer.
    LostTheAnswer,
}

/// Reads an answer of which the hook has said this.
///
/// # Errors
/// As for an answer that was sent like this; a lost answer that names the hook where that one failed and
/// the answer as it was sent says nothing either.
pub(crate) fn read_translated(
    asked: Asked,
    answer: &Answer,
    said: Translated,
    now: SystemTime,
) -> (Result<TokenResponse, Error>, Hook) {
    let fault = match said {
        Translated::Members(members) => match judge(asked, members, answer, now) {
            Ok(judged) => return (judged, Hook::Fine),
            Err(fault) => Some(fault),
        },
        Translated::Unchanged => None,
        Translated::Fault(fault) => Some(fault),
    };
    let read = untranslated(asked, answer, now);
    match (fault, read) {
        (Some(fault), Err(error)) if !says_why(&error) => {
            let lost = fault.got(HowFar::Unusable);
            let lost = match error.error_response() {
                Some(response) => lost.answered_with(response.clone()),
                None => lost,
            };
            (Err(lost), Hook::LostTheAnswer)
        }
        // What it has nothing to say of, and we cannot read, is lost as well.
        (None, Err(error)) if error.how_far().is_loss() => (Err(error), Hook::LostTheAnswer),
        (None, Err(error)) if !says_why(&error) => (Err(error), Hook::Undecided),
        (_, read) => (read, Hook::Fine),
    }
}

/// What the members that the hook returned say; or, as an error, that they say nothing.
fn judge(
    asked: Asked,
    translated: Value,
    answer: &Answer,
    now: SystemTime,
) -> Result<Result<TokenResponse, Error>, Error> {
    let nothing = |problem: &str| {
        let status = answer.status.as_u16();
        Error::protocol(format!(
            "what the hook `translate_answers` returned {problem} (status {status})"
        ))
    };
    let members = match translated {
        Value::Object(members) => members,
        mut other => {
            wipe(&mut other);
            return Err(nothing("is no JSON object"));
        }
    };
    let is_success = answer.status.is_success();
    let member = if is_success {
        error_member(&members, asked)
    } else {
        refusal_member(&members, asked)
    };
    if member == ErrorMember::NoText || (member == ErrorMember::Absent && !is_success) {
        wipe(&mut Value::Object(members));
        return Err(nothing("has no `error` that is a text"));
    }
    let (status, headers, body) = (answer.status, &answer.headers, &answer.body);
    let judged = answer::judge(asked, status, headers, Some(members), body, now);
    match judged {
        Err(error) if error.how_far().is_loss() => {
            Err(nothing("has no `access_token` that can be sent"))
        }
        judged => Ok(judged),
    }
}

fn untranslated(asked: Asked, answer: &Answer, now: SystemTime) -> Result<TokenResponse, Error> {
    answer::parse_token_answer(asked, answer.status, &answer.headers, &answer.body, now)
}

/// Whether an error is the server's own word, which needs no translation: a verdict that says why, or a
/// server that turns everybody away.
fn says_why(error: &Error) -> bool {
    let is_verdict = error.oauth_code().is_some() || error.kind() == ErrorKind::SignInRequired;
    match error.how_far() {
        HowFar::Answered => is_verdict && !error.is_unspecific_refusal(),
        far => !far.is_loss(),
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, StatusCode};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::{Answer, Asked, Translation};
    use crate::clock::{Clock, Moment};
    use crate::error::{Error, ErrorKind, HowFar};
    use crate::token::{TokenResponse, bearer_header};

    /// What an answer of this status and body comes to, whatever the hook returns.
    fn read(status: u16, body: &[u8], returned: Option<Value>) -> Result<TokenResponse, Error> {
        let translation = Translation::new(move |_| returned.clone());
        let answer = Answer {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_vec().into(),
            is_of_repetition: false,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(translation.read(Asked::REFRESH, answer, now()))
    }

    fn now() -> Moment {
        Clock::system().now()
    }

    /// Values that hooks might return, near to what is wanted and far from it.
    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[ -~]{0,20}".prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
            Just(json!("invalid_grant")),
        ];
        let name = prop_oneof![
            Just("access_token".to_owned()),
            Just("error".to_owned()),
            Just("expires_in".to_owned()),
            Just("token_type".to_owned()),
            Just("refresh_token".to_owned()),
            "[a-z]{0,4}",
        ];
        leaf.prop_recursive(3, 24, 6, move |value| {
            prop_oneof![
                proptest::collection::vec(value.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec((name.clone(), value), 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    #[test]
    fn a_translated_error_is_no_verdict_where_the_status_says_all() {
        // K5, E3
        for status in [408, 429, 500, 502, 503, 504, 599] {
            let dead = Some(json!({ "error": "invalid_grant" }));
            let error = read(status, b"{}", dead).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Unavailable, "{status}");
            assert_ne!(error.how_far(), HowFar::Answered, "{status}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn nothing_that_a_hook_returns_makes_a_panic_or_a_leak_or_ends_a_session_by_itself(
            status in prop_oneof![Just(200_u16), Just(400), 100..600_u16],
            body in prop_oneof![
                Just(Vec::new()),
                Just(br#"{"canary":"canary"}"#.to_vec()),
                proptest::collection::vec(any::<u8>(), 0..60),
            ],
            returned in proptest::option::of(any_value()),
        ) {
            // K5, D6, D7
            let named = |code: &Value| {
                code.as_str().is_some_and(|code| {
                    let code = code.trim_start();
                    code.starts_with("invalid_grant")
                })
            };
            let says_dead = returned.as_ref().is_some_and(|value| {
                value.get("error").is_some_and(named)
            });
            match read(status, &body, returned) {
                Ok(token) => {
                    prop_assert!((200..300).contains(&status));
                    prop_assert!(bearer_header(&token.access_token).is_ok());
                }
                Err(error) => {
                    let shown = format!("{error} {error:?}");
                    prop_assert!(!shown.contains("canary"), "{}", shown);
                    let ends = error.kind() == ErrorKind::SignInRequired;
                    prop_assert!(!ends || (says_dead && status < 500), "{}", shown);
                }
            }
        }
    }
}
