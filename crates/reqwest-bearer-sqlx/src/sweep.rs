//! When rows that have had their time are to be deleted.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Between two sweeps of one process, if the first has found no more than it could delete at once.
const PAUSE: Duration = Duration::from_secs(10 * 60);

/// When the last sweep was. A process begins with one.
#[derive(Debug, Default)]
pub(crate) struct Sweeps(Mutex<Option<Instant>>);

impl Sweeps {
    /// Whether it is time for one, which then counts as begun.
    pub(crate) fn is_due(&self) -> bool {
        #[expect(
            clippy::disallowed_methods,
            reason = "no test waits for it, and a wrong moment does no harm"
        )]
        let now = Instant::now();
        // Nothing in here panics.
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= PAUSE);
        if is_due {
            *last = Some(now);
        }
        is_due
    }

    /// There was more than one sweep could delete: the next save is followed by another one.
    pub(crate) fn was_not_enough(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
