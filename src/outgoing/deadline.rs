//! Until when a caller wants its answer (B13).

use std::time::Duration;

use crate::clock::{Clock, Moment};
use crate::error::{Error, ErrorKind};
use crate::outgoing::door::Outbound;

/// The time-out of the request. Most requests have none, and then nobody asks what time it is.
pub(crate) struct Deadline(Option<TimeOut>);

struct TimeOut {
    began: Moment,
    after: Duration,
}

impl Deadline {
    pub(crate) fn of(request: &impl Outbound, clock: &Clock) -> Self {
        Self(request.timeout().map(|after| TimeOut {
            began: clock.now(),
            after,
        }))
    }

    /// What is left of the time-out, and at most `most`.
    pub(crate) fn left(&self, most: Duration, clock: &Clock) -> Duration {
        match &self.0 {
            Some(TimeOut { began, after }) => {
                let passed = clock.now().waited_since(*began);
                most.min(after.saturating_sub(passed))
            }
            None => most,
        }
    }

    /// Leaves the request what is left of its time-out.
    #[inline]
    pub(crate) fn bound(&self, request: &mut impl Outbound, clock: &Clock) -> Result<(), Error> {
        match &self.0 {
            Some(timeout) => self.bound_by(timeout, request, clock),
            None => Ok(()),
        }
    }

    #[cold]
    fn bound_by(
        &self,
        timeout: &TimeOut,
        request: &mut impl Outbound,
        clock: &Clock,
    ) -> Result<(), Error> {
        let left = self.left(timeout.after, clock);
        if left.is_zero() {
            return Err(Error::new(
                ErrorKind::Timeout,
                "the time-out of the request passed before it could be sent",
            ));
        }
        request.set_timeout(left);
        Ok(())
    }

    /// The same, and `least` if less is left.
    pub(crate) fn bound_from(&self, least: Duration, request: &mut impl Outbound, clock: &Clock) {
        if let Some(timeout) = &self.0 {
            request.set_timeout(self.left(timeout.after, clock).max(least));
        }
    }
}
