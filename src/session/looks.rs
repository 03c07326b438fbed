//! How many looks into the store a process takes at once.

use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::{Clock, Moment};
use crate::error::Error;

/// More at once would not make the store answer sooner; and each call has 2 s (F11), which twenty
/// thousand calls at once, after a restart, would take from each other. The leases and writes of the
/// few flights that have a place do not queue here.
const AT_ONCE: usize = 128;

/// The queue before the looks into one store.
#[derive(Debug)]
pub(crate) struct Looks {
    permits: Semaphore,
    /// How long one look may take.
    limit: Duration,
    /// When the store last answered one.
    answered: Mutex<Option<Moment>>,
}

impl Looks {
    pub(crate) fn new(limit: Duration) -> Self {
        Self {
            permits: Semaphore::new(AT_ONCE),
            limit,
            answered: Mutex::new(None),
        }
    }

    /// Waits for leave to look, for as long as the store answers those before.
    ///
    /// # Errors
    /// If it has answered none of them for as long as one may take.
    pub(crate) async fn enter(&self, clock: &Clock) -> Result<Option<SemaphorePermit<'_>>, Error> {
        let began = clock.now();
        // One place in the queue, however often the patience is measured anew.
        let mut permit = pin!(self.permits.acquire());
        loop {
            let pause = self.patience(began, clock.now());
            tokio::select! {
                biased;
                // The semaphore is never closed; without it a look would be taken all the same.
                permit = &mut permit => return Ok(permit.ok()),
                () = clock.sleep(pause) => {}
            }
            if self.patience(began, clock.now()).is_zero() {
                return Err(Error::store("the store has not answered anybody for 2 s"));
            }
        }
    }

    /// The store has answered a look.
    pub(crate) fn answered(&self, now: Moment) {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
    }

    /// How much longer the store may be silent.
    fn patience(&self, began: Moment, now: Moment) -> Duration {
        let answered = *self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        let silent_since = match answered {
            Some(answered) if answered.monotonic > began.monotonic => answered,
            _ => began,
        };
        self.limit.saturating_sub(now.waited_since(silent_since))
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::time::Duration;

    use futures_util::{FutureExt, poll};

    use super::{AT_ONCE, Looks};
    use crate::clock::{Clock, TestClock};

    const ALL: u32 = AT_ONCE as u32;

    #[tokio::test]
    async fn a_crowd_looks_in_turn_and_waits_as_long_as_the_store_answers() {
        // F11, G4
        let test_clock = TestClock::new();
        let clock = Clock::Test(test_clock.clone());
        let looks = Looks::new(Duration::from_secs(2));
        let inside = looks.permits.try_acquire_many(ALL).unwrap();
        let mut waits = pin!(looks.enter(&clock));
        for _ in 0..10 {
            assert!(poll!(waits.as_mut()).is_pending());
            test_clock.advance(Duration::from_millis(1_900));
            looks.answered(clock.now());
        }
        assert!(poll!(waits.as_mut()).is_pending());
        drop(inside);
        assert!(waits.now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn a_store_that_is_silent_is_waited_for_no_longer_than_one_call_may_take() {
        // F11
        let test_clock = TestClock::new();
        let clock = Clock::Test(test_clock.clone());
        let looks = Looks::new(Duration::from_secs(2));
        let _inside = looks.permits.try_acquire_many(ALL).unwrap();
        let mut waits = pin!(looks.enter(&clock));
        assert!(poll!(waits.as_mut()).is_pending());
        test_clock.advance(Duration::from_secs(2));
        assert!(waits.await.is_err());
    }
}
