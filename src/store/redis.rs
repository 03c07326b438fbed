//! Records in Redis: the store that a fleet shares.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::Client;

use crate::error::Error;
use crate::store::redis::connection::Connection;
use crate::store::redis::records::Records;
use crate::store::{
    AnyStore, EncryptedStore, Lease, Protection, SharedStore, StoreKey, StoredRecord, TokenStore,
    Version,
};

mod connection;
mod records;
mod report;
#[cfg(feature = "rustls")]
mod roots;
mod scripts;
mod url;

/// Keeps records in a Redis server, version 6 or newer. Many processes can share it.
///
/// ```
/// use reqwest_bearer::{EncryptionKeys, Protection, RedisStore};
///
/// # fn main() -> Result<(), reqwest_bearer::Error> {
/// # let text = "2025-06:3q2+796tvu/erb7v3q2+796tvu/erb7v3q2+796tvu8=";
/// // From the environment, for example.
/// let keys: EncryptionKeys = text.parse()?;
/// let store = RedisStore::open("redis://localhost/0", Protection::encrypted(keys))?;
/// # Ok(())
/// # }
/// ```
///
/// Opening asks for keys, or for the word that says [plain text](Protection::plain_text), and does
/// not ask Redis: a server that is down is an error of each call. The one connection is made when it
/// is first needed, and again whenever it broke. A command that it broke under is sent once more, so
/// that a restart of Redis between two calls goes unnoticed. A call that gets no answer ends after
/// 1.5 s with [`ErrorKind::Store`](crate::ErrorKind::Store). Clones share the connection.
///
/// # What is in Redis
/// For each record `<prefix>{<digest>}:record`, and for a lease `<prefix>{<digest>}:lease`; neither
/// has a user's or a session's id in it ([`StoreKey`]). Both have a time to live, so dead sessions
/// leave by themselves. Something else under such a key is an
/// [unreadable](StoredRecord::unreadable) record.
///
/// Redis has to keep what it was told: with a `maxmemory-policy` that evicts keys, users are signed
/// out at random (`noeviction` is the default); without persistence, all of them by a restart. The
/// protocols of Sentinel and of Redis Cluster are not spoken: give the address that leads to the
/// master.
#[derive(Clone)]
pub struct RedisStore {
    store: SharedStore,
    prefix: Arc<str>,
    is_encrypted: bool,
}

/// The settings of a [`RedisStore`].
#[must_use]
pub struct RedisStoreBuilder {
    client: Result<Client, Error>,
    protection: Protection,
    prefix: String,
}

impl RedisStore {
    /// The store at `redis://[user][:password@]host[:port][/database]`, or at `unix:///path`.
    ///
    /// With `rediss:` by TLS, which needs the feature `rustls` or `native-tls`; with both it is rustls.
    /// It trusts the certificates of the operating system. If another crate of the program links a
    /// second cryptographic provider of rustls, the program has to choose one
    /// (`CryptoProvider::install_default`) before the first call.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) for a URL that is none of these.
    pub fn open(url: impl AsRef<str>, protection: Protection) -> Result<Self, Error> {
        Self::builder(url, protection).build()
    }

    /// The same, with settings.
    pub fn builder(url: impl AsRef<str>, protection: Protection) -> RedisStoreBuilder {
        RedisStoreBuilder {
            client: url::read(url.as_ref()),
            protection,
            prefix: "reqwest-bearer:".to_owned(),
        }
    }
}

impl RedisStoreBuilder {
    /// What the names of all keys begin with, to share a server with others. By default
    /// `reqwest-bearer:`.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Builds the store. Asks nobody.
    ///
    /// # Errors
    /// Those of [`RedisStore::open`].
    pub fn build(self) -> Result<RedisStore, Error> {
        let prefix: Arc<str> = self.prefix.as_str().into();
        let records = Records::new(Connection::new(self.client?), self.prefix);
        let (store, is_encrypted): (SharedStore, bool) = match self.protection.into_keys() {
            Some(keys) => (Arc::new(EncryptedStore::new(records, keys)), true),
            None => (Arc::new(records), false),
        };
        Ok(RedisStore {
            store,
            prefix,
            is_encrypted,
        })
    }
}

/// Without the URL, which may have a password in it.
impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RedisStoreBuilder")
            .field("key_prefix", &self.prefix)
            .field("protection", &self.protection)
            .finish_non_exhaustive()
    }
}

/// Without the URL, as above.
impl fmt::Debug for RedisStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RedisStore")
            .field("key_prefix", &self.prefix)
            .field("is_encrypted", &self.is_encrypted)
            .finish_non_exhaustive()
    }
}

impl TokenStore for RedisStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        AnyStore::load(&*self.store, key).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        AnyStore::save(&*self.store, key, record, expected, keep_for).await
    }

    async fn remove(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        AnyStore::remove(&*self.store, key).await
    }

    async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        AnyStore::lease(&*self.store, key, lease).await
    }

    async fn release(&self, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
        AnyStore::release(&*self.store, key, lease).await
    }

    async fn lease_and_load(
        &self,
        key: &StoreKey,
        lease: &Lease,
    ) -> Result<Option<Option<StoredRecord>>, Error> {
        AnyStore::lease_and_load(&*self.store, key, lease).await
    }

    async fn save_and_release(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
        lease: &Lease,
    ) -> Result<bool, Error> {
        AnyStore::save_and_release(&*self.store, key, record, expected, keep_for, lease).await
    }

    async fn rename(
        &self,
        from: &StoreKey,
        expected: Version,
        to: &StoreKey,
        record: StoredRecord,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        AnyStore::rename(&*self.store, from, expected, to, record, keep_for).await
    }
}

#[cfg(test)]
mod tests {
    use super::RedisStore;
    use crate::store::Protection;

    #[test]
    fn a_store_is_opened_without_a_runtime_and_shows_no_password() {
        // D6
        let url = "redis://user:s3cr3t@192.0.2.1:1/7";
        let builder = RedisStore::builder(url, Protection::plain_text()).key_prefix("mine:");
        assert!(!format!("{builder:?}").contains("s3cr3t"));
        let store = builder.build().unwrap();
        let shown = format!("{store:?}");
        assert!(
            shown.contains("mine:") && !shown.contains("s3cr3t"),
            "{shown}"
        );
    }
}
