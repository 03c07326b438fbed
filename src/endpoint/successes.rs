//! Whose refresh tokens a client has renewed lately: what tells a dead one from a server in trouble.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The last refreshes of two different owners. Two are enough to know of each owner when the last
/// refresh of another one succeeded.
#[derive(Debug, Default)]
pub(crate) struct Successes(Mutex<[Option<Success>; 2]>);

/// A refresh that succeeded, at a time of the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct Success {
    owner: u64,
    at: Duration,
}

impl Successes {
    /// The server has renewed the tokens of `owner`.
    pub(crate) fn note(&self, owner: u64, at: Duration) {
        let mut last_two = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let [last, other] = *last_two;
        let kept = match last {
            Some(last) if last.owner == owner => other,
            _ => last,
        };
        *last_two = [Some(Success { owner, at }), kept];
    }

    /// Whether the server has renewed another owner's tokens since then.
    pub(crate) fn of_another_since(&self, owner: u64, since: Duration) -> bool {
        let last_two = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = last_two.iter().flatten();
        known.any(|success| success.owner != owner && success.at >= since)
    }
}

#[cfg(test)]
mod tests {
    use super::Successes;
    use std::time::Duration;

    #[test]
    fn of_each_owner_it_is_known_when_another_one_succeeded() {
        // F5
        let successes = Successes::default();
        let at = Duration::from_secs;
        let another = |owner, since| successes.of_another_since(owner, at(since));
        assert!(!another(1, 0));
        successes.note(1, at(10));
        assert!(!another(1, 0));
        assert!(another(2, 10) && !another(2, 11));
        successes.note(2, at(20));
        successes.note(2, at(30));
        assert!(another(1, 30) && !another(1, 31));
        assert!(another(2, 10) && !another(2, 11));
        assert!(another(3, 30));
        successes.note(1, at(40));
        assert!(another(1, 30) && !another(1, 31));
        assert!(another(2, 40));
    }
}
