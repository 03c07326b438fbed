//! Failures that are remembered: until when nothing is tried, and what callers hear meanwhile (B6).

use std::time::Duration;

use crate::clock::{Moment, system_time};
use crate::error::Error;
use crate::schedule::dry_pause;

/// Attempts that somebody waited for in vain, one after the other. Times are of the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct BackOff {
    failures: u32,
    not_before: Duration,
    error: Option<Error>,
}

impl BackOff {
    /// Notes the failure; the error then says when the next attempt may be made.
    pub(crate) fn fail(&mut self, now: Moment, error: Error) -> Error {
        let pause = dry_pause(self.failures, &error).max(error.retry_after().unwrap_or_default());
        self.not_before = now.monotonic + pause;
        self.failures = self.failures.saturating_add(1);
        let error = error.with_retry_at(system_time(now.wall + pause));
        self.error = Some(error.clone());
        error
    }

    /// The error that still stands at `now`.
    pub(crate) fn standing(&self, now: Duration) -> Option<&Error> {
        self.error.as_ref().filter(|_| now < self.not_before)
    }
}
