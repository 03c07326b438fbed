//! Every store that comes with the crate keeps the contract of `TokenStore`. A new store is one test more.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

mod encrypted;
mod file;

use reqwest_bearer::{
    EncryptedStore, FileStore, MemoryStore, StoreKey, StoredRecord, TestClock, Version,
};
use reqwest_bearer_testing::StoreContract;

use encrypted::keys;
use file::Place;

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_store_keeps_the_contract() {
    // D8, F3, F6, F9, F12
    let clock = TestClock::new();
    let store = MemoryStore::with_clock(&clock);
    StoreContract::of(store).clock(&clock).hold().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_memory_store_keeps_the_contract() {
    // D8, F3, F6, F8, F9, F12
    let clock = TestClock::new();
    let below = MemoryStore::with_clock(&clock);
    let open = move || {
        let below = below.clone();
        async move { EncryptedStore::new(below, keys("2025-06", 7)) }
    };
    StoreContract::opened_by(open).clock(&clock).hold().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_file_store_keeps_the_contract() {
    // D8, F3, F6, F9, F12
    let clock = TestClock::new();
    let place = Place::new();
    let open = {
        let (path, clock) = (place.path(), clock.clone());
        move || std::future::ready(FileStore::with_clock(&path, &clock).unwrap())
    };
    StoreContract::opened_by(open).clock(&clock).hold().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_encrypted_file_store_keeps_the_contract() {
    // D8, F3, F6, F8, F9, F12
    let clock = TestClock::new();
    let place = Place::new();
    let open = {
        let (path, clock) = (place.path(), clock.clone());
        move || {
            let below = FileStore::with_clock(&path, &clock).unwrap();
            std::future::ready(EncryptedStore::new(below, keys("2025-06", 7)))
        }
    };
    StoreContract::opened_by(open).clock(&clock).hold().await;
}

/// A name that no other test uses.
fn key(label: &str) -> StoreKey {
    StoreKey::of([label, &Version::random().unwrap().to_string()])
}

/// A record with a version of its own.
fn record(data: impl AsRef<[u8]>) -> StoredRecord {
    StoredRecord::new(Version::random().unwrap(), data.as_ref())
}
