//! Records in Redis: the store that a fleet shares.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionLike;

use crate::error::Error;
use crate::store::redis::connection::{Connection, Way};
use crate::store::redis::given::Given;
use crate::store::redis::kept::Kept;
use crate::store::redis::records::Records;
use crate::store::{
    AnyStore, EncryptedStore, Lease, Protection, SharedStore, StoreKey, StoredRecord, TokenStore,
    Version,
};

mod connection;
mod failure;
mod given;
mod kept;
mod records;
mod report;
#[cfg(feature = "rustls")]
mod roots;
mod scripts;
mod sender;
mod url;

/// Keeps records in Redis, version 6 or newer: a server, or a cluster of them. Many processes can share it.
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
/// # Redis as the program has it
/// | what there is | constructor |
/// |---|---|
/// | the URL of a server, or one that leads to the master | [`open`](Self::open) |
/// | a `ConnectionManager`, a client of a Redis Cluster | [`over`](Self::over) |
/// | a pool | [`over_pool`](Self::over_pool) |
/// | Sentinels, passwords that last for minutes, certificates of one's own | [`connected_by`](Self::connected_by) |
///
/// The last three take connections of the crate `redis`, in its version 1, which is re-exported as
/// [`reqwest_bearer::redis`](crate::redis): a program with another one is told so by the compiler, and a new
/// major of `redis` is a breaking change here. A client of another library serves by a type that implements
/// `redis::aio::ConnectionLike`; the commands are `EVAL`s, each with its script, so that a server which
/// has just started or taken over needs to know none of them.
///
/// # What is in Redis
/// For each record `<prefix>{<digest>}:record`, and for a lease `<prefix>{<digest>}:lease`; neither
/// has a user's or a session's id in it ([`StoreKey`]). Both have a time to live, so dead sessions
/// leave by themselves. A record that was removed counts as nothing at once and leaves after 3 s: a removal
/// that is sent twice finds it and answers as the first time. Something else under such a key is an
/// [unreadable](StoredRecord::unreadable) record.
///
/// Redis has to keep what it was told: with a `maxmemory-policy` that evicts keys, users are signed
/// out at random (`noeviction` is the default); without persistence, all of them by a restart. A replica
/// that takes over lacks what the master had not passed on yet.
#[derive(Clone)]
pub struct RedisStore {
    store: SharedStore,
    prefix: Arc<str>,
    is_encrypted: bool,
}

/// The settings of a [`RedisStore`].
#[must_use]
pub struct RedisStoreBuilder {
    way: Result<Way, Error>,
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
        let client = url::read(url.as_ref());
        RedisStoreBuilder::new(client.map(Kept::of_client).map(Way::Kept), protection)
    }

    /// Over a connection of the program's whose clones share it: a `ConnectionManager`, or the
    /// `ClusterConnection` of a Redis Cluster. Both are behind features of the crate `redis`, which the
    /// program asks of it itself. A mere `MultiplexedConnection` will do until it breaks; use
    /// [`connected_by`](Self::connected_by) for such.
    ///
    /// ```no_run
    /// # use reqwest_bearer::{Error, Protection, RedisStore};
    /// # use reqwest_bearer::redis::aio::ConnectionLike;
    /// # fn store(
    /// #     cluster: impl ConnectionLike + Clone + Send + Sync + 'static,
    /// #     protection: Protection,
    /// # ) -> Result<RedisStore, Error> {
    /// // let cluster = ClusterClient::new(nodes)?.get_async_connection().await?;
    /// let store = RedisStore::over(cluster, protection).build()?;
    /// # Ok(store)
    /// # }
    /// ```
    ///
    /// The connection reconnects, waits and repeats as its own settings say; what is not answered within
    /// 1.5 s is an error all the same. A command that broke is sent once more.
    ///
    /// # Redis Cluster
    /// The two keys of a record are in one slot, and each command has one of them alone, so that records
    /// are read and written also while their slot moves to another node. A refresh takes six round trips
    /// in place of four. A [rename](crate::UserSessions::rename) moves a record from one slot to another,
    /// mostly on two nodes: in several steps, the removal before the save. They are carried through whatever
    /// the caller does; a process that is killed between the two loses that session.
    ///
    /// While a master is down, and until its replica has taken over, calls for the records on it fail with
    /// [`ErrorKind::Store`](crate::ErrorKind::Store), and those for others go on; if there is no replica,
    /// the cluster as a whole stops by default.
    ///
    /// Two settings of the client of `redis` 1.8 are worth a change. It sends a command once more that has no
    /// answer after 500 ms, which a busy cluster bears badly; the store's own limit will do, with a
    /// `ClusterClientBuilder::response_timeout` of 2 s. And it waits for at least 1.28 s before it repeats
    /// what the cluster cannot serve yet; with a shorter `min_retry_wait` it finds sooner that it can.
    pub fn over(
        connection: impl ConnectionLike + Clone + Send + Sync + 'static,
        protection: Protection,
    ) -> RedisStoreBuilder {
        RedisStoreBuilder::new(Ok(Way::Given(Given::shared(connection))), protection)
    }

    /// Over a pool of the program's: the function gets a connection, which goes back after one command.
    ///
    /// ```no_run
    /// # use reqwest_bearer::{Error, Protection, RedisStore};
    /// # use reqwest_bearer::redis::{RedisError, aio::MultiplexedConnection};
    /// # #[derive(Clone)]
    /// # struct Pool;
    /// # impl Pool {
    /// #     async fn get(&self) -> Result<MultiplexedConnection, RedisError> { todo!() }
    /// # }
    /// # fn store(pool: Pool, protection: Protection) -> Result<RedisStore, Error> {
    /// // A pool of deadpool-redis.
    /// let get = move || {
    ///     let pool = pool.clone();
    ///     async move { pool.get().await }
    /// };
    /// let store = RedisStore::over_pool(get, protection).build()?;
    /// # Ok(store)
    /// # }
    /// ```
    ///
    /// The connections of bb8-redis are lent and know no commands; their clones do:
    /// `pool.get().await.map(|connection| connection.clone())`.
    ///
    /// Waiting for a connection counts into the 1.5 s that a call has. Of the function's error only what the
    /// crate `redis` says below it is passed on, since its own words may quote anything.
    ///
    /// It may be the pool of a cluster, too: see [`over`](Self::over).
    pub fn over_pool<F, Fut, C, E>(get: F, protection: Protection) -> RedisStoreBuilder
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C, E>> + Send + 'static,
        C: ConnectionLike + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        RedisStoreBuilder::new(Ok(Way::Given(Given::of_function(get))), protection)
    }

    /// Over connections that a function of the program's makes: the store keeps one, and asks for the next
    /// when that broke, gave no answer in time, or led to a server that is no master any more. So the
    /// function finds out anew where the master is, or what the password is now.
    ///
    /// ```no_run
    /// # use reqwest_bearer::{Error, Protection, RedisStore};
    /// # use reqwest_bearer::redis::{RedisError, aio::MultiplexedConnection};
    /// # struct SentinelClient;
    /// # impl SentinelClient {
    /// #     async fn get_async_connection(&mut self) -> Result<MultiplexedConnection, RedisError> { todo!() }
    /// # }
    /// # fn store(sentinels: SentinelClient, protection: Protection) -> Result<RedisStore, Error> {
    /// use std::sync::Arc;
    /// use tokio::sync::Mutex;
    ///
    /// // let sentinels = SentinelClient::build(urls, name, None, SentinelServerType::Master)?;
    /// let sentinels = Arc::new(Mutex::new(sentinels));
    /// let connect = move || {
    ///     let sentinels = sentinels.clone();
    ///     async move { sentinels.lock().await.get_async_connection().await }
    /// };
    /// let store = RedisStore::connected_by(connect, protection).build()?;
    /// # Ok(store)
    /// # }
    /// ```
    ///
    /// Each connection is one server's, so a refresh takes four round trips as with [`open`](Self::open), and
    /// a rename is one step. Errors of the function are passed on as by [`over_pool`](Self::over_pool). What
    /// it does in a call is dropped when the 1.5 s are over, and begun anew by the next call.
    pub fn connected_by<F, Fut, C, E>(connect: F, protection: Protection) -> RedisStoreBuilder
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C, E>> + Send + 'static,
        C: ConnectionLike + Clone + Send + Sync + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        RedisStoreBuilder::new(Ok(Way::Kept(Kept::of_function(connect))), protection)
    }
}

impl RedisStoreBuilder {
    fn new(way: Result<Way, Error>, protection: Protection) -> Self {
        Self {
            way,
            protection,
            prefix: "reqwest-bearer:".to_owned(),
        }
    }

    /// What the names of all keys begin with, to share a server with others. By default
    /// `reqwest-bearer:`. In a cluster, braces in it put all records into one slot, and so on one node.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// Builds the store. Asks nobody.
    ///
    /// # Errors
    /// Those of [`RedisStore::open`], where there is a URL.
    pub fn build(self) -> Result<RedisStore, Error> {
        let prefix: Arc<str> = self.prefix.into();
        let records = Records::new(Connection::new(self.way?), prefix.clone());
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
