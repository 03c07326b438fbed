//! Failures that are remembered: until when nothing is tried, and what callers hear meanwhile (B6).

use crate::clock::{Moment, system_time};
use crate::error::Error;
use crate::schedule::dry_pause;

/// Attempts that somebody waited for in vain, one after the other. Most keys have none, and each
/// user has a key: no room is kept for them before (G3).
#[derive(Debug, Default)]
pub(crate) struct BackOff(Option<Box<Failed>>);

#[derive(Debug)]
struct Failed {
    times: u32,
    /// By either clock: a machine that was suspended does not wait for an hour that has passed.
    not_before: Moment,
    error: Error,
}

impl BackOff {
    /// Notes the failure; the error then says when the next attempt may be made.
    pub(crate) fn fail(&mut self, now: Moment, error: Error) -> Error {
        let before = self.0.as_ref().map_or(0, |failed| failed.times);
        let asked = error.retry_after().unwrap_or_default();
        let (times, pause) = if error.is_left_alone() {
            (before, asked)
        } else {
            let times = before.saturating_add(1);
            (times, dry_pause(before, &error).max(asked))
        };
        let error = error.with_retry_at(system_time(now.wall + pause));
        self.0 = Some(Box::new(Failed {
            times,
            not_before: now.later(pause),
            error: error.clone(),
        }));
        error
    }

    /// The error that still stands at `now`.
    pub(crate) fn standing(&self, now: Moment) -> Option<&Error> {
        let failed = self.0.as_ref()?;
        (!failed.not_before.has_come(now)).then_some(&failed.error)
    }

    /// The same for whoever counts a pause from `now`: of the one that the server asked for there is
    /// only so much left.
    pub(crate) fn rest(&self, now: Moment) -> Option<Error> {
        let error = self.standing(now)?.clone();
        let end = self.0.as_ref()?.not_before;
        Some(match error.retry_after() {
            Some(_) => error.with_retry_after(end.soonest_after(now)),
            None => error,
        })
    }
}
