//! The rest of an answer that another one takes the place of: read, so that its connection can be used again (C9).

use std::time::Duration;

use crate::clock::Clock;
use crate::outgoing::deadline::Deadline;
use crate::outgoing::door::{Answer, Outbound};

/// More than this is cheaper to cut off than to read.
const MOST_BYTES: usize = 64 * 1024;
const MOST_TIME: Duration = Duration::from_millis(250);

/// Reads the end of an answer that another sending is to take the place of. That takes half of what the
/// caller has left at most. The other half is the sending's, even if the timer comes late: the answer cannot
/// be had back by then, and no error of ours may stand in for it (C8).
pub(super) async fn make_room(
    answer: impl Answer,
    next: &mut impl Outbound,
    deadline: &Deadline,
    clock: &Clock,
) {
    let half = deadline.left(Duration::MAX, clock) / 2;
    drain(answer, clock, half).await;
    deadline.bound_from(half, next, clock);
}

/// Reads the body to its end, or drops the connection if that takes too much, or longer than
/// `within`.
async fn drain(answer: impl Answer, clock: &Clock, within: Duration) {
    tokio::select! {
        () = answer.read_to_end(MOST_BYTES) => {}
        () = clock.sleep(MOST_TIME.min(within)) => {}
    }
}
