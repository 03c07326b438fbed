//! A database in a file, and what opens it as another process would.

use std::path::PathBuf;
use std::time::Duration;

use reqwest_bearer::{Protection, StoredRecord, Version};
use reqwest_bearer_sqlx::SqlxStore;
use reqwest_bearer_sqlx::sqlx::SqlitePool;
use reqwest_bearer_sqlx::sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions,
};
use tempfile::TempDir;

pub(crate) const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Its folder goes with this.
pub(crate) struct File {
    folder: TempDir,
    path: PathBuf,
    journal: SqliteJournalMode,
}

impl File {
    pub(crate) fn new() -> Self {
        Self::with(SqliteJournalMode::Wal)
    }

    pub(crate) fn with(journal: SqliteJournalMode) -> Self {
        // In memory, where the system has such a place: a disk that others keep busy may stand still for longer
        // than a call may take.
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
        let folder = folder.unwrap();
        Self {
            path: folder.path().join("tokens.db"),
            folder,
            journal,
        }
    }

    /// A pool of its own, as another process has.
    pub(crate) fn pool(&self) -> SqlitePool {
        self.pool_of(5)
    }

    pub(crate) fn pool_of(&self, connections: u32) -> SqlitePool {
        let options = SqliteConnectOptions::new()
            .filename(&self.path)
            .create_if_missing(true)
            .journal_mode(self.journal);
        let pool = SqlitePoolOptions::new().max_connections(connections);
        pool.connect_lazy_with(options)
    }

    /// The database with what it has beside it.
    pub(crate) fn everything_written(&self) -> Vec<u8> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        let files = files.map(|file| std::fs::read(file.unwrap().path()).unwrap());
        files.flatten().collect()
    }

    /// A store with a table.
    pub(crate) async fn store(&self) -> SqlxStore {
        let store = SqlxStore::sqlite(self.pool(), Protection::plain_text());
        let store = store.build().unwrap();
        store.migrate().await.unwrap();
        store
    }
}

pub(crate) fn record(data: &str) -> StoredRecord {
    StoredRecord::new(Version::random().unwrap(), data)
}
