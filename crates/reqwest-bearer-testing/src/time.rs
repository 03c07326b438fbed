//! What time it is for a fake server: that of the machine, or of the clock that a test sets.

use std::time::SystemTime;

use reqwest_bearer::TestClock;

#[derive(Clone, Debug)]
pub(crate) enum Time {
    Real,
    Set(TestClock),
}

impl Time {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test that sets no clock has the machine's"
    )]
    pub(crate) fn now(&self) -> SystemTime {
        match self {
            Self::Real => SystemTime::now(),
            Self::Set(clock) => clock.system_time(),
        }
    }
}
