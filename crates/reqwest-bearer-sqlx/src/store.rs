//! The store as a program sees it.

use std::fmt;
use std::time::Duration;

use reqwest_bearer::{
    EncryptedStore, Error, Lease, Protection, StoreKey, StoredRecord, TokenStore, Version,
};
#[cfg(feature = "postgres")]
use sqlx::PgPool;
#[cfg(feature = "sqlite")]
use sqlx::SqlitePool;

use crate::builder::SqlxStoreBuilder;
use crate::records::Records;
use crate::table::Table;

/// Keeps records in a table of Postgres or SQLite. Many processes can share it.
///
/// ```no_run
/// use reqwest_bearer::{EncryptionKeys, Protection};
/// use reqwest_bearer_sqlx::{SqlxStore, sqlx::PgPool};
///
/// # async fn store() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = PgPool::connect_lazy(&std::env::var("DATABASE_URL")?)?;
/// let keys: EncryptionKeys = std::env::var("TOKEN_KEYS")?.parse()?;
/// let store = SqlxStore::postgres(pool, Protection::encrypted(keys)).build()?;
/// store.migrate().await?;
/// # Ok(())
/// # }
/// ```
///
/// Opening asks for keys, or for the word that says [plain text](Protection::plain_text), and does not ask the
/// database: one that is down is an error of each call. A call takes a connection of the pool's for one
/// statement and gives it back; between the calls of a refresh, and while a token is asked for, it has none. A
/// statement under which the connection broke is sent once more, so that a restart of the database between two
/// calls goes unnoticed. A call that gets no answer, or no connection of the pool's, ends after 1.5 s with
/// [`ErrorKind::Store`](reqwest_bearer::ErrorKind::Store). Clones share everything.
///
/// # What is in the database
/// One row for each record, with its lease, under a digest; neither has a user's or a session's id in it
/// ([`StoreKey`]). How long a record or a lease lasts is told by the database's clock. Rows that have had their
/// time are deleted by and by: behind the first save of a process, and then behind one every ten minutes. See
/// [`sweep`](Self::sweep).
#[derive(Clone)]
pub struct SqlxStore {
    records: Records,
    kept: Kept,
    table: Table,
}

/// The way to the records.
#[derive(Clone)]
enum Kept {
    Encrypted(EncryptedStore),
    PlainText(Records),
}

impl SqlxStore {
    /// A store in Postgres 12 or newer, or in what speaks as it does, with its settings.
    ///
    /// It is safe behind a pooler that gives each transaction another session (PgBouncer of any version), since
    /// it keeps nothing in a session; for connections that lead straight to Postgres there is a
    /// [shorter way](SqlxStoreBuilder::prepared_statements).
    #[cfg(feature = "postgres")]
    pub fn postgres(pool: PgPool, protection: Protection) -> SqlxStoreBuilder {
        SqlxStoreBuilder::of_postgres(pool, protection)
    }

    /// A store in SQLite 3.35 or newer, with its settings. For the processes of one machine: the file must not
    /// lie on a network.
    ///
    /// Give the pool the journal mode WAL, with which readers and the one writer do not wait for each other. A
    /// database in memory is one for each connection, so its pool has one connection.
    #[cfg(feature = "sqlite")]
    pub fn sqlite(pool: SqlitePool, protection: Protection) -> SqlxStoreBuilder {
        SqlxStoreBuilder::of_sqlite(pool, protection)
    }

    pub(crate) fn new(records: Records, protection: Protection, table: Table) -> Self {
        let kept = match protection.into_keys() {
            Some(keys) => Kept::Encrypted(EncryptedStore::new(records.clone(), keys)),
            None => Kept::PlainText(records.clone()),
        };
        Self {
            records,
            kept,
            table,
        }
    }

    /// Creates the table and its index, unless they are there. Any number of processes may call it at once, and
    /// at each start; each has to be allowed to create tables. Waits for a connection as long as the pool does.
    ///
    /// # Errors
    /// [`ErrorKind::Store`](reqwest_bearer::ErrorKind::Store), if the database is down or refuses.
    pub async fn migrate(&self) -> Result<(), Error> {
        self.records.migrate().await
    }

    /// The statements of [`migrate`](Self::migrate), each without a semicolon, for programs that keep their
    /// migrations elsewhere, or whose processes may not create tables.
    #[must_use]
    pub fn schema(&self) -> &[String] {
        self.records.schema()
    }

    /// Deletes rows whose record and lease have had their time, a thousand at most, and says how many. The store
    /// does so by itself now and then; where many sessions begin and hardly any is refreshed, a job of yours may
    /// do it more often.
    ///
    /// # Errors
    /// [`ErrorKind::Store`](reqwest_bearer::ErrorKind::Store), if the database is down or refuses.
    pub async fn sweep(&self) -> Result<usize, Error> {
        self.records.sweep().await
    }
}

/// Without the pool, whose URL may have a password in it.
impl fmt::Debug for SqlxStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SqlxStore")
            .field("table", &self.table.quoted())
            .field("is_encrypted", &matches!(self.kept, Kept::Encrypted(_)))
            .finish_non_exhaustive()
    }
}

impl TokenStore for SqlxStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        match &self.kept {
            Kept::Encrypted(store) => store.load(key).await,
            Kept::PlainText(store) => store.load(key).await,
        }
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        match &self.kept {
            Kept::Encrypted(store) => store.save(key, record, expected, keep_for).await,
            Kept::PlainText(store) => store.save(key, record, expected, keep_for).await,
        }
    }

    async fn remove(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        match &self.kept {
            Kept::Encrypted(store) => store.remove(key).await,
            Kept::PlainText(store) => store.remove(key).await,
        }
    }

    // There is nothing to encrypt in a lease.
    async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        self.records.lease(key, lease).await
    }

    async fn release(&self, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
        self.records.release(key, lease).await
    }

    async fn lease_and_load(
        &self,
        key: &StoreKey,
        lease: &Lease,
    ) -> Result<Option<Option<StoredRecord>>, Error> {
        match &self.kept {
            Kept::Encrypted(store) => store.lease_and_load(key, lease).await,
            Kept::PlainText(store) => store.lease_and_load(key, lease).await,
        }
    }

    async fn save_and_release(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
        lease: &Lease,
    ) -> Result<bool, Error> {
        match &self.kept {
            Kept::Encrypted(store) => {
                let saved = store.save_and_release(key, record, expected, keep_for, lease);
                saved.await
            }
            Kept::PlainText(store) => {
                let saved = store.save_and_release(key, record, expected, keep_for, lease);
                saved.await
            }
        }
    }

    async fn rename(
        &self,
        from: &StoreKey,
        expected: Version,
        to: &StoreKey,
        record: StoredRecord,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        match &self.kept {
            Kept::Encrypted(store) => store.rename(from, expected, to, record, keep_for).await,
            Kept::PlainText(store) => store.rename(from, expected, to, record, keep_for).await,
        }
    }
}
