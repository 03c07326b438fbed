//! What an encrypted store makes of records that it cannot open.

use std::time::Duration;

use reqwest_bearer::{
    EncryptedStore, EncryptionKeys, MemoryStore, StoreKey, StoredRecord, TokenStore as _, Version,
};

use crate::{key, record};

const LONG: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn keys(id: &str, byte: u8) -> EncryptionKeys {
    EncryptionKeys::new(id, &[byte; 32]).unwrap()
}

async fn save(store: &EncryptedStore, key: &StoreKey, expected: Option<Version>) -> StoredRecord {
    let record = record("s3cr3t");
    let saved = store.save(key, record.clone(), expected, LONG).await;
    assert!(saved.unwrap());
    record
}

/// Nobody gets anything out of this record but its problem, and the next save replaces it.
async fn counts_as_absent(store: &EncryptedStore, key: &StoreKey, version: Version) {
    let found = store.load(key).await.unwrap().unwrap();
    assert!(found.data().is_err(), "{found:?}");
    assert!(!format!("{found:?}").contains("s3cr3t"), "{found:?}");
    assert_eq!(found.version(), version);
    let new = save(store, key, Some(version)).await;
    assert_eq!(store.load(key).await.unwrap(), Some(new));
}

#[tokio::test]
async fn the_store_below_sees_versions_and_nothing_else() {
    // F8
    let below = MemoryStore::new();
    let store = EncryptedStore::new(below.clone(), keys("2025-06", 7));
    let key = key("a");
    let saved = save(&store, &key, None).await;
    let seen = below.load(&key).await.unwrap().unwrap();
    assert_eq!(seen.version(), saved.version());
    let bytes = seen.data().unwrap();
    assert!(!bytes.windows(6).any(|part| part == b"s3cr3t"));
}

#[tokio::test]
async fn keys_can_be_changed() {
    // F8
    let below = MemoryStore::new();
    let old = EncryptedStore::new(below.clone(), keys("old", 8));
    let both = keys("new", 7).with_older("old", &[8; 32]).unwrap();
    let both = EncryptedStore::new(below.clone(), both);
    let new = EncryptedStore::new(below, keys("new", 7));
    let key = key("a");
    let saved = save(&old, &key, None).await;
    assert_eq!(both.load(&key).await.unwrap(), Some(saved.clone()));
    let again = save(&both, &key, Some(saved.version())).await;
    assert_eq!(new.load(&key).await.unwrap(), Some(again.clone()));
    counts_as_absent(&old, &key, again.version()).await;
}

#[tokio::test]
async fn a_record_whose_key_is_unknown_or_wrong_counts_as_absent() {
    // F7, F8
    for other in [keys("other", 7), keys("2025-06", 8)] {
        let below = MemoryStore::new();
        let key = key("a");
        let writer = EncryptedStore::new(below.clone(), keys("2025-06", 7));
        let saved = save(&writer, &key, None).await;
        let reader = EncryptedStore::new(below, other);
        counts_as_absent(&reader, &key, saved.version()).await;
    }
}

#[tokio::test]
async fn a_record_that_was_moved_to_another_user_counts_as_absent() {
    // D8, F8
    let below = MemoryStore::new();
    let store = EncryptedStore::new(below.clone(), keys("2025-06", 7));
    let (alice, bob) = (key("alice"), key("bob"));
    save(&store, &alice, None).await;
    let moved = below.load(&alice).await.unwrap().unwrap();
    let version = moved.version();
    assert!(below.save(&bob, moved, None, LONG).await.unwrap());
    counts_as_absent(&store, &bob, version).await;
}

#[tokio::test]
async fn plain_text_from_before_counts_as_absent() {
    // F7
    let below = MemoryStore::new();
    let store = EncryptedStore::new(below.clone(), keys("2025-06", 7));
    let key = key("a");
    let plain = record(r#"{"access_token":"s3cr3t"}"#);
    let version = plain.version();
    assert!(below.save(&key, plain, None, LONG).await.unwrap());
    counts_as_absent(&store, &key, version).await;
}

#[tokio::test]
async fn what_cannot_be_opened_can_be_removed() {
    // F7
    let below = MemoryStore::new();
    let key = key("a");
    let writer = EncryptedStore::new(below.clone(), keys("old", 8));
    let saved = save(&writer, &key, None).await;
    let store = EncryptedStore::new(below.clone(), keys("new", 7));
    let removed = store.remove(&key).await.unwrap().unwrap();
    assert_eq!(removed.version(), saved.version());
    assert!(removed.data().is_err(), "{removed:?}");
    assert!(below.is_empty());
}

#[test]
fn a_store_shows_the_ids_of_its_keys_and_nothing_else() {
    // D6
    let keys = keys("new", 7).with_older("old", &[8; 32]).unwrap();
    let shown = format!("{:?}", EncryptedStore::new(MemoryStore::new(), keys));
    let expected =
        r#"EncryptedStore { keys: EncryptionKeys { newest: "new", older: ["old"], .. }, .. }"#;
    assert_eq!(shown, expected);
}
