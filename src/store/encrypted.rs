//! A store whose records only those can read who have a key.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::store::{Lease, SharedStore, StoreKey, StoredRecord, TokenStore, Version};

mod keys;
mod sealing;

pub use keys::EncryptionKeys;

/// Any other store, with its records encrypted: whoever reads its files, backups or traffic finds
/// no token.
///
/// ```
/// use reqwest_bearer::{EncryptedStore, EncryptionKeys, MemoryStore};
///
/// # fn main() -> Result<(), reqwest_bearer::Error> {
/// # let text = "2025-06:3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=";
/// // From the environment, for example.
/// let keys: EncryptionKeys = text.parse()?;
/// let store = EncryptedStore::new(MemoryStore::new(), keys);
/// # Ok(())
/// # }
/// ```
///
/// Each record is sealed by itself with XChaCha20-Poly1305, a fresh nonce of 24 random bytes, and
/// the newest key, whose id is in the record. The name of the record is bound in as associated
/// data, so that one which somebody moved to another user's place is not taken there. What cannot
/// be opened (an unknown key, changed or cut bytes, a moved record, plain text from before) is an
/// [unreadable](StoredRecord::unreadable) record: it counts as absent, is reported, and is replaced
/// by the next save.
///
/// Whoever can write to the store below can still remove a record, or put an older one of the same
/// name back. Leases hold nothing secret and pass through. Clones share everything.
#[derive(Clone)]
pub struct EncryptedStore {
    below: SharedStore,
    keys: Arc<EncryptionKeys>,
}

impl EncryptedStore {
    /// A store that keeps its records in another one, encrypted with these keys.
    #[must_use]
    pub fn new(below: impl TokenStore, keys: EncryptionKeys) -> Self {
        Self {
            below: Arc::new(below),
            keys: Arc::new(keys),
        }
    }

    /// The record as it was before it was encrypted, with the version that it has below.
    fn open(&self, key: &StoreKey, found: &StoredRecord) -> StoredRecord {
        let opened = found
            .data()
            .map_err(str::to_owned)
            .and_then(|data| sealing::open(&self.keys, key, data));
        match opened {
            // Moved, not copied: a record wipes its bytes when it goes.
            Ok(mut data) => StoredRecord::new(found.version(), std::mem::take(&mut *data)),
            Err(problem) => StoredRecord::unreadable(found.version(), problem),
        }
    }
}

impl EncryptedStore {
    fn seal(&self, key: &StoreKey, record: StoredRecord) -> Result<StoredRecord, Error> {
        Ok(match record.data() {
            Ok(data) => {
                let sealed = sealing::seal(&self.keys, key, data)?;
                StoredRecord::new(record.version(), sealed)
            }
            // There is nothing in it to encrypt; the store below knows what to do with it.
            Err(_) => record,
        })
    }
}

impl TokenStore for EncryptedStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        let found = self.below.load(key).await?;
        Ok(found.map(|found| self.open(key, &found)))
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        let record = self.seal(key, record)?;
        self.below.save(key, record, expected, keep_for).await
    }

    async fn remove(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        let found = self.below.remove(key).await?;
        Ok(found.map(|found| self.open(key, &found)))
    }

    async fn rename(
        &self,
        from: &StoreKey,
        expected: Version,
        to: &StoreKey,
        record: StoredRecord,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        // The key is bound in.
        let record = self.seal(to, record)?;
        let renamed = self.below.rename(from, expected, to, record, keep_for);
        renamed.await
    }

    async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        self.below.lease(key, lease).await
    }

    async fn release(&self, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
        self.below.release(key, lease).await
    }

    async fn lease_and_load(
        &self,
        key: &StoreKey,
        lease: &Lease,
    ) -> Result<Option<Option<StoredRecord>>, Error> {
        let leased = self.below.lease_and_load(key, lease).await?;
        Ok(leased.map(|found| found.map(|found| self.open(key, &found))))
    }

    async fn save_and_release(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
        lease: &Lease,
    ) -> Result<bool, Error> {
        let record = self.seal(key, record)?;
        let saved = self
            .below
            .save_and_release(key, record, expected, keep_for, lease);
        saved.await
    }
}

impl fmt::Debug for EncryptedStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("EncryptedStore")
            .field("keys", &self.keys)
            .finish_non_exhaustive()
    }
}
