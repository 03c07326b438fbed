//! A store that fails, hangs, panics and counts on demand, before one in memory.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest_bearer::{
    Error, Lease, MemoryStore, StoreKey, StoredRecord, TestClock, TokenStore, Version,
};
use tokio::sync::{Semaphore, watch};

use super::soon;

/// Clones share everything, as processes share a store.
#[derive(Clone)]
pub(crate) struct FragileStore(Arc<State>);

struct State {
    memory: MemoryStore,
    mode: Mutex<Mode>,
    calls: Mutex<Vec<(Call, StoreKey)>>,
    counted: watch::Sender<usize>,
    doors: Mutex<Option<(Call, Arc<Semaphore>)>>,
    held: watch::Sender<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Load,
    Save,
    Remove,
    Lease,
    Release,
}

/// What becomes of the calls that `Mode::of` names; all others go to the memory.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mode {
    Well,
    /// All calls fail.
    Down,
    /// Calls of this kind fail.
    Failing(Call),
    /// Records are saved, and the calls fail all the same.
    SavingSilently,
    /// Records are removed, and the calls fail all the same.
    RemovingSilently,
    /// All calls hang.
    Hanging,
    /// Calls of this kind hang.
    HangingAt(Call),
    /// Calls of this kind panic.
    Panicking(Call),
    /// Saves are made twice, since the answer to the first one did not come: the second one finds
    /// the first.
    Stuttering,
}

impl FragileStore {
    pub(crate) fn new(clock: &TestClock) -> Self {
        Self::before(MemoryStore::with_clock(clock))
    }

    /// Another way to the same records, with troubles of its own.
    pub(crate) fn another_way(&self) -> Self {
        Self::before(self.0.memory.clone())
    }

    fn before(memory: MemoryStore) -> Self {
        Self(Arc::new(State {
            memory,
            mode: Mutex::new(Mode::Well),
            calls: Mutex::default(),
            counted: watch::Sender::new(0),
            doors: Mutex::default(),
            held: watch::Sender::new(0),
        }))
    }

    pub(crate) fn be(&self, mode: Mode) {
        *self.0.mode.lock().unwrap() = mode;
    }

    pub(crate) fn memory(&self) -> &MemoryStore {
        &self.0.memory
    }

    pub(crate) fn calls(&self, of: Call) -> usize {
        let calls = self.0.calls.lock().unwrap();
        calls.iter().filter(|(call, _)| *call == of).count()
    }

    /// All calls so far, in order.
    pub(crate) fn all_calls(&self) -> Vec<Call> {
        let calls = self.0.calls.lock().unwrap();
        calls.iter().map(|(call, _)| *call).collect()
    }

    /// The key of the last call.
    pub(crate) fn last_key(&self) -> StoreKey {
        self.0.calls.lock().unwrap().last().unwrap().1
    }

    /// Returns when so many calls of this kind have come.
    pub(crate) async fn until_calls(&self, of: Call, count: usize) {
        let mut counted = self.0.counted.subscribe();
        soon(counted.wait_for(|_| self.calls(of) >= count))
            .await
            .unwrap();
    }

    /// Calls of this kind wait at the door from now on.
    pub(crate) fn hold(&self, call: Call) {
        *self.0.doors.lock().unwrap() = Some((call, Arc::new(Semaphore::new(0))));
    }

    pub(crate) fn release(&self) {
        let doors = self.0.doors.lock().unwrap().take();
        doors.unwrap().1.add_permits(10_000);
    }

    /// Lets those who wait go on, and holds the next ones.
    pub(crate) fn release_and_hold(&self, call: Call) {
        let next = Some((call, Arc::new(Semaphore::new(0))));
        let doors = std::mem::replace(&mut *self.0.doors.lock().unwrap(), next);
        doors.unwrap().1.add_permits(10_000);
    }

    pub(crate) async fn until_held(&self, count: usize) {
        let mut held = self.0.held.subscribe();
        soon(held.wait_for(|now| *now >= count)).await.unwrap();
    }

    /// The record of this key, as it is.
    pub(crate) async fn record(&self, key: &StoreKey) -> Option<StoredRecord> {
        self.0.memory.load(key).await.unwrap()
    }

    /// Puts other bytes in place of the record.
    pub(crate) async fn overwrite(&self, key: &StoreKey, data: &[u8]) {
        let found = self.record(key).await.map(|record| record.version());
        let record = StoredRecord::new(Version::random().unwrap(), data);
        let hour = Duration::from_secs(3600);
        assert!(self.0.memory.save(key, record, found, hour).await.unwrap());
    }

    async fn pass(&self, call: Call, key: &StoreKey) -> Result<(), Error> {
        self.0.calls.lock().unwrap().push((call, *key));
        self.0.counted.send_modify(|count| *count += 1);
        let door = self.0.doors.lock().unwrap().clone();
        if let Some((held, doors)) = door
            && held == call
        {
            self.0.held.send_modify(|held| *held += 1);
            doors.acquire().await.unwrap().forget();
            self.0.held.send_modify(|held| *held -= 1);
        }
        let mode = *self.0.mode.lock().unwrap();
        match mode {
            Mode::Down => Err(Error::store("the store is down, on purpose")),
            Mode::Failing(failing) if failing == call => {
                Err(Error::store("this call fails, on purpose"))
            }
            Mode::Hanging => pending().await,
            Mode::HangingAt(hanging) if hanging == call => pending().await,
            Mode::Panicking(panicking) if panicking == call => panic!("on purpose"),
            _ => Ok(()),
        }
    }
}

impl TokenStore for FragileStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        self.pass(Call::Load, key).await?;
        self.0.memory.load(key).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        self.pass(Call::Save, key).await?;
        let mode = *self.0.mode.lock().unwrap();
        if matches!(mode, Mode::Stuttering) {
            let first = self.0.memory.save(key, record.clone(), expected, keep_for);
            first.await?;
        }
        let saved = self.0.memory.save(key, record, expected, keep_for).await;
        match mode {
            Mode::SavingSilently => Err(Error::store("no answer comes, on purpose")),
            _ => saved,
        }
    }

    async fn remove(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        self.pass(Call::Remove, key).await?;
        let mode = *self.0.mode.lock().unwrap();
        let removed = self.0.memory.remove(key).await;
        match mode {
            Mode::RemovingSilently => Err(Error::store("no answer comes, on purpose")),
            _ => removed,
        }
    }

    async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        self.pass(Call::Lease, key).await?;
        self.0.memory.lease(key, lease).await
    }

    async fn release(&self, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
        self.pass(Call::Release, key).await?;
        self.0.memory.release(key, lease).await
    }
}
