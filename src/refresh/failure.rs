//! What an error of a token request means for the refresh token that it spent.

use std::time::Duration;

use crate::clock::Moment;
use crate::error::{Error, ErrorKind, HowFar};
use crate::refresh::protocol::Fate;
use crate::secret::Secret;
use crate::session::doubt::Meaning;
use crate::session::owner::Owner;

/// A longer `Retry-After` ends the flight, so that callers with short deadlines get an answer.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(1);

/// What tells a dead refresh token from a server in trouble, where the server says neither (F5).
pub(crate) struct Circumstances<'flight> {
    pub(crate) now: Moment,
    /// Whether the request asked for nothing besides what the settings ask for.
    pub(crate) is_plain: bool,
    /// Whether a rule of the user's says that this answer refuses the refresh token.
    pub(crate) is_refused_by_rule: bool,
    /// Whether the server has renewed another owner's tokens since a moment.
    pub(crate) others_succeed: &'flight dyn Fn(Moment) -> bool,
}

/// How far the request got.
pub(crate) fn fate_of(error: &Error) -> Fate {
    match error.how_far() {
        HowFar::NotSent | HowFar::TurnedAway => Fate::NotTaken,
        HowFar::Failed => Fate::ServerFailed,
        HowFar::Lost => Fate::Lost,
        HowFar::Unusable => Fate::Unusable,
        HowFar::Answered => Fate::Refused,
    }
}

/// Whether the error itself allows another attempt within the same flight (E3). No setting mends itself
/// within a second, such as a reqwest that was built without TLS; a store that is down is waited for
/// between flights; a grant that panics does so again; and an incoming token that has expired stays so.
pub(crate) fn is_repeatable(error: &Error) -> bool {
    let kind = error.kind();
    let may_mend = !matches!(
        kind,
        ErrorKind::Settings
            | ErrorKind::Store
            | ErrorKind::Panicked
            | ErrorKind::InvalidSubjectToken
    );
    may_mend && error.retry_after().unwrap_or_default() <= LONGEST_RETRY_AFTER
}

/// What the error that a flight ends with says of `refresh_token`, which it spent; and the error of the
/// callers.
pub(crate) fn judge(
    owner: &Owner,
    refresh_token: &Secret,
    error: Error,
    circumstances: &Circumstances<'_>,
) -> (Error, Fate) {
    let fate = fate_of(&error);
    // What never left, what came back from a server in trouble and what was lost says nothing of it,
    // whatever the kind: a secret that somebody else has to sign in for, say.
    if fate != Fate::Refused {
        return (error, fate);
    }
    let dead = |error: Error| {
        owner.note_death(error.clone());
        (error, Fate::Dead)
    };
    if circumstances.is_refused_by_rule {
        let why = Error::sign_in_required(
            "the authorization server refused the refresh token, as the rule of this source has it",
        );
        return dead(why.because_of(&error));
    }
    // `login_required` and its like want the user, but leave the refresh token alive.
    let ends = error.kind() == ErrorKind::SignInRequired
        && !error.is_about_one_api()
        && matches!(error.oauth_code(), None | Some("invalid_grant"));
    if ends {
        return dead(error);
    }
    if !error.is_unspecific_refusal() {
        owner.end_doubt();
        return (error, fate);
    }
    // A server that says when to come back has not ended the session; and what a request asked for
    // besides may be what it refuses.
    if error.retry_after().is_some() || !circumstances.is_plain {
        return (error, fate);
    }
    let now = circumstances.now;
    let meaning = owner.refused_without_a_reason(refresh_token, now, circumstances.others_succeed);
    let error = meaning.as_error(error, now);
    if meaning == Meaning::Dead {
        return dead(error);
    }
    (error, fate)
}

#[cfg(test)]
mod tests {
    use super::{fate_of, is_repeatable};
    use crate::error::{Error, ErrorKind, HowFar};
    use crate::refresh::protocol::Fate;
    use std::time::Duration;

    #[test]
    fn how_far_a_request_got_is_what_became_of_the_refresh_token() {
        // E3
        for (delivery, fate) in [
            (HowFar::NotSent, Fate::NotTaken),
            (HowFar::TurnedAway, Fate::NotTaken),
            (HowFar::Failed, Fate::ServerFailed),
            (HowFar::Lost, Fate::Lost),
            (HowFar::Unusable, Fate::Unusable),
            (HowFar::Answered, Fate::Refused),
        ] {
            let error = Error::new(ErrorKind::Unavailable, "").got(delivery);
            assert_eq!(fate_of(&error), fate, "{delivery:?}");
        }
    }

    #[test]
    fn what_does_not_mend_itself_within_a_second_is_not_tried_again_at_once() {
        // E3
        let unavailable = || Error::new(ErrorKind::Unavailable, "");
        assert!(is_repeatable(&unavailable()));
        for (millis, repeatable) in [(999, true), (1_000, true), (1_001, false)] {
            let error = unavailable().with_retry_after(Duration::from_millis(millis));
            assert_eq!(is_repeatable(&error), repeatable, "{millis}");
        }
        for kind in [
            ErrorKind::Settings,
            ErrorKind::Store,
            ErrorKind::Panicked,
            ErrorKind::InvalidSubjectToken,
        ] {
            assert!(!is_repeatable(&Error::new(kind, "")), "{kind:?}");
        }
    }
}
