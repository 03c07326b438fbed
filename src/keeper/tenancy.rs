//! The lease of one grant key while this process has it (F3).

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Moment;
use crate::error::Error;
use crate::keeper::vault::{Found, Saved, Vault};
use crate::kept::Kept;
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
pub(crate) struct Tenancy {
    vault: Arc<Vault>,
    key: StoreKey,
    lease: Lease,
    /// When the store was last asked for it with success: from there its time runs.
    renewed: Mutex<Moment>,
    /// Whether the flight leaves it to those who bring its tokens to safety.
    is_passed_on: AtomicBool,
    /// Who renews it need not know that it was given back, and must not take it anew.
    is_given_back: AtomicBool,
}

impl Tenancy {
    /// Takes the lease, and reads the record under it; `None` if another process has the lease.
    pub(crate) async fn take(
        vault: &Arc<Vault>,
        key: StoreKey,
    ) -> Result<Option<(Arc<Self>, Found)>, Error> {
        let lease = Lease::new(DURATION)?;
        let asked = vault.clock.now();
        let found = vault.lease_and_load(&key, &lease).await?;
        Ok(found.map(|found| {
            let tenancy = Arc::new(Self {
                vault: vault.clone(),
                key,
                lease,
                renewed: Mutex::new(asked),
                is_passed_on: AtomicBool::new(false),
                is_given_back: AtomicBool::new(false),
            });
            (tenancy, found)
        }))
    }

    /// Writes the last record of a flight, and gives the lease back with it.
    pub(crate) async fn save_and_release(
        &self,
        kept: &mut Kept,
        expected: Option<Version>,
        version: Version,
    ) -> Result<Saved, Error> {
        // Before it is sent: a renewal that came after it would take the lease anew.
        self.is_given_back.store(true, Ordering::Release);
        let saved = self
            .vault
            .save_and_release(&self.key, kept, expected, version, &self.lease);
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
            let pause = self.vault.clock.sleep(RENEW_EVERY);
            tokio::select! {
                biased;
                outcome = &mut work => return outcome,
                () = pause => {}
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
            self.vault.clock.sleep(RENEW_EVERY).await;
            let was_ours = self.is_ours();
            if self.renew().await && !was_ours {
                return;
            }
        }
    }

    /// Whether nobody else can have it. A process that was stopped may find that it has not.
    pub(crate) fn is_ours(&self) -> bool {
        if self.is_given_back.load(Ordering::Acquire) {
            return false;
        }
        let renewed = *self.renewed.lock().unwrap_or_else(PoisonError::into_inner);
        self.vault.clock.now().since(renewed) < SAFE_FOR
    }

    /// The lease outlives the flight.
    pub(crate) fn pass_on(&self) {
        self.is_passed_on.store(true, Ordering::Release);
    }

    /// Gives it back, unless it was passed on.
    pub(crate) async fn end(&self) {
        if !self.is_passed_on.load(Ordering::Acquire) {
            self.give_back().await;
        }
    }

    pub(crate) async fn give_back(&self) {
        if !self.is_given_back.swap(true, Ordering::AcqRel) {
            self.vault.release(&self.key, &self.lease).await;
        }
    }

    /// Returns whether the store has answered.
    async fn renew(&self) -> bool {
        if self.is_given_back.load(Ordering::Acquire) {
            return false;
        }
        let asked = self.vault.clock.now();
        let answer = self.vault.lease(&self.key, &self.lease).await;
        if let Ok(true) = answer {
            *self.renewed.lock().unwrap_or_else(PoisonError::into_inner) = asked;
        }
        answer.is_ok()
    }
}
