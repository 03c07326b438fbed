//! Who came after whom under one subject, as this process knows it (F10).
//!
//! A request that went out with the tokens of one user must not be sent again with those of the next, be
//! it the same subject; and a flight that began before a sign-out must not bring its tokens after it. No
//! clock is fine enough to tell the order of calls, looks into the store and sign-ins, so all of them are
//! counted.

use std::sync::atomic::{AtomicU32, Ordering};

/// The order of what happened to one session.
#[derive(Debug, Default)]
pub(crate) struct Succession {
    /// How often its tokens have been taken away: by a sign-out, or by another sign-in.
    epoch: AtomicU32,
    /// How often the subject may have passed to another user.
    handovers: AtomicU32,
    /// Counts the looks into the store, and what this process itself does to the session.
    looks: AtomicU32,
    /// One more than the number of the last look that found the session which this process knows.
    confirmed: AtomicU32,
    /// Calls that began before this look are of a user from whom the subject has passed since.
    boundary: AtomicU32,
}

impl Succession {
    /// A flight that began in another epoch brings what no call may have any more.
    pub(crate) fn epoch(&self) -> u32 {
        self.epoch.load(Ordering::Acquire)
    }

    /// To be compared with what it is later.
    pub(crate) fn handovers(&self) -> u32 {
        self.handovers.load(Ordering::Acquire)
    }

    /// The number of the next look, for a call or a flight to remember when it begins.
    pub(crate) fn next_look(&self) -> u32 {
        self.looks.load(Ordering::Acquire)
    }

    /// The number of a look that is taken now.
    pub(crate) fn look(&self) -> u32 {
        self.looks.fetch_add(1, Ordering::AcqRel)
    }

    /// This look has found the session that this process knows.
    pub(crate) fn confirm(&self, look: u32) {
        self.confirmed.fetch_max(look + 1, Ordering::AcqRel);
    }

    /// This process signs a user in or out: the subject may be another user's from now on.
    pub(crate) fn hand_over(&self) {
        let now = self.look() + 1;
        self.pass(now);
    }

    /// This look of a flight has found another session, or none: another process has signed a user
    /// in or out. If the session was still there after the flight began, that happened meanwhile,
    /// and a caller who waits for the flight may have called before. Otherwise it may be long ago, and
    /// only the calls that began before the session was last seen are known to be of the user before.
    pub(crate) fn has_been_handed_over(&self, flight_began: u32, look: u32) {
        let confirmed = self.confirmed.load(Ordering::Acquire);
        let is_meanwhile = confirmed > flight_began;
        self.pass(if is_meanwhile { look + 1 } else { confirmed });
    }

    /// Whether the subject may have passed to another user while a call waited that began at this
    /// look.
    pub(crate) fn has_passed_since(&self, began: u32) -> bool {
        began < self.boundary.load(Ordering::Acquire)
    }

    /// What is under way from now on belongs to another epoch.
    pub(crate) fn begin_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    /// The same, if `epoch` still is the present one; says whether it was.
    pub(crate) fn end_epoch(&self, epoch: u32) -> bool {
        let next = epoch.wrapping_add(1);
        let ended = self
            .epoch
            .compare_exchange(epoch, next, Ordering::AcqRel, Ordering::Acquire);
        ended.is_ok()
    }

    fn pass(&self, boundary: u32) {
        self.boundary.fetch_max(boundary, Ordering::AcqRel);
        self.handovers.fetch_add(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::Succession;

    #[test]
    fn a_handover_that_a_look_finds_concerns_the_calls_before_it_and_not_those_after_a_long_silence()
     {
        // F10
        let meanwhile = Succession::default();
        let call = meanwhile.next_look();
        let flight = meanwhile.next_look();
        let seen = meanwhile.look();
        meanwhile.confirm(seen);
        let gone = meanwhile.look();
        meanwhile.has_been_handed_over(flight, gone);
        assert!(meanwhile.has_passed_since(call));
        assert!(!meanwhile.has_passed_since(meanwhile.next_look()));

        let long_ago = Succession::default();
        let seen = long_ago.look();
        long_ago.confirm(seen);
        let call = long_ago.next_look();
        let gone = long_ago.look();
        long_ago.has_been_handed_over(call, gone);
        assert!(
            !long_ago.has_passed_since(call),
            "it may be of the next user"
        );
        assert_eq!(long_ago.handovers(), 1);
    }

    #[test]
    fn an_epoch_is_ended_once_however_many_find_its_end() {
        // F10
        let succession = Succession::default();
        let epoch = succession.epoch();
        assert!(succession.end_epoch(epoch));
        assert!(!succession.end_epoch(epoch));
        succession.begin_epoch();
        assert_eq!(succession.epoch(), 2);
    }
}
