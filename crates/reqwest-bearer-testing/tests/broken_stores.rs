//! The contract of stores names the promise that a broken store breaks, and passes a whole one.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest_bearer::{
    Error, Lease, MemoryStore, StoreKey, StoredRecord, TestClock, TokenStore, Version,
};
use reqwest_bearer_testing::StoreContract;

/// What is wrong with a store that is otherwise the one in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    CannotBeAsked,
    /// Says that it has saved in place of another record, and has not.
    DropsUpdates,
    /// Bytes that are no text become another text.
    KeepsTextAlone,
    IgnoresVersions,
    /// Looks, and saves after that: two steps in place of one.
    SavesInTwoSteps,
    RemovesInTwoSteps,
    RemovesWithoutSayingWhat,
    RenamesOverOthers,
    MixesKeys,
    /// A call that is given up keeps the lock of its key.
    StaysLocked,
    ForgetsLifetimes,
    KeepsTheFirstLifetime,
    HasNoLifetimeBelowASecond,
    /// Looks who has the lease, and takes it after that.
    LeasesInTwoSteps,
    LeasesToAll,
    LeasesForEver,
    RenewsNothing,
    ReleasesForAll,
    ReleasesWhatItDidNotSave,
    /// A lease goes with its record.
    RemovesLeases,
}

/// Which promise it breaks, whatever else.
const BROKEN: [(Fault, &str); 20] = [
    (
        Fault::DropsUpdates,
        "what was saved is loaded, and nothing else",
    ),
    (Fault::KeepsTextAlone, "any bytes come back as they were"),
    (
        Fault::IgnoresVersions,
        "a save replaces what it expects and nothing else",
    ),
    (
        Fault::RemovesWithoutSayingWhat,
        "what is removed is returned and gone",
    ),
    (
        Fault::RenamesOverOthers,
        "a rename moves what it expects, and takes no other record's place",
    ),
    (Fault::MixesKeys, "keys never meet"),
    (
        Fault::SavesInTwoSteps,
        "of concurrent saves with one expectation one succeeds",
    ),
    (
        Fault::RemovesInTwoSteps,
        "of concurrent removals one gets the record",
    ),
    (Fault::SavesInTwoSteps, "no update is lost"),
    (
        Fault::LeasesInTwoSteps,
        "of concurrent owners one gets the lease",
    ),
    (
        Fault::StaysLocked,
        "a call that is given up leaves nothing locked",
    ),
    (
        Fault::ForgetsLifetimes,
        "a record leaves when its time is up",
    ),
    (
        Fault::KeepsTheFirstLifetime,
        "the last save decides how long a record stays",
    ),
    (
        Fault::HasNoLifetimeBelowASecond,
        "no lifetime is too short or too long",
    ),
    (Fault::LeasesToAll, "a lease has one owner"),
    (Fault::LeasesForEver, "a lease ends by itself"),
    (
        Fault::RenewsNothing,
        "a renewed lease lasts from its renewal",
    ),
    (Fault::ReleasesForAll, "only the owner releases a lease"),
    (
        Fault::ReleasesWhatItDidNotSave,
        "two steps in one do what the two do",
    ),
    (
        Fault::RemovesLeases,
        "records and leases do not touch each other",
    ),
];

/// The names of the promises that a store with this fault breaks.
async fn broken_by(fault: Fault) -> BTreeSet<&'static str> {
    let clock = TestClock::new();
    let store = Broken {
        fault,
        whole: MemoryStore::with_clock(&clock),
        leases: Arc::default(),
        lifetimes: Arc::default(),
        locked: Arc::default(),
    };
    let broken = StoreContract::of(store).clock(&clock).broken_promises();
    let broken = broken.await;
    broken.iter().map(|promise| promise.sentence()).collect()
}

#[tokio::test]
async fn a_whole_store_breaks_no_promise() {
    // J2
    assert_eq!(broken_by(Fault::None).await, BTreeSet::new());
}

#[tokio::test]
async fn each_promise_is_named_for_a_store_that_breaks_it() {
    // J2: on one thread, so that what happens at once always happens in the same order.
    for (fault, promise) in BROKEN {
        let broken = broken_by(fault).await;
        assert!(broken.contains(promise), "{fault:?} breaks {broken:#?}");
    }
}

#[tokio::test]
async fn no_promise_of_the_contract_is_without_a_store_that_breaks_it() {
    // J2: a check that cannot fail would be found here.
    let all = broken_by(Fault::CannotBeAsked).await;
    assert_eq!(all, BROKEN.iter().map(|(_, promise)| *promise).collect());
}

#[tokio::test]
#[should_panic(expected = "a lease has one owner: assertion failed")]
async fn a_contract_that_is_not_held_fails_the_test_with_the_promise_and_the_check() {
    // J2
    let clock = TestClock::new();
    let store = Broken {
        fault: Fault::LeasesToAll,
        whole: MemoryStore::with_clock(&clock),
        leases: Arc::default(),
        lifetimes: Arc::default(),
        locked: Arc::default(),
    };
    StoreContract::of(store).clock(&clock).hold().await;
}

#[derive(Clone)]
struct Broken {
    fault: Fault,
    whole: MemoryStore,
    /// Who has a lease, as a store that minds no time writes it down.
    leases: Arc<Mutex<HashMap<StoreKey, Lease>>>,
    lifetimes: Arc<Mutex<HashMap<StoreKey, Duration>>>,
    locked: Arc<Mutex<HashMap<StoreKey, bool>>>,
}

impl Broken {
    fn key(&self, key: &StoreKey) -> StoreKey {
        match self.fault {
            // One of four, so that of thirty users some meet.
            Fault::MixesKeys => StoreKey::of([(key.as_bytes()[0] % 4).to_string()]),
            _ => *key,
        }
    }

    fn check(&self) -> Result<(), Error> {
        match self.fault {
            Fault::CannotBeAsked => Err(Error::store("it is down")),
            _ => Ok(()),
        }
    }

    async fn version(&self, key: &StoreKey) -> Result<Option<Version>, Error> {
        let found = self.whole.load(key).await?;
        Ok(found.map(|found| found.version()))
    }

    /// Whether somebody has the lease.
    async fn is_leased(&self, key: &StoreKey) -> Result<bool, Error> {
        let stranger = Lease::new(Duration::from_secs(1))?;
        let is_free = self.whole.lease(key, &stranger).await?;
        self.whole.release(key, &stranger).await?;
        Ok(!is_free)
    }

    fn lease_of(&self, key: &StoreKey) -> Option<Lease> {
        self.leases.lock().unwrap().get(key).cloned()
    }

    async fn lock(&self, key: &StoreKey) {
        while std::mem::replace(self.locked.lock().unwrap().entry(*key).or_default(), true) {
            tokio::task::yield_now().await;
        }
    }
}

impl TokenStore for Broken {
    async fn load(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        self.check()?;
        self.whole.load(&self.key(key)).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        self.check()?;
        let key = &self.key(key);
        let keep_for = match self.fault {
            Fault::ForgetsLifetimes => Duration::MAX,
            Fault::HasNoLifetimeBelowASecond => keep_for.max(Duration::from_secs(1)),
            Fault::KeepsTheFirstLifetime => {
                let mut lifetimes = self.lifetimes.lock().unwrap();
                *lifetimes.entry(*key).or_insert(keep_for)
            }
            _ => keep_for,
        };
        match self.fault {
            Fault::DropsUpdates if expected.is_some() => Ok(self.version(key).await? == expected),
            Fault::IgnoresVersions => {
                let found = self.version(key).await?;
                self.whole.save(key, record, found, keep_for).await
            }
            Fault::SavesInTwoSteps => {
                if self.version(key).await? != expected {
                    return Ok(false);
                }
                // Another call may look meanwhile.
                tokio::task::yield_now().await;
                let found = self.version(key).await?;
                self.whole.save(key, record, found, keep_for).await
            }
            Fault::KeepsTextAlone => {
                let text = String::from_utf8_lossy(record.data().unwrap_or_default()).into_owned();
                let record = StoredRecord::new(record.version(), text);
                self.whole.save(key, record, expected, keep_for).await
            }
            Fault::StaysLocked => {
                self.lock(key).await;
                // Where a call may be given up.
                tokio::task::yield_now().await;
                let saved = self.whole.save(key, record, expected, keep_for).await;
                self.locked.lock().unwrap().remove(key);
                saved
            }
            _ => self.whole.save(key, record, expected, keep_for).await,
        }
    }

    async fn remove(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        self.check()?;
        let key = &self.key(key);
        match self.fault {
            Fault::RemovesInTwoSteps => {
                let found = self.whole.load(key).await?;
                tokio::task::yield_now().await;
                self.whole.remove(key).await?;
                Ok(found)
            }
            Fault::RemovesWithoutSayingWhat => {
                self.whole.remove(key).await?;
                Ok(None)
            }
            Fault::RemovesLeases => {
                if let Some(lease) = self.lease_of(key) {
                    self.whole.release(key, &lease).await?;
                }
                self.whole.remove(key).await
            }
            _ => self.whole.remove(key).await,
        }
    }

    async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        self.check()?;
        let key = &self.key(key);
        let before = self.lease_of(key);
        let is_theirs = before.as_ref().map(Lease::owner) == Some(lease.owner());
        let leased = match self.fault {
            Fault::LeasesToAll => true,
            Fault::LeasesForEver => before.is_none() || is_theirs,
            Fault::RenewsNothing if is_theirs && self.is_leased(key).await? => true,
            Fault::LeasesInTwoSteps => {
                let is_free = !self.is_leased(key).await? || is_theirs;
                tokio::task::yield_now().await;
                if is_free && let Some(before) = before {
                    self.whole.release(key, &before).await?;
                }
                is_free && {
                    self.whole.lease(key, lease).await?;
                    true
                }
            }
            _ => self.whole.lease(key, lease).await?,
        };
        if leased {
            self.leases.lock().unwrap().insert(*key, lease.clone());
        }
        Ok(leased)
    }

    async fn release(&self, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
        self.check()?;
        let key = &self.key(key);
        let before = self.lease_of(key);
        let is_theirs = before.as_ref().map(Lease::owner) == Some(lease.owner());
        if is_theirs || self.fault == Fault::ReleasesForAll {
            self.leases.lock().unwrap().remove(key);
        }
        match (self.fault, before) {
            (Fault::ReleasesForAll, Some(before)) => self.whole.release(key, &before).await,
            _ => self.whole.release(key, lease).await,
        }
    }

    async fn save_and_release(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
        lease: &Lease,
    ) -> Result<bool, Error> {
        let saved = self.save(key, record, expected, keep_for).await?;
        if saved || self.fault == Fault::ReleasesWhatItDidNotSave {
            self.release(key, lease).await?;
        }
        Ok(saved)
    }

    async fn rename(
        &self,
        from: &StoreKey,
        expected: Version,
        to: &StoreKey,
        record: StoredRecord,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        self.check()?;
        let (from, to) = (&self.key(from), &self.key(to));
        if self.fault == Fault::RenamesOverOthers {
            self.whole.remove(to).await?;
        }
        self.whole
            .rename(from, expected, to, record, keep_for)
            .await
    }
}
