//! The Redis store keeps the contract that all stores keep, on a real Redis and in real time.

use real_parts::RedisServer;
use reqwest_bearer::{EncryptionKeys, Protection, RedisStore};
use reqwest_bearer_testing::StoreContract;

/// Each handle has a connection of its own, as another process has.
async fn hold(protection: fn() -> Protection) {
    let server = RedisServer::start().await;
    let url = server.url().to_owned();
    let open = move || {
        let store = RedisStore::open(&url, protection());
        async { store.expect("a URL of Redis") }
    };
    StoreContract::opened_by(open).hold().await;
    drop(server);
}

fn keys() -> EncryptionKeys {
    EncryptionKeys::new("2025-06", &[7; 32]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_redis_store_keeps_the_contract_in_plain_text() {
    hold(Protection::plain_text).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_redis_store_keeps_the_contract_encrypted() {
    // F8
    hold(|| Protection::encrypted(keys())).await;
}
