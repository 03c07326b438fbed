//! The place of one access token, with what happened to it: the flight, the failures, the refusals.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

use arc_swap::{ArcSwapOption, Guard as Loaded};

use crate::access_token::{AccessToken, Issued};
use crate::back_off::BackOff;
use crate::clock::Moment;
use crate::error::Error;
use crate::flight::{Flight, Waiter};
use crate::keeper::account::Account;
use crate::keeper::guard::Guard;
use crate::key::TokenKey;
use crate::refuser::Refuser;
use crate::schedule::soft_pause;

/// What a flight ends with.
pub(crate) type Outcome = Result<AccessToken, Error>;

/// One key's token and history.
///
/// In this order: what a call reads lies together. Of ten thousand users the next one's tokens are
/// in no near cache, and each line of memory that has to come costs a call as much as a tenth of
/// all else that it does.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Slot {
    present: ArcSwapOption<Issued>,
    /// In the time of the cache.
    last_used: AtomicU64,
    pub(crate) key: TokenKey,
    pub(crate) account: Arc<Account>,
    ledger: Mutex<Ledger>,
}

impl Slot {
    pub(crate) fn new(key: TokenKey, account: Arc<Account>) -> Self {
        Self {
            present: ArcSwapOption::empty(),
            last_used: AtomicU64::new(0),
            key,
            account,
            ledger: Mutex::default(),
        }
    }

    /// The present token, without counting a reference: what a warm call reads.
    pub(crate) fn peek(&self) -> Loaded<Option<Arc<Issued>>> {
        self.present.load()
    }

    pub(crate) fn present(&self) -> Option<Arc<Issued>> {
        self.present.load_full()
    }

    pub(crate) fn publish(&self, token: Arc<Issued>) {
        self.present.store(Some(token));
    }

    /// Takes the token away, with all that was known of it. A flight that is under way stays
    /// known, but what it brings belongs to another epoch.
    pub(crate) fn clear(&self) {
        let mut ledger = self.ledger();
        if let Some(token) = self.present.swap(None) {
            token.standing.withdraw();
        }
        ledger.forget_failures();
        ledger.refusal = None;
    }

    /// The history. Held for a few instructions, never across an await; nothing in there panics,
    /// so a poisoned lock holds no half-done change.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The history, unless somebody else is at it.
    pub(crate) fn ledger_if_free(&self) -> Option<MutexGuard<'_, Ledger>> {
        match self.ledger.try_lock() {
            Ok(ledger) => Some(ledger),
            Err(TryLockError::Poisoned(ledger)) => Some(ledger.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    pub(crate) fn touch(&self, now: u64) {
        // Read before written: a store by every call would bounce the cache line.
        if self.last_used() != now {
            self.last_used.store(now, Ordering::Relaxed);
        }
    }

    pub(crate) fn last_used(&self) -> u64 {
        self.last_used.load(Ordering::Relaxed)
    }
}

/// What happened to one key. Times that are no moments are of the monotonic clock.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) flight: Option<Flight<Outcome>>,
    /// The flight under way asks the store and nobody else: who wants a new token asks again after
    /// it.
    pub(crate) is_check: bool,
    /// Failed refreshes of a token that is still good (B5).
    pub(crate) ahead: Ahead,
    /// Failed refreshes that left no usable token (B6).
    pub(crate) dry: BackOff,
    /// Failed refreshes while there was a usable token, for those who do not want that one: an API
    /// has refused it, or the caller asked for another.
    pub(crate) urgent: BackOff,
    /// The server asked not to be asked before (`Retry-After`), and what it said.
    pub(crate) floor: Option<Box<(Moment, Error)>>,
    /// The store could not be asked a moment ago whether a failure still stands.
    pub(crate) blind_until: Duration,
    pub(crate) guard: Guard,
    /// The refusal that the present token has met, if any.
    pub(crate) refusal: Option<PendingRefusal>,
}

/// Refreshes ahead of time that failed.
#[derive(Debug, Default)]
pub(crate) struct Ahead {
    failures: u32,
    not_before: Duration,
    /// One more attempt is due when the hard window begins, whatever the pause.
    pub(crate) tried_in_hard_window: bool,
}

/// A refusal that may be answered by a refresh.
#[derive(Clone, Debug)]
pub(crate) struct PendingRefusal {
    pub(crate) refuser: Refuser,
    /// Not counted among the five in thirty seconds.
    pub(crate) exempt: bool,
}

impl Ledger {
    /// Whether a flight is under way that still may land.
    pub(crate) fn is_in_flight(&self) -> bool {
        let flight = self.flight.as_ref();
        flight.is_some_and(Flight::is_under_way)
    }

    /// Joins the flight under way, if there is one.
    pub(crate) fn join(&self) -> Option<Waiter<Outcome>> {
        self.flight.as_ref()?.join()
    }

    /// Everything is well again: only refusals are remembered.
    pub(crate) fn forget_failures(&mut self) {
        self.ahead = Ahead::default();
        self.dry = BackOff::default();
        self.urgent = BackOff::default();
        self.floor = None;
    }

    /// The refused token is refused by another API as well: that one need not wait for the pause
    /// that the first one has earned (C4).
    pub(crate) fn hand_over_refusal(&mut self, now: Duration, refuser: &Refuser) {
        let Some(pending) = &mut self.refusal else {
            return;
        };
        let permit = self.guard.permits(now, &pending.refuser, pending.exempt);
        if pending.refuser != *refuser && permit.is_err() {
            *pending = PendingRefusal {
                refuser: refuser.clone(),
                exempt: false,
            };
        }
    }

    /// Why nobody is asked for a token at present, where there is none.
    pub(crate) fn known_failure(&self, now: Moment) -> Option<&Error> {
        self.dry.standing(now).or_else(|| self.told_to_wait(now))
    }

    /// What the server said when it asked not to be asked before a moment that is still to come.
    pub(crate) fn told_to_wait(&self, now: Moment) -> Option<&Error> {
        let (until, error) = self.floor.as_deref()?;
        (!until.has_come(now)).then_some(error)
    }
}

impl Ahead {
    pub(crate) fn fail(&mut self, now: Duration, longest: Duration, draw: f64) {
        self.not_before = now + soft_pause(self.failures, longest, draw);
        self.failures = self.failures.saturating_add(1);
    }

    pub(crate) fn is_due(&self, now: Duration) -> bool {
        now >= self.not_before
    }
}

#[cfg(test)]
mod tests {
    use super::Slot;
    use crate::keeper::account::Account;
    use crate::keeper::record::Record;
    use crate::key::TokenKey;

    #[test]
    fn a_panic_under_the_lock_leaves_the_history_to_whoever_comes_next() {
        // A4: or there would be no refresh behind the callers' backs any more.
        let slot = Slot::new(TokenKey::own(), Account::new(Record::default()));
        std::thread::scope(|scope| {
            let panics = scope.spawn(|| {
                let _ledger = slot.ledger();
                panic!("on purpose");
            });
            assert!(panics.join().is_err());
        });
        assert!(slot.ledger_if_free().is_some());
        let _taken = slot.ledger();
        assert!(slot.ledger_if_free().is_none());
    }
}
