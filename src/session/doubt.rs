//! A refresh token that the server refuses without saying why: whether it is dead (F5).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use crate::clock::{Moment, system_time};
use crate::error::Error;
use crate::secret::Secret;

/// So many refusals ...
const ENOUGH_REFUSALS: u32 = 3;
/// ... over at least this time are neither a slip of ours nor a rate limit.
const LONG_ENOUGH: Duration = Duration::from_secs(5 * 60);
/// A refresh token that is in doubt is tried once in this time.
const TRIED_EVERY: Duration = Duration::from_secs(5 * 60);

/// What the refusals of one refresh token have come to. In the memory of this process alone: a record
/// that said so would end sessions for a rollout with a wrong setting.
#[derive(Debug)]
pub(crate) struct Doubt {
    /// Which refresh token it is, as a hash.
    about: u64,
    since: Moment,
    refusals: u32,
    /// Until when it is not sent again.
    rests_until: Option<Moment>,
}

/// What one more refusal means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Nothing yet.
    Unclear,
    /// The user may have to sign in again.
    InDoubt,
    /// The refresh token is dead: the server renews those of others.
    Dead,
}

impl Doubt {
    /// The server refuses `refresh_token` once more. `others_succeed` says whether it has renewed
    /// another owner's tokens, by the same client, since a moment.
    pub(crate) fn refused(
        doubt: &mut Option<Box<Self>>,
        refresh_token: &Secret,
        now: Moment,
        others_succeed: impl FnOnce(Moment) -> bool,
    ) -> Meaning {
        let about = digest(refresh_token);
        let known = doubt.take().filter(|doubt| doubt.about == about);
        let known = doubt.insert(known.unwrap_or_else(|| {
            Box::new(Self {
                about,
                since: now,
                refusals: 0,
                rests_until: None,
            })
        }));
        known.refusals = known.refusals.saturating_add(1);
        let lasted = now.waited_since(known.since);
        if known.refusals < ENOUGH_REFUSALS || lasted < LONG_ENOUGH {
            Meaning::Unclear
        } else if others_succeed(known.since) {
            Meaning::Dead
        } else {
            known.rests_until = Some(now.later(TRIED_EVERY));
            Meaning::InDoubt
        }
    }

    /// Why `refresh_token` is not sent at `now`, if it is in doubt and was tried a while ago only.
    pub(crate) fn standing(&self, refresh_token: &Secret, now: Moment) -> Option<Error> {
        let until = self.rests_until?;
        let rests = !until.has_come(now) && self.about == digest(refresh_token);
        rests.then(|| in_doubt(until.soonest_after(now), now))
    }
}

/// What callers get while a refresh token is in doubt; it is tried again after `pause`.
pub(crate) fn in_doubt(pause: Duration, now: Moment) -> Error {
    Error::sign_in_required(
        "the authorization server has refused the refresh token for minutes without saying why; \
         the user may have to sign in again",
    )
    .doubtful()
    .with_retry_after(pause)
    .with_retry_at(system_time(now.wall.saturating_add(pause)))
}

impl Meaning {
    /// The error of the flight whose request met the refusal with `error`.
    pub(crate) fn as_error(self, error: Error, now: Moment) -> Error {
        match self {
            Self::Unclear => error,
            Self::InDoubt => in_doubt(TRIED_EVERY, now).because_of(&error),
            Self::Dead => Error::sign_in_required(
                "the authorization server refuses the refresh token without saying why, and renews \
                 those of other users; the user has to sign in again",
            )
            .because_of(&error),
        }
    }
}

fn digest(refresh_token: &Secret) -> u64 {
    let mut hasher = DefaultHasher::new();
    refresh_token.expose().hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::{Doubt, Meaning};
    use crate::clock::Moment;
    use crate::secret::Secret;
    use std::time::Duration;

    fn at(seconds: u64) -> Moment {
        Moment {
            monotonic: Duration::from_secs(seconds),
            wall: Duration::from_secs(seconds),
        }
    }

    fn meanings(moments: &[u64], others_succeed: bool) -> Vec<Meaning> {
        let mut doubt = None;
        let token = Secret::new("r");
        let refused = |second: &u64| {
            Doubt::refused(&mut doubt, &token, at(*second), |since| {
                assert_eq!(since, at(moments[0]));
                others_succeed
            })
        };
        moments.iter().map(refused).collect()
    }

    #[test]
    fn three_refusals_over_five_minutes_mean_something_and_fewer_or_faster_ones_do_not() {
        // F5
        use Meaning::{Dead, InDoubt, Unclear};
        for others_succeed in [false, true] {
            let conclusion = if others_succeed { Dead } else { InDoubt };
            for (moments, last) in [
                (&[0][..], Unclear),
                (&[0, 1_000], Unclear),
                (&[0, 1, 2, 3, 4, 5, 6, 7, 8], Unclear),
                (&[10, 11, 309], Unclear),
                (&[10, 11, 310], conclusion),
                (&[10, 309, 310], conclusion),
            ] {
                let meanings = meanings(moments, others_succeed);
                assert_eq!(meanings.last(), Some(&last), "{moments:?}");
                let earlier = &meanings[..meanings.len() - 1];
                assert!(earlier.iter().all(|meaning| *meaning == Unclear));
            }
        }
    }

    #[test]
    fn a_refresh_token_in_doubt_rests_for_five_minutes_and_another_one_does_not() {
        // F5
        let (old, new) = (Secret::new("old"), Secret::new("new"));
        let mut doubt = None;
        for second in [0, 1, 300] {
            Doubt::refused(&mut doubt, &old, at(second), |_| false);
        }
        let known = doubt.as_ref().unwrap();
        let error = known.standing(&old, at(301)).unwrap();
        assert!(error.is_doubtful());
        assert_eq!(error.retry_after(), Some(Duration::from_secs(299)));
        assert!(known.standing(&old, at(599)).is_some());
        assert!(known.standing(&old, at(600)).is_none());
        assert!(known.standing(&new, at(301)).is_none());
        // What is known of the old one says nothing of its successor.
        let meaning = Doubt::refused(&mut doubt, &new, at(700), |_| true);
        assert_eq!(meaning, Meaning::Unclear);
    }
}
