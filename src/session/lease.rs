//! The lease of one grant key while this process has it (F3).

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Moment;
use crate::error::{Error, ErrorKind};
use crate::session::record::Record;
use crate::session::store::{Found, RecordStore, Saved};
use crate::store::{Lease, StoreKey, Version};

/// A process that is killed leaves its lease behind for this long ...
const DURATION: Duration = Duration::from_secs(10);
/// ... and one that lives renews it.
const RENEW_EVERY: Duration = Duration::from_secs(3);
/// Nothing is sent in the last moments of a lease that could not be renewed: its end by the store's
/// clock may be near.
const SAFE_FOR: Duration = Duration::from_secs(9);

/// A lease that was taken.
#[derive(Debug)]
pub(crate) struct HeldLease {
    store: Arc<RecordStore>,
    key: StoreKey,
    lease: Lease,
    asked: Mutex<Asked>,
    /// A renewal that is under way does not know that it was given back, and must not take it anew.
    is_given_back: AtomicBool,
}

/// When the store was asked for the lease.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// The last time.
    last: Moment,
    /// The last time with success: from there its time runs.
    granted: Moment,
}

/// What is told when another process has had the lease for longer than it is waited for.
pub(crate) fn held_by_another() -> Error {
    Error::new(
        ErrorKind::Timeout,
        "another process is refreshing the token, and has not come to an end",
    )
}

impl HeldLease {
    /// Takes the lease, and reads the record under it; `None` if another process has the lease.
    pub(crate) async fn take(
        store: &Arc<RecordStore>,
        key: StoreKey,
    ) -> Result<Option<(Arc<Self>, Found)>, Error> {
        let lease = Lease::new(DURATION)?;
        let asked = store.clock().now();
        let found = store.lease_and_load(&key, &lease).await?;
        Ok(found.map(|found| {
            let held = Arc::new(Self {
                store: store.clone(),
                key,
                lease,
                asked: Mutex::new(Asked {
                    last: asked,
                    granted: asked,
                }),
                is_given_back: AtomicBool::new(false),
            });
            (held, found)
        }))
    }

    /// Writes the last record of a flight, and gives the lease back with it.
    pub(crate) async fn save_and_release(
        &self,
        record: &mut Record,
        expected: Option<Version>,
        version: Version,
    ) -> Result<Saved, Error> {
        // Before it is sent: a renewal that came after it would take the lease anew.
        self.is_given_back.store(true, Ordering::Release);
        let saved = self
            .store
            .save_and_release(&self.key, record, expected, version, &self.lease);
        let saved = saved.await;
        if !matches!(saved, Ok(Saved::Yes)) {
            self.is_given_back.store(false, Ordering::Release);
        }
        saved
    }

    /// Does `work`, and renews the lease meanwhile.
    pub(crate) async fn while_renewing<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                outcome = &mut work => return outcome,
                () = self.until_renewal() => {}
            }
            tokio::select! {
                biased;
                outcome = &mut work => return outcome,
                _ = self.renew() => {}
            }
        }
    }

    /// Renews the lease, and returns when the store has answered after a time in which the lease has
    /// run out.
    pub(crate) async fn until_store_is_back(&self) {
        loop {
            self.until_renewal().await;
            let was_ours = self.is_ours();
            if self.renew().await && !was_ours {
                return;
            }
        }
    }

    /// Whether no other process can have it. A process that was stopped may find that it has not.
    pub(crate) fn is_ours(&self) -> bool {
        if self.is_given_back.load(Ordering::Acquire) {
            return false;
        }
        self.store.clock().now().since(self.asked().granted) < SAFE_FOR
    }

    /// Gives it back, if that is not done already.
    pub(crate) async fn give_back(&self) {
        if !self.is_given_back.swap(true, Ordering::AcqRel) {
            self.store.release(&self.key, &self.lease).await;
        }
    }

    /// Counted from the renewal before, and not from when this is called: a task that comes back again
    /// and again within 3 s would never renew.
    async fn until_renewal(&self) {
        let since = self.store.clock().now().waited_since(self.asked().last);
        let pause = RENEW_EVERY.saturating_sub(since);
        self.store.clock().sleep(pause).await;
    }

    /// Returns whether the store has answered.
    async fn renew(&self) -> bool {
        let now = self.store.clock().now();
        self.asked().last = now;
        if self.is_given_back.load(Ordering::Acquire) {
            return false;
        }
        let answer = self.store.lease(&self.key, &self.lease).await;
        if let Ok(true) = answer {
            self.asked().granted = now;
        }
        answer.is_ok()
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
