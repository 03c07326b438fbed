//! A store in memory that is full from time to time: just when a new refresh token is to go in, which is the worst
//! moment for it.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest_bearer::{Error, Lease, MemoryStore, StoreKey, StoredRecord, TokenStore, Version};

/// Clones share everything.
#[derive(Clone, Default)]
pub struct FlakyStore {
    memory: MemoryStore,
    /// The records that have no room left, while it is full.
    without_room: Arc<Mutex<Option<HashSet<StoreKey>>>>,
}

impl FlakyStore {
    /// Whether it takes no new refresh token from now on.
    pub fn be_full(&self, is_full: bool) {
        *self.without_room() = is_full.then(HashSet::new);
    }

    fn without_room(&self) -> MutexGuard<'_, Option<HashSet<StoreKey>>> {
        self.without_room
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

fn no_room() -> Error {
    Error::store("there is no room left")
}

impl TokenStore for FlakyStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        self.memory.load(key).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        let without_room = self.without_room().clone();
        if without_room.is_some_and(|keys| keys.contains(key)) {
            return Err(no_room());
        }
        self.memory.save(key, record, expected, keep_for).await
    }

    async fn remove(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        self.memory.remove(key).await
    }

    async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        self.memory.lease(key, lease).await
    }

    async fn release(&self, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
        self.memory.release(key, lease).await
    }

    // What a refresh ends with: the new refresh token. What it began with, a mark at the old one, has found room.
    async fn save_and_release(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
        lease: &Lease,
    ) -> Result<bool, Error> {
        if let Some(keys) = &mut *self.without_room() {
            keys.insert(*key);
            return Err(no_room());
        }
        self.memory
            .save_and_release(key, record, expected, keep_for, lease)
            .await
    }
}
