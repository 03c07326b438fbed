//! Before the store: says when a new refresh token is in it, or dies before it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use real_parts::fleet::{Line, Orders, now};
use reqwest_bearer::{Error, Lease, StoreKey, StoredRecord, TokenStore, Version};
use serde_json::Value;

use crate::log::Log;

/// A store whose writes of new refresh tokens are watched.
pub(crate) struct Watched<S> {
    store: S,
    log: Arc<Log>,
    orders: Orders,
    /// What each record had when it was last read or written.
    known: Mutex<HashMap<StoreKey, String>>,
}

impl<S: TokenStore> Watched<S> {
    pub(crate) fn new(store: S, log: Arc<Log>, orders: Orders) -> Self {
        Self {
            store,
            log,
            orders,
            known: Mutex::default(),
        }
    }

    /// The refresh token of `record`, if it is another than the one that was known.
    fn new_in(&self, key: &StoreKey, record: &StoredRecord) -> Option<String> {
        let content: Value = serde_json::from_slice(record.data().ok()?).ok()?;
        let refresh_token = content["refresh_token"].as_str()?;
        let is_known = self
            .known()
            .get(key)
            .is_some_and(|known| known == refresh_token);
        (!is_known).then(|| refresh_token.to_owned())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<StoreKey, String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: TokenStore> TokenStore for Watched<S> {
    async fn load(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        let found = self.store.load(key).await?;
        if let Some(refresh_token) = found.as_ref().and_then(|found| self.new_in(key, found)) {
            self.known().insert(*key, refresh_token);
        }
        Ok(found)
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        let new = self.new_in(key, &record);
        if let Some(refresh_token) = &new
            && now() < self.orders.abort_until
            && fastrand::f64() < self.orders.abort_before_save
        {
            self.log.write(&Line::Aborts {
                at: now(),
                refresh_token: refresh_token.clone(),
            });
            std::process::abort();
        }
        let saved = self.store.save(key, record, expected, keep_for).await?;
        if let (true, Some(refresh_token)) = (saved, new) {
            self.known().insert(*key, refresh_token.clone());
            self.log.write(&Line::Saved {
                at: now(),
                refresh_token,
            });
        }
        Ok(saved)
    }

    async fn remove(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        self.store.remove(key).await
    }

    async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        self.store.lease(key, lease).await
    }

    async fn release(&self, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
        self.store.release(key, lease).await
    }
}
