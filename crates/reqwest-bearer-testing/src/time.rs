//! What time it is for a fake server: that of the machine, or of the clock that a test sets.

use std::time::SystemTime;

use reqwest_bearer::TestClock;
use tokio::time::Instant;

#[derive(Clone, Debug)]
pub(crate) enum Time {
    /// By tokio's time, which is the machine's unless a test has paused it.
    Real {
        since: SystemTime,
        began: Instant,
    },
    Set(TestClock),
}

impl Time {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test that sets no clock has the machine's"
    )]
    pub(crate) fn real() -> Self {
        Self::Real {
            since: SystemTime::now(),
            began: Instant::now(),
        }
    }

    pub(crate) fn now(&self) -> SystemTime {
        match self {
            Self::Real { since, began } => *since + began.elapsed(),
            Self::Set(clock) => clock.system_time(),
        }
    }
}
