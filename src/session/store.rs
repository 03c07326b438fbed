//! The store as a token source uses it: every call bounded, every record understood or reported.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::session::looks::Looks;
use crate::session::record::Record;
use crate::session::silence::Silence;
use crate::session::wire;
use crate::store::{Lease, SharedStore, StoreKey, StoredRecord, Version};
use crate::telemetry::{StoreCall, Telemetry};

/// A store that does not answer within this time has failed (F11).
const TIMEOUT: Duration = Duration::from_secs(2);
/// An error that comes no sooner is that of a store, or of its connection, which waited for an answer itself.
const LATE: Duration = Duration::from_secs(1);
/// A record that is not written that long is written anew, so that a session in use stays.
const TOUCH_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Where the records of one source outlive the process.
pub(crate) struct RecordStore {
    store: SharedStore,
    looks: Looks,
    silence: Mutex<Silence>,
    clock: Clock,
    telemetry: Telemetry,
    /// A session that is not used that long leaves (F9).
    session_timeout: Duration,
    /// Within this time a process notices what others did to a session in use; `None` where there are no
    /// others, since the store is this source's alone.
    notice_within: Option<Duration>,
}

/// What is stored under a key. Whatever cannot be read counts as absent (F7), but its version is
/// what replaces it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) record: Option<Record>,
    pub(crate) version: Option<Version>,
}

/// What became of a save.
#[derive(Debug)]
pub(crate) enum Saved {
    /// It is written. Also if the store says that it was not, and has it: some repeat a command
    /// whose answer did not come.
    Yes,
    /// Another version was there, or none.
    Conflict(Box<Found>),
}

impl Found {
    /// Whether the session of `record` has ended: the record is gone, or goes back to another sign-in.
    /// One that cannot be read says neither.
    pub(crate) fn is_another_session_than(&self, record: &Record) -> bool {
        match &self.record {
            Some(found) => found.origin != record.origin,
            None => self.version.is_none(),
        }
    }
}

impl RecordStore {
    pub(crate) fn new(
        store: SharedStore,
        clock: Clock,
        telemetry: Telemetry,
        session_timeout: Duration,
        notice_within: Option<Duration>,
    ) -> Self {
        Self {
            store,
            looks: Looks::new(TIMEOUT),
            silence: Mutex::default(),
            clock,
            telemetry,
            session_timeout,
            notice_within,
        }
    }

    /// Whether other processes may change the sessions.
    pub(crate) fn is_shared(&self) -> bool {
        self.notice_within.is_some()
    }

    /// How long a session in use goes without a look at its record: as long as what others did to it may
    /// stay unnoticed; where there are no others, until the record has to be written anew.
    pub(crate) fn look_within(&self) -> Duration {
        self.notice_within.unwrap_or_else(|| self.touch_after())
    }

    /// The clock that its time-outs run by.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(crate) async fn load(&self, key: &StoreKey) -> Result<Found, Error> {
        self.may_ask()?;
        let entered = self.looks.enter(&self.clock).await;
        let _look = entered.inspect_err(|error| self.telemetry.store_failed(error))?;
        let record = self.bounded(StoreCall::Load, self.store.load(key)).await?;
        self.looks.answered(self.clock.now());
        Ok(self.understood(record))
    }

    /// Takes the lease, and reads the record under it; `None` if another owner has the lease.
    pub(crate) async fn lease_and_load(
        &self,
        key: &StoreKey,
        lease: &Lease,
    ) -> Result<Option<Found>, Error> {
        self.may_ask()?;
        let leased = self
            .bounded(
                StoreCall::LeaseAndLoad,
                self.store.lease_and_load(key, lease),
            )
            .await?;
        Ok(leased.map(|record| self.understood(record)))
    }

    /// Takes the lease, or renews it; `false` if another owner has it.
    pub(crate) async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        self.bounded(StoreCall::Lease, self.store.lease(key, lease))
            .await
    }

    /// Gives the lease back. If the store does not hear of it, it ends by itself.
    pub(crate) async fn release(&self, key: &StoreKey, lease: &Lease) {
        let _ = self
            .bounded(StoreCall::Release, self.store.release(key, lease))
            .await;
    }

    /// Writes `record` in place of the version that is `expected`.
    pub(crate) async fn save(
        &self,
        key: &StoreKey,
        record: &mut Record,
        expected: Option<Version>,
        version: Version,
    ) -> Result<Saved, Error> {
        let (stored, keep_for) = self.stored(record, version);
        let save = self.store.save(key, stored, expected, keep_for);
        let saved = self.bounded(StoreCall::Save, save).await?;
        self.saved(key, version, saved).await
    }

    /// The same, and gives the lease back if the record is written.
    pub(crate) async fn save_and_release(
        &self,
        key: &StoreKey,
        record: &mut Record,
        expected: Option<Version>,
        version: Version,
        lease: &Lease,
    ) -> Result<Saved, Error> {
        let (stored, keep_for) = self.stored(record, version);
        let save = self
            .store
            .save_and_release(key, stored, expected, keep_for, lease);
        let is_told = self.bounded(StoreCall::SaveAndRelease, save).await?;
        let saved = self.saved(key, version, is_told).await?;
        if !is_told && matches!(saved, Saved::Yes) {
            self.release(key, lease).await;
        }
        Ok(saved)
    }

    /// As [`save`](Self::save). If the store gives no answer, another look tells whether it has carried
    /// it out: for a write that the caller does not repeat.
    pub(crate) async fn save_or_look(
        &self,
        key: &StoreKey,
        record: &mut Record,
        expected: Option<Version>,
        version: Version,
    ) -> Result<Saved, Error> {
        let error = match self.save(key, record, expected, version).await {
            Ok(saved) => return Ok(saved),
            Err(error) => error,
        };
        match self.load(key).await {
            Ok(found) if found.version == Some(version) => Ok(Saved::Yes),
            Ok(_) | Err(_) => Err(error),
        }
    }

    /// Takes the record out. Read beforehand: if the store has carried it out and its answer was
    /// lost, this process alone knows which tokens there are to be revoked.
    pub(crate) async fn remove(&self, key: &StoreKey) -> Result<Found, Error> {
        let before = self.load(key).await?;
        let error = match self
            .bounded(StoreCall::Remove, self.store.remove(key))
            .await
        {
            Ok(record) => return Ok(self.understood(record)),
            Err(error) => error,
        };
        match self.bounded(StoreCall::Load, self.store.load(key)).await {
            Ok(None) => Ok(before),
            Ok(Some(_)) | Err(_) => Err(error),
        }
    }

    /// Moves `record` to another key, where none is, in place of the version that is `expected` at this
    /// one; `false` if either is not so.
    pub(crate) async fn rename(
        &self,
        from: &StoreKey,
        expected: Version,
        to: &StoreKey,
        record: &mut Record,
        version: Version,
    ) -> Result<bool, Error> {
        let (stored, keep_for) = self.stored(record, version);
        let rename = self.store.rename(from, expected, to, stored, keep_for);
        let renamed = self.bounded(StoreCall::Rename, rename).await;
        if matches!(renamed, Ok(true)) {
            return renamed;
        }
        // It may have been carried out, and the answer be lost; or be that to a second try.
        match self.load(to).await {
            Ok(found) if found.version == Some(version) => Ok(true),
            Ok(_) | Err(_) => renamed,
        }
    }

    /// The bytes of something else than a session, with their version.
    pub(crate) async fn load_bytes(
        &self,
        key: &StoreKey,
    ) -> Result<Option<(Version, Vec<u8>)>, Error> {
        self.may_ask()?;
        let stored = self.bounded(StoreCall::Load, self.store.load(key)).await?;
        Ok(stored.map(|stored| {
            let bytes = stored.data().unwrap_or_default().to_vec();
            (stored.version(), bytes)
        }))
    }

    /// Writes such bytes, for as long as a session that is not used; `false` if another version was there.
    pub(crate) async fn save_bytes(
        &self,
        key: &StoreKey,
        bytes: Vec<u8>,
        expected: Option<Version>,
    ) -> Result<bool, Error> {
        let stored = StoredRecord::new(Version::random()?, bytes);
        let keep_for = self.session_timeout;
        self.bounded(
            StoreCall::Save,
            self.store.save(key, stored, expected, keep_for),
        )
        .await
    }

    /// Whether a session was written so long ago that it would leave although it is used.
    pub(crate) fn is_to_be_touched(&self, record: &Record) -> bool {
        self.now().saturating_sub(record.saved_at) >= self.touch_after()
    }

    fn touch_after(&self) -> Duration {
        TOUCH_AFTER.min(self.session_timeout / 2)
    }

    /// The wall clock's reading, since 1970.
    pub(crate) fn now(&self) -> Duration {
        self.clock.now().wall
    }

    fn stored(&self, record: &mut Record, version: Version) -> (StoredRecord, Duration) {
        let now = self.now();
        record.saved_at = now;
        let stored = StoredRecord::new(version, &**wire::to_bytes(record));
        (stored, self.keep_for(record, now))
    }

    async fn saved(&self, key: &StoreKey, version: Version, saved: bool) -> Result<Saved, Error> {
        if saved {
            return Ok(Saved::Yes);
        }
        let found = self.load(key).await?;
        Ok(if found.version == Some(version) {
            Saved::Yes
        } else {
            Saved::Conflict(Box::new(found))
        })
    }

    /// How long the record is of use (F9): a session as long as its refresh token, where the server
    /// tells, otherwise until nobody has used it for long; without a refresh token as long as its
    /// access tokens.
    fn keep_for(&self, record: &Record, now: Duration) -> Duration {
        let idle = now.saturating_add(self.session_timeout);
        let until = match (&record.refresh_token, record.ends_at) {
            (Some(_), Some(end)) => end.max(record.last_expiry().unwrap_or(end).min(idle)),
            (Some(_), None) => idle,
            (None, _) => record.last_expiry().unwrap_or(idle).min(idle),
        };
        until.saturating_sub(now).max(Duration::from_secs(1))
    }

    fn understood(&self, stored: Option<StoredRecord>) -> Found {
        let Some(stored) = stored else {
            return Found::default();
        };
        let version = stored.version();
        let record = stored
            .data()
            .map_err(ToOwned::to_owned)
            .and_then(|data| wire::from_bytes(data, version).map_err(ToOwned::to_owned));
        if let Err(problem) = &record {
            self.telemetry.record_unreadable(problem);
        }
        Found {
            record: record.ok(),
            version: Some(version),
        }
    }

    /// Whether a look may be taken, or a lease: not while the store is silent (A7).
    fn may_ask(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let asked = self.silence().may_ask(now);
        asked.map_err(|pause| {
            Error::store("the store has not answered three times in a row, and is left alone")
                .with_retry_after(pause)
                .of_token_source(&self.telemetry.source)
        })
    }

    async fn bounded<T>(
        &self,
        call: StoreCall,
        asked: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let began = self.clock.now();
        let outcome = tokio::select! {
            biased;
            outcome = AssertUnwindSafe(asked).catch_unwind() => outcome.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Panicked, "the store panicked"))
            }),
            () = self.clock.sleep(TIMEOUT) => {
                Err(Error::store("the store did not answer within 2 s"))
            }
        };
        let ended = self.clock.now();
        let duration = ended.waited_since(began);
        if outcome.is_err() && duration >= LATE {
            self.silence().unanswered(ended);
        } else {
            self.silence().answered();
        }
        let outcome = outcome.map_err(|error| error.of_token_source(&self.telemetry.source));
        let error = outcome.as_ref().err();
        self.telemetry
            .store_called(call, error.map(Error::kind), duration);
        if let Some(error) = error {
            self.telemetry.store_failed(error);
        }
        outcome
    }

    fn silence(&self) -> MutexGuard<'_, Silence> {
        self.silence.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RecordStore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RecordStore")
            .field("session_timeout", &self.session_timeout)
            .field("notice_within", &self.notice_within)
            .finish_non_exhaustive()
    }
}
