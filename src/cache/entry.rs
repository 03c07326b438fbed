//! The place of one access token in this process, found by its token key.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

use arc_swap::{ArcSwapOption, Guard as Loaded};
use tokio::sync::watch;

use crate::access_token::Issued;
use crate::cache::history::History;
use crate::clock::Moment;
use crate::key::TokenKey;
use crate::session::owner::Owner;

/// One key's token and history.
///
/// In this order: what a call reads lies together. Of ten thousand users the next one's tokens are
/// in no near cache, and a call waits for each line of memory that has to come: 6.8 of them in this
/// order, 8.8 in the compiler's (cachegrind, with a last cache of 1 MiB).
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Entry {
    present: ArcSwapOption<Issued>,
    /// In the time of the map.
    last_used: AtomicU64,
    pub(crate) key: TokenKey,
    pub(crate) owner: Arc<Owner>,
    history: Mutex<History>,
    /// Tells those who keep the token fresh that something has happened to it. Made for the first of
    /// them: most keys have none.
    changes: OnceLock<watch::Sender<()>>,
}

impl Entry {
    pub(crate) fn new(key: TokenKey, owner: Arc<Owner>) -> Arc<Self> {
        Arc::new(Self {
            present: ArcSwapOption::empty(),
            last_used: AtomicU64::new(0),
            key,
            owner,
            history: Mutex::default(),
            changes: OnceLock::new(),
        })
    }

    /// The present token, without counting a reference: what a warm call reads.
    pub(crate) fn peek(&self) -> Loaded<Option<Arc<Issued>>> {
        self.present.load()
    }

    pub(crate) fn present(&self) -> Option<Arc<Issued>> {
        self.present.load_full()
    }

    /// The present token, if it has not expired.
    pub(crate) fn usable(&self, now: Moment) -> Option<Arc<Issued>> {
        self.present().filter(|token| token.is_usable(now))
    }

    /// Whether it has a good token: neither expired nor refused.
    pub(crate) fn has_good_token(&self, now: Moment) -> bool {
        let present = self.peek();
        let is_good = |token: &Arc<Issued>| token.is_usable(now) && !token.standing.is_refused();
        present.as_ref().is_some_and(is_good)
    }

    pub(crate) fn publish(&self, token: Arc<Issued>) {
        self.present.store(Some(token));
        self.tell();
    }

    /// Takes the token away, with all that was known of it. A flight that is under way goes on, but what
    /// it brings belongs to another epoch: no call of this one waits for it.
    pub(crate) fn clear(&self) {
        let mut history = self.history();
        if let Some(token) = self.present.swap(None) {
            token.standing.withdraw();
        }
        history.forget_failures();
        history.refusal = None;
        history.flight = None;
        history.is_check = false;
        drop(history);
        self.tell();
    }

    /// Hears of each token that is published, taken away or refused from now on. The entry stays in the
    /// cache as long as the receiver lives.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        let changes = self.changes.get_or_init(|| watch::Sender::new(()));
        changes.subscribe()
    }

    /// Whether its token is kept fresh for somebody who makes no calls.
    pub(crate) fn is_kept_fresh(&self) -> bool {
        let changes = self.changes.get();
        changes.is_some_and(|changes| changes.receiver_count() > 0)
    }

    /// Something has happened to the token.
    pub(crate) fn tell(&self) {
        if let Some(changes) = self.changes.get() {
            changes.send_replace(());
        }
    }

    /// The history. Held for a few instructions, never across an await; nothing in there panics,
    /// so a poisoned lock holds no half-done change.
    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The history, unless another call is at it.
    pub(crate) fn history_if_free(&self) -> Option<MutexGuard<'_, History>> {
        match self.history.try_lock() {
            Ok(history) => Some(history),
            Err(TryLockError::Poisoned(history)) => Some(history.into_inner()),
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

#[cfg(test)]
mod tests {
    use super::Entry;
    use crate::key::TokenKey;
    use crate::session::owner::Owner;

    #[test]
    fn a_panic_under_the_lock_leaves_the_history_to_the_caller_that_comes_next() {
        // A4: or there would be no refresh behind the callers' backs any more.
        let entry = Entry::new(TokenKey::own(), Owner::unknown());
        std::thread::scope(|scope| {
            let panics = scope.spawn(|| {
                let _history = entry.history();
                panic!("on purpose");
            });
            assert!(panics.join().is_err());
        });
        assert!(entry.history_if_free().is_some());
        let _taken = entry.history();
        assert!(entry.history_if_free().is_none());
    }
}
