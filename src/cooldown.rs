//! Pauses: until when something is not tried again, and what callers hear meanwhile (B5, B6).

use std::time::Duration;

use crate::clock::{Moment, system_time};
use crate::error::Error;
use crate::schedule::dry_pause;

/// One kind of pause.
#[derive(Debug, Default)]
pub(crate) struct Cooldown(Option<Pause>);

#[derive(Debug)]
struct Pause {
    /// Failures in a row.
    failures: u32,
    /// By either clock: a machine that was suspended does not wait for an hour that has passed.
    until: Moment,
    why: Option<Error>,
}

impl Cooldown {
    /// Nothing has failed.
    pub(crate) const NONE: Self = Self(None);

    /// An attempt has failed that a caller waited for (B6). The error then says when the next one may be
    /// made.
    pub(crate) fn fail(&mut self, now: Moment, error: Error) -> Error {
        let failures = self.failures();
        let pause = dry_pause(failures, &error).max(error.retry_after().unwrap_or_default());
        self.because(now, failures.saturating_add(1), pause, error)
    }

    /// No attempt was made, for the reason and the time that the error says: that is no failure.
    pub(crate) fn stand_by(&mut self, now: Moment, error: Error) -> Error {
        let pause = error.retry_after().unwrap_or_default();
        self.because(now, self.failures(), pause, error)
    }

    /// A failure that no caller hears of; the next attempt comes after `pause`.
    pub(crate) fn pause(&mut self, now: Moment, pause: Duration) {
        self.0 = Some(Pause {
            failures: self.failures().saturating_add(1),
            until: now.later(pause),
            why: None,
        });
    }

    /// Lasts until then, and for that reason.
    pub(crate) fn hold(&mut self, until: Moment, why: Error) {
        self.0 = Some(Pause {
            failures: self.failures(),
            until,
            why: Some(why),
        });
    }

    /// How many attempts in a row have failed.
    pub(crate) fn failures(&self) -> u32 {
        self.0.as_ref().map_or(0, |pause| pause.failures)
    }

    /// How much of the pause is left at `now`; `None` if it is over.
    pub(crate) fn left(&self, now: Moment) -> Option<Duration> {
        let until = self.0.as_ref()?.until;
        (!until.has_come(now)).then(|| until.soonest_after(now))
    }

    /// Whether it lasts at `now`.
    pub(crate) fn is_on(&self, now: Moment) -> bool {
        self.left(now).is_some()
    }

    /// Why it lasts at `now`.
    pub(crate) fn standing(&self, now: Moment) -> Option<&Error> {
        let pause = self.0.as_ref()?;
        pause.why.as_ref().filter(|_| !pause.until.has_come(now))
    }

    /// The same for a caller who counts a pause from `now`: of the one that the server asked for there is
    /// only so much left.
    pub(crate) fn rest(&self, now: Moment) -> Option<Error> {
        let error = self.standing(now)?.clone();
        Some(match error.retry_after() {
            Some(_) => error.with_retry_after(self.left(now)?),
            None => error,
        })
    }

    fn because(&mut self, now: Moment, failures: u32, pause: Duration, error: Error) -> Error {
        let error = error.with_retry_at(system_time(now.wall + pause));
        self.0 = Some(Pause {
            failures,
            until: now.later(pause),
            why: Some(error.clone()),
        });
        error
    }
}
