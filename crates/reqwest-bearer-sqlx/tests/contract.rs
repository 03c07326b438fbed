//! The store keeps the contract that all stores keep, on SQLite and in real time. (On Postgres it does in
//! `tests/real-parts`.)

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use std::sync::Arc;

use reqwest_bearer::{EncryptionKeys, Protection};
use reqwest_bearer_sqlx::SqlxStore;
use reqwest_bearer_sqlx::sqlx::sqlite::SqliteJournalMode;
use reqwest_bearer_testing::StoreContract;

#[expect(dead_code, reason = "other tests use the rest of it")]
mod support;

use support::File;

/// Each handle has a pool of its own, as another process has.
async fn hold(file: File, protection: fn() -> Protection) {
    let file = Arc::new(file);
    let open = move || {
        let file = file.clone();
        async move {
            let store = SqlxStore::sqlite(file.pool(), protection());
            let store = store.build().unwrap();
            store.migrate().await.unwrap();
            store
        }
    };
    StoreContract::opened_by(open).hold().await;
}

fn keys() -> EncryptionKeys {
    EncryptionKeys::new("2025-06", &[7; 32]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract_on_sqlite_in_plain_text() {
    hold(File::new(), Protection::plain_text).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract_on_sqlite_encrypted() {
    // F8
    hold(File::new(), || Protection::encrypted(keys())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract_on_sqlite_with_a_journal_that_is_deleted() {
    hold(
        File::with(SqliteJournalMode::Delete),
        Protection::plain_text,
    )
    .await;
}
