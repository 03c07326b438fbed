//! The store in memory on the bench, with a clock that is set.

use std::time::Duration;

use reqwest_bearer::{MemoryStore, TestClock};

use crate::contract::Bench;

pub(crate) struct Memory {
    clock: TestClock,
    store: MemoryStore,
}

impl Default for Memory {
    fn default() -> Self {
        let clock = TestClock::new();
        let store = MemoryStore::with_clock(&clock);
        Self { clock, store }
    }
}

impl Bench for Memory {
    type Store = MemoryStore;

    async fn handle(&self) -> MemoryStore {
        self.store.clone()
    }

    fn span(&self) -> Duration {
        Duration::from_secs(3600)
    }

    async fn pass(&self, by: Duration) {
        self.clock.advance(by);
    }
}
