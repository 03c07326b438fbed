//! How often, and how long, what a store or a hook did not take is offered to it again (F2).

use std::time::Duration;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often it is tried yet when the program has dropped the token source: for some ten minutes. While
/// there is a source, it is tried for ever, since what is in memory is all that there is; without one,
/// a hook that fails for good (the user's row is gone) would leave a task behind for each source.
const WITHOUT_SOURCE: u32 = 10;

/// The tries of one task.
#[derive(Debug)]
pub(crate) struct Retries {
    pause: Duration,
    left: u32,
}

impl Retries {
    pub(crate) fn new() -> Self {
        Self {
            pause: FIRST_PAUSE,
            left: WITHOUT_SOURCE,
        }
    }

    /// The pause before the next try: 1 s, doubling to 60 s.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST_PAUSE);
        pause
    }

    /// There is no time to lose: the pauses begin anew.
    pub(crate) fn hurry(&mut self) {
        self.pause = FIRST_PAUSE;
    }

    /// A try has failed; says whether there is another one.
    pub(crate) fn go_on(&mut self, is_abandoned: bool) -> bool {
        if is_abandoned {
            self.left = self.left.saturating_sub(1);
        }
        self.left > 0
    }
}

#[cfg(test)]
mod tests {
    use super::Retries;

    #[test]
    fn the_pauses_double_to_a_minute_and_the_tries_end_only_without_a_source() {
        // F2
        let mut retries = Retries::new();
        let pauses: Vec<_> = (0..8).map(|_| retries.pause().as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        for _ in 0..1000 {
            assert!(retries.go_on(false));
        }
        let left = (0..).take_while(|_| retries.go_on(true)).count();
        assert_eq!(left, 9);
    }
}
