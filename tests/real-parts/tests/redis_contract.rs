//! The Redis store keeps the contract that all stores keep, on a real Redis and in real time.

use std::time::Duration;

use real_parts::RedisServer;
use reqwest_bearer::{EncryptionKeys, Protection, RedisStore};

#[path = "../../stores/contract.rs"]
mod contract;

use contract::{Bench, hold};

struct Redis {
    server: RedisServer,
    protection: fn() -> Protection,
}

impl Bench for Redis {
    type Store = RedisStore;

    /// With a connection of its own, as another process has.
    async fn handle(&self) -> RedisStore {
        RedisStore::open(self.server.url(), (self.protection)()).unwrap()
    }

    fn span(&self) -> Duration {
        Duration::from_millis(500)
    }

    async fn pass(&self, by: Duration) {
        tokio::time::sleep(by).await;
    }
}

fn keys() -> EncryptionKeys {
    EncryptionKeys::new("2025-06", &[7; 32]).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_redis_store_keeps_the_contract_in_plain_text() {
    let server = RedisServer::start().await;
    let protection = Protection::plain_text;
    hold(Redis { server, protection }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_redis_store_keeps_the_contract_encrypted() {
    // F8
    let server = RedisServer::start().await;
    let protection = || Protection::encrypted(keys());
    hold(Redis { server, protection }).await;
}
