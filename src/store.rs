//! Where token sets outlive a process: the trait, and one file for each store of the crate.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::Error;

#[cfg(feature = "encryption")]
mod encrypted;
#[cfg(feature = "file")]
mod file;
mod key;
mod memory;
#[cfg(feature = "encryption")]
mod protection;
mod random;
#[cfg(feature = "redis")]
mod redis;

#[cfg(feature = "encryption")]
pub use encrypted::{EncryptedStore, EncryptionKeys};
#[cfg(feature = "file")]
pub use file::FileStore;
pub use key::StoreKey;
pub use memory::MemoryStore;
#[cfg(feature = "encryption")]
pub use protection::Protection;
pub use random::{Lease, Version};
#[cfg(feature = "redis")]
pub use redis::{RedisStore, RedisStoreBuilder};

/// A place where token sets outlive a process, or are shared by several.
///
/// A store keeps bytes under keys and understands neither: what is in a record, when it is written
/// and what a lease is for is decided above it. Five promises make a store, and
/// `StoreContract` of the package `reqwest-bearer-testing` holds any store to them, the crate's own too:
///
/// - **load** returns what the last successful save of the key wrote, or nothing once
///   that has been removed or its time is up. What is there and cannot be read, such as a
///   half-written file, is an [unreadable](StoredRecord::unreadable) record, never an error: it
///   counts as absent and is replaced by the next save.
/// - **save** is one atomic step: if the stored record has the `expected` version (`None`: if there
///   is no record), it is replaced, otherwise nothing changes. Of any number of concurrent saves
///   with one expectation exactly one succeeds.
/// - **remove** is one atomic step, too, and returns what it removed.
/// - **lease** is given to one owner at a time, and ends by itself.
/// - Keys never meet: nothing that is done to one is seen at another.
///
/// The crate gives each call 2 seconds, survives panics, and never calls a store on the way of a
/// request whose token is fresh. Write your own as plain `async fn`s.
pub trait TokenStore: Send + Sync + 'static {
    /// The record of this key.
    ///
    /// # Errors
    /// [`Error::store`] if the store cannot be asked.
    fn load(
        &self,
        key: &StoreKey,
    ) -> impl Future<Output = Result<Option<StoredRecord>, Error>> + Send;

    /// Puts `record` in place of the one with the version `expected`, or where there is none.
    /// It leaves by itself after `keep_for`, counted from now. Returns whether it did: `false` says
    /// that another version, or none, was found.
    ///
    /// # Errors
    /// [`Error::store`] if the store cannot be told, or it is unknown whether it was.
    fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Removes the record of this key and returns it. Leases stay.
    ///
    /// # Errors
    /// [`Error::store`] if the store cannot be told.
    fn remove(
        &self,
        key: &StoreKey,
    ) -> impl Future<Output = Result<Option<StoredRecord>, Error>> + Send;

    /// Takes the lease of this key for its owner, or renews it if the owner has it; from now on it
    /// lasts for [`Lease::duration`]. Returns whether the owner has it now: `false` says that it is
    /// another owner's.
    ///
    /// # Errors
    /// [`Error::store`] if the store cannot be told.
    fn lease(
        &self,
        key: &StoreKey,
        lease: &Lease,
    ) -> impl Future<Output = Result<bool, Error>> + Send;

    /// Gives the lease back, if its owner still has it; otherwise does nothing.
    ///
    /// # Errors
    /// [`Error::store`] if the store cannot be told.
    fn release(
        &self,
        key: &StoreKey,
        lease: &Lease,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Takes the lease and brings the record, as it is while the owner has it. `None` says that the
    /// lease is another owner's.
    ///
    /// Two calls by itself. A store that is asked over a network does both in one: a refresh then
    /// takes four round trips in place of six.
    ///
    /// # Errors
    /// As [`lease`](Self::lease) and [`load`](Self::load).
    fn lease_and_load(
        &self,
        key: &StoreKey,
        lease: &Lease,
    ) -> impl Future<Output = Result<Option<Option<StoredRecord>>, Error>> + Send {
        async move {
            if !self.lease(key, lease).await? {
                return Ok(None);
            }
            let loaded = self.load(key).await;
            if loaded.is_err() {
                // If the store does not hear of it, the lease ends by itself.
                let _ = self.release(key, lease).await;
            }
            loaded.map(Some)
        }
    }

    /// Saves the record as [`save`](Self::save) does and, if that succeeds, gives the lease back.
    ///
    /// Two calls by itself; see [`lease_and_load`](Self::lease_and_load).
    ///
    /// # Errors
    /// As [`save`](Self::save). A lease that cannot be given back is no error: it ends by itself.
    fn save_and_release(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
        lease: &Lease,
    ) -> impl Future<Output = Result<bool, Error>> + Send {
        async move {
            let saved = self.save(key, record, expected, keep_for).await?;
            if saved {
                let _ = self.release(key, lease).await;
            }
            Ok(saved)
        }
    }

    /// Puts `record` under the key `to`, and removes the one under `from`: if that one has the version
    /// `expected`, and there is none under `to`; otherwise nothing changes. Returns whether it did.
    ///
    /// Several calls by itself, the removal before the save, so that there are never two records with one
    /// refresh token. A store that fails in between is told to put the record back where it was; only if it
    /// fails at that too, or the process ends there, the session is lost. A store that can does both in one
    /// step.
    ///
    /// # Errors
    /// [`Error::store`] if the store cannot be told, or it is unknown whether it was.
    fn rename(
        &self,
        from: &StoreKey,
        expected: Version,
        to: &StoreKey,
        record: StoredRecord,
        keep_for: Duration,
    ) -> impl Future<Output = Result<bool, Error>> + Send {
        rename_in_steps(self, from, expected, to, record, keep_for)
    }
}

/// [`TokenStore::rename`] in several calls.
async fn rename_in_steps(
    store: &(impl TokenStore + ?Sized),
    from: &StoreKey,
    expected: Version,
    to: &StoreKey,
    record: StoredRecord,
    keep_for: Duration,
) -> Result<bool, Error> {
    let found = store.load(from).await?;
    let is_expected = found.is_some_and(|found| found.version() == expected);
    if !is_expected || store.load(to).await?.is_some() {
        return Ok(false);
    }
    let Some(removed) = store.remove(from).await? else {
        return Ok(false);
    };
    let version = record.version();
    let saved = store.save(to, record, None, keep_for).await;
    if matches!(saved, Ok(true)) {
        return saved;
    }
    let has_arrived = async || {
        let found = store.load(to).await;
        matches!(found, Ok(Some(found)) if found.version() == version)
    };
    // It may have been carried out, and the answer be lost; or be that to a second try.
    if has_arrived().await {
        return Ok(true);
    }
    // Back where it was, as if nothing had happened. So too if the store does not say what has
    // happened; then it is asked once more, since two would spend one refresh token.
    let is_back = store.save(from, removed, None, keep_for).await;
    if matches!(is_back, Ok(true)) && has_arrived().await {
        let _ = store.remove(to).await;
    }
    saved
}

/// What a store keeps under one key: bytes, and the version that they are compared by.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredRecord {
    version: Version,
    content: Result<Zeroizing<Vec<u8>>, String>,
}

impl StoredRecord {
    /// A record of this version with these bytes.
    #[must_use]
    pub fn new(version: Version, data: impl Into<Vec<u8>>) -> Self {
        Self {
            version,
            content: Ok(Zeroizing::new(data.into())),
        }
    }

    /// Something that is there and cannot be read. The problem is told in an event; it holds no
    /// secret. The version is what a save has to expect in order to replace it; if the store cannot
    /// tell it, one [of the bytes](Version::of_bytes) that are there.
    #[must_use]
    pub fn unreadable(version: Version, problem: impl Into<String>) -> Self {
        Self {
            version,
            content: Err(problem.into()),
        }
    }

    /// What a save has to expect in order to replace this record.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The bytes.
    ///
    /// # Errors
    /// The problem, if they cannot be read.
    pub fn data(&self) -> Result<&[u8], &str> {
        match &self.content {
            Ok(data) => Ok(data),
            Err(problem) => Err(problem),
        }
    }
}

impl fmt::Debug for StoredRecord {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StoredRecord")
            .field("version", &self.version)
            .field("problem", &self.data().err())
            .finish_non_exhaustive()
    }
}

type Answer<'store, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'store>>;

/// The boxed twin of [`TokenStore`], so that no public type has a type parameter. It does nothing
/// before it is awaited, so that a call which panics at once panics where that is caught.
pub(crate) trait AnyStore: Send + Sync {
    fn load<'store>(&'store self, key: &'store StoreKey) -> Answer<'store, Option<StoredRecord>>;
    fn save<'store>(
        &'store self,
        key: &'store StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Answer<'store, bool>;
    fn remove<'store>(&'store self, key: &'store StoreKey) -> Answer<'store, Option<StoredRecord>>;
    fn lease<'store>(
        &'store self,
        key: &'store StoreKey,
        lease: &'store Lease,
    ) -> Answer<'store, bool>;
    fn release<'store>(
        &'store self,
        key: &'store StoreKey,
        lease: &'store Lease,
    ) -> Answer<'store, ()>;
    fn lease_and_load<'store>(
        &'store self,
        key: &'store StoreKey,
        lease: &'store Lease,
    ) -> Answer<'store, Option<Option<StoredRecord>>>;
    fn save_and_release<'store>(
        &'store self,
        key: &'store StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
        lease: &'store Lease,
    ) -> Answer<'store, bool>;
    fn rename<'store>(
        &'store self,
        from: &'store StoreKey,
        expected: Version,
        to: &'store StoreKey,
        record: StoredRecord,
        keep_for: Duration,
    ) -> Answer<'store, bool>;
}

impl<S: TokenStore> AnyStore for S {
    fn load<'store>(&'store self, key: &'store StoreKey) -> Answer<'store, Option<StoredRecord>> {
        Box::pin(async move { TokenStore::load(self, key).await })
    }

    fn save<'store>(
        &'store self,
        key: &'store StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Answer<'store, bool> {
        Box::pin(async move { TokenStore::save(self, key, record, expected, keep_for).await })
    }

    fn remove<'store>(&'store self, key: &'store StoreKey) -> Answer<'store, Option<StoredRecord>> {
        Box::pin(async move { TokenStore::remove(self, key).await })
    }

    fn lease<'store>(
        &'store self,
        key: &'store StoreKey,
        lease: &'store Lease,
    ) -> Answer<'store, bool> {
        Box::pin(async move { TokenStore::lease(self, key, lease).await })
    }

    fn release<'store>(
        &'store self,
        key: &'store StoreKey,
        lease: &'store Lease,
    ) -> Answer<'store, ()> {
        Box::pin(async move { TokenStore::release(self, key, lease).await })
    }

    fn lease_and_load<'store>(
        &'store self,
        key: &'store StoreKey,
        lease: &'store Lease,
    ) -> Answer<'store, Option<Option<StoredRecord>>> {
        Box::pin(async move { TokenStore::lease_and_load(self, key, lease).await })
    }

    fn save_and_release<'store>(
        &'store self,
        key: &'store StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
        lease: &'store Lease,
    ) -> Answer<'store, bool> {
        Box::pin(async move {
            let saved = TokenStore::save_and_release(self, key, record, expected, keep_for, lease);
            saved.await
        })
    }

    fn rename<'store>(
        &'store self,
        from: &'store StoreKey,
        expected: Version,
        to: &'store StoreKey,
        record: StoredRecord,
        keep_for: Duration,
    ) -> Answer<'store, bool> {
        Box::pin(
            async move { TokenStore::rename(self, from, expected, to, record, keep_for).await },
        )
    }
}

/// A store of any kind, shared by all who keep their tokens in it.
pub(crate) type SharedStore = Arc<dyn AnyStore>;

impl fmt::Debug for dyn AnyStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("TokenStore")
    }
}

/// Stores are shared: an `Arc` of one is one.
impl<S: TokenStore> TokenStore for Arc<S> {
    async fn load(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        S::load(self, key).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        S::save(self, key, record, expected, keep_for).await
    }

    async fn remove(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        S::remove(self, key).await
    }

    async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        S::lease(self, key, lease).await
    }

    async fn release(&self, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
        S::release(self, key, lease).await
    }

    async fn lease_and_load(
        &self,
        key: &StoreKey,
        lease: &Lease,
    ) -> Result<Option<Option<StoredRecord>>, Error> {
        S::lease_and_load(self, key, lease).await
    }

    async fn save_and_release(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
        lease: &Lease,
    ) -> Result<bool, Error> {
        S::save_and_release(self, key, record, expected, keep_for, lease).await
    }

    async fn rename(
        &self,
        from: &StoreKey,
        expected: Version,
        to: &StoreKey,
        record: StoredRecord,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        S::rename(self, from, expected, to, record, keep_for).await
    }
}
