//! The store keeps the contract that all stores keep, on SQLite and in real time. (On Postgres it does in
//! `tests/real-parts`.)

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use std::time::Duration;

use reqwest_bearer::{EncryptionKeys, Protection};
use reqwest_bearer_sqlx::SqlxStore;
use reqwest_bearer_sqlx::sqlx::sqlite::SqliteJournalMode;

#[path = "../../../tests/stores/contract.rs"]
mod contract;
#[expect(dead_code, reason = "other tests use the rest of it")]
mod support;

use contract::{Bench, hold};
use support::File;

struct Sqlite {
    file: File,
    protection: fn() -> Protection,
}

impl Bench for Sqlite {
    type Store = SqlxStore;

    async fn handle(&self) -> SqlxStore {
        let store = SqlxStore::sqlite(self.file.pool(), (self.protection)());
        let store = store.build().unwrap();
        store.migrate().await.unwrap();
        store
    }

    fn span(&self) -> Duration {
        Duration::from_millis(500)
    }

    #[expect(clippy::disallowed_methods, reason = "a database keeps real time")]
    async fn pass(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }
}

fn keys() -> EncryptionKeys {
    EncryptionKeys::new("2025-06", &[7; 32]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract_on_sqlite_in_plain_text() {
    let (file, protection) = (File::new(), Protection::plain_text as fn() -> _);
    hold(Sqlite { file, protection }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract_on_sqlite_encrypted() {
    // F8
    let (file, protection) = (File::new(), (|| Protection::encrypted(keys())) as fn() -> _);
    hold(Sqlite { file, protection }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract_on_sqlite_with_a_journal_that_is_deleted() {
    let file = File::with(SqliteJournalMode::Delete);
    let protection = Protection::plain_text;
    hold(Sqlite { file, protection }).await;
}
