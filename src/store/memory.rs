//! Records in the memory of this process: the default.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::Clock;
#[cfg(any(test, feature = "test-util"))]
use crate::clock::TestClock;
use crate::error::Error;
use crate::store::{Lease, StoreKey, StoredRecord, TokenStore, Version};

/// Fewer entries than this are not worth a walk through all of them.
const SMALL: usize = 1024;

/// Keeps records in the memory of this process, as long as it lives. Nothing to install.
///
/// Clones share everything, so two token sources with clones of one store share their users.
#[derive(Clone)]
pub struct MemoryStore(Arc<Shelves>);

struct Shelves {
    clock: Clock,
    entries: Mutex<Entries>,
}

#[derive(Default)]
struct Entries {
    records: HashMap<StoreKey, Timed<StoredRecord>>,
    leases: HashMap<StoreKey, Timed<Lease>>,
    /// With how many entries those whose time is up are swept out next.
    sweep_at: usize,
}

/// Something that leaves at a moment of the monotonic clock.
struct Timed<T> {
    value: T,
    until: Duration,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Clock::system())
    }

    /// An empty store whose records leave by a clock that a test sets.
    #[cfg(any(test, feature = "test-util"))]
    #[must_use]
    pub fn with_clock(clock: &TestClock) -> Self {
        Self::with(Clock::Test(clock.clone()))
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> usize {
        let now = self.now();
        let entries = self.entries();
        let alive = |record: &&Timed<StoredRecord>| now < record.until;
        entries.records.values().filter(alive).count()
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn with(clock: Clock) -> Self {
        Self(Arc::new(Shelves {
            clock,
            entries: Mutex::default(),
        }))
    }

    fn now(&self) -> Duration {
        self.0.clock.now().monotonic
    }

    /// Nothing in there panics while it is locked, so a poisoned lock holds no half-done change.
    fn entries(&self) -> MutexGuard<'_, Entries> {
        let entries = self.0.entries.lock();
        entries.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("MemoryStore");
        // Without waiting, and without a look at each record: a log line must not hold up the calls.
        match self.0.entries.try_lock() {
            Ok(entries) => shown.field("records", &entries.records.len()).finish(),
            Err(_) => shown.finish_non_exhaustive(),
        }
    }
}

impl Entries {
    /// Throws out what has had its time, whenever the number of entries has doubled since: each
    /// entry pays for a constant number of looks.
    fn sweep(&mut self, now: Duration) {
        if self.records.len() + self.leases.len() < self.sweep_at.max(SMALL) {
            return;
        }
        self.records.retain(|_, record| now < record.until);
        self.leases.retain(|_, lease| now < lease.until);
        self.sweep_at = 2 * (self.records.len() + self.leases.len());
    }

    fn record(&self, key: &StoreKey, now: Duration) -> Option<&StoredRecord> {
        let record = self.records.get(key)?;
        (now < record.until).then_some(&record.value)
    }
}

impl TokenStore for MemoryStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        let now = self.now();
        Ok(self.entries().record(key, now).cloned())
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        let now = self.now();
        let mut entries = self.entries();
        let found = entries.record(key, now).map(StoredRecord::version);
        if found != expected {
            return Ok(false);
        }
        entries.sweep(now);
        let until = now.saturating_add(keep_for);
        let timed = Timed {
            value: record,
            until,
        };
        entries.records.insert(*key, timed);
        Ok(true)
    }

    async fn remove(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        let now = self.now();
        let removed = self.entries().records.remove(key);
        Ok(removed
            .filter(|record| now < record.until)
            .map(|record| record.value))
    }

    async fn rename(
        &self,
        from: &StoreKey,
        expected: Version,
        to: &StoreKey,
        record: StoredRecord,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        let now = self.now();
        let mut entries = self.entries();
        let found = entries.record(from, now).map(StoredRecord::version);
        if found != Some(expected) || entries.record(to, now).is_some() {
            return Ok(false);
        }
        entries.records.remove(from);
        let timed = Timed {
            value: record,
            until: now.saturating_add(keep_for),
        };
        entries.records.insert(*to, timed);
        Ok(true)
    }

    async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        let now = self.now();
        let mut entries = self.entries();
        let held = entries.leases.get(key).filter(|held| now < held.until);
        if held.is_some_and(|held| !held.value.has_owner_of(lease)) {
            return Ok(false);
        }
        entries.sweep(now);
        let until = now.saturating_add(lease.duration());
        let timed = Timed {
            value: lease.clone(),
            until,
        };
        entries.leases.insert(*key, timed);
        Ok(true)
    }

    async fn release(&self, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
        let mut entries = self.entries();
        let held = entries.leases.get(key);
        if held.is_some_and(|held| held.value.has_owner_of(lease)) {
            entries.leases.remove(key);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{MemoryStore, SMALL};
    use crate::clock::TestClock;
    use crate::store::{Lease, StoreKey, StoredRecord, TokenStore as _, Version};
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_store_is_printed_without_waiting_for_those_who_use_it() {
        // F11: a log line must not hold up the calls of all users, nor wait for them.
        let store = MemoryStore::new();
        assert_eq!(format!("{store:?}"), "MemoryStore { records: 0 }");
        let _in_use = store.entries();
        let (sender, shown) = std::sync::mpsc::channel();
        let printed = store.clone();
        std::thread::spawn(move || sender.send(format!("{printed:?}")));
        let shown = shown.recv_timeout(Duration::from_secs(20));
        assert_eq!(shown.as_deref(), Ok("MemoryStore { .. }"));
    }

    #[tokio::test]
    async fn what_has_had_its_time_does_not_pile_up() {
        // F9
        let clock = TestClock::new();
        let store = MemoryStore::with_clock(&clock);
        let lease = Lease::new(MINUTE).unwrap();
        let record = StoredRecord::new(Version::random().unwrap(), "of a short session");
        for user in 0..20 * SMALL {
            let key = StoreKey::of([user.to_string().as_str()]);
            assert!(store.lease(&key, &lease).await.unwrap());
            let saved = store.save(&key, record.clone(), None, MINUTE);
            assert!(saved.await.unwrap());
            // Ten users at a time.
            clock.advance(MINUTE / 10);
            assert!(store.len() <= 10);
            let entries = store.entries();
            assert!(entries.records.len() + entries.leases.len() <= SMALL);
        }
    }
}
