//! The time of the model.

use std::time::Duration;

use crate::clock::Moment;

/// A time of the model, or a span. All clocks of all machines show the same.
pub(super) type Seconds = u8;

/// Each wait of a flight takes so long: short enough for a watch without a gap.
pub(super) const TICK: Seconds = 2;

pub(super) fn moment(now: Seconds) -> Moment {
    Moment {
        monotonic: since_epoch(now),
        wall: since_epoch(now),
    }
}

/// A time of the model as the crate has it.
pub(super) fn since_epoch(seconds: Seconds) -> Duration {
    Duration::from_secs(seconds.into())
}
