//! A store that gives no answers: when it is asked all the same (A7).

use std::time::Duration;

use crate::clock::Moment;
use crate::schedule::breaker_pause;

/// After so many calls in a row without an answer, the store is left alone.
const ENOUGH: u32 = 3;

/// The calls of one store that got no answer, one after the other. An error is an answer if it comes
/// soon: stores that people have end a wait by an error of their own, before we would.
#[derive(Debug, Default)]
pub(crate) struct Silence {
    calls: u32,
    probes: u32,
    /// When the next probe is let through.
    next: Option<Moment>,
}

impl Silence {
    /// Whether the store may be asked at `now`: one probe for each pause while it is silent, whether or
    /// not the probe before has ended.
    ///
    /// # Errors
    /// For how much longer it is left alone.
    pub(crate) fn may_ask(&mut self, now: Moment) -> Result<(), Duration> {
        let Some(next) = self.next else {
            return Ok(());
        };
        if !next.has_come(now) {
            return Err(next.soonest_after(now));
        }
        self.probes = self.probes.saturating_add(1);
        self.next = Some(now.later(breaker_pause(self.probes)));
        Ok(())
    }

    /// A call ran into a time-out, ours or the store's own.
    pub(crate) fn unanswered(&mut self, now: Moment) {
        self.calls = self.calls.saturating_add(1);
        if self.calls >= ENOUGH && self.next.is_none() {
            self.next = Some(now.later(breaker_pause(self.probes)));
        }
    }

    /// The store has answered.
    pub(crate) fn answered(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::Silence;
    use crate::clock::Moment;
    use std::time::Duration;

    fn at(millis: u64) -> Moment {
        Moment {
            monotonic: Duration::from_millis(millis),
            wall: Duration::from_millis(millis),
        }
    }

    #[test]
    fn three_calls_without_an_answer_are_followed_by_one_probe_for_each_pause() {
        // A7
        let mut silence = Silence::default();
        for _ in 0..2 {
            silence.unanswered(at(0));
            assert_eq!(silence.may_ask(at(0)), Ok(()));
        }
        silence.unanswered(at(0));
        let mut now = 0;
        for pause in [1_000, 2_000, 4_000, 5_000, 5_000] {
            let left = silence.may_ask(at(now + pause - 1));
            assert_eq!(left, Err(Duration::from_millis(1)));
            now += pause;
            assert_eq!(silence.may_ask(at(now)), Ok(()), "the probe");
            assert!(silence.may_ask(at(now)).is_err(), "and no second one");
            silence.unanswered(at(now));
        }
    }

    #[test]
    fn one_answer_ends_the_silence() {
        // A7
        let mut silence = Silence::default();
        for _ in 0..3 {
            silence.unanswered(at(0));
        }
        assert!(silence.may_ask(at(1)).is_err());
        silence.answered();
        assert_eq!(silence.may_ask(at(1)), Ok(()));
        silence.unanswered(at(1));
        assert_eq!(silence.may_ask(at(1)), Ok(()), "it is counted anew");
    }
}
