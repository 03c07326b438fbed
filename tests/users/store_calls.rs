//! F3: what one refresh costs the store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest_bearer::{
    Error, Lease, MemoryStore, StoreKey, StoredRecord, TokenStore, UserSessions, Version,
};

use crate::support::store::Call;
use crate::{World, token};

/// A store that leases and loads in one call, and saves and releases in one, as that for Redis does.
#[derive(Clone)]
struct Combining {
    memory: MemoryStore,
    calls: Arc<Mutex<Vec<&'static str>>>,
}

impl Combining {
    fn note(&self, call: &'static str) {
        self.calls.lock().unwrap().push(call);
    }
}

impl TokenStore for Combining {
    async fn load(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        self.note("load");
        self.memory.load(key).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        self.note("save");
        self.memory.save(key, record, expected, keep_for).await
    }

    async fn remove(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        self.note("remove");
        self.memory.remove(key).await
    }

    async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        self.note("lease");
        self.memory.lease(key, lease).await
    }

    async fn release(&self, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
        self.note("release");
        self.memory.release(key, lease).await
    }

    async fn lease_and_load(
        &self,
        key: &StoreKey,
        lease: &Lease,
    ) -> Result<Option<Option<StoredRecord>>, Error> {
        self.note("lease and load");
        self.memory.lease_and_load(key, lease).await
    }

    async fn save_and_release(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
        lease: &Lease,
    ) -> Result<bool, Error> {
        self.note("save and release");
        let memory = &self.memory;
        memory
            .save_and_release(key, record, expected, keep_for, lease)
            .await
    }
}

#[tokio::test]
async fn a_refresh_costs_the_store_four_calls_or_six_where_it_takes_each_for_two() {
    // F3
    let world = World::new().await;
    let store = Combining {
        memory: MemoryStore::with_clock(&world.clock),
        calls: Arc::default(),
    };
    let builder = UserSessions::builder(&world.login.endpoint()).clock(&world.clock);
    let users = builder.store(store.clone()).build().unwrap();
    let alice = world.sign_in(&users, "alice").await;
    world.advance(601);
    store.calls.lock().unwrap().clear();
    token(&users, &alice).await.unwrap();
    crate::until_landed(&users, &alice).await;
    assert_eq!(
        *store.calls.lock().unwrap(),
        ["load", "lease and load", "save", "save and release"]
    );
    let users = world.process();
    let bob = world.sign_in(&users, "bob").await;
    world.advance(601);
    let before = world.store.all_calls().len();
    token(&users, &bob).await.unwrap();
    crate::until_landed(&users, &bob).await;
    assert_eq!(
        world.store.all_calls()[before..],
        [
            Call::Load,
            Call::Lease,
            Call::Load,
            Call::Save,
            Call::Save,
            Call::Release
        ]
    );
}
