//! The store as a token source uses it: every call bounded, every record understood or reported.

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::keeper::looks::Looks;
use crate::kept::Kept;
use crate::store::{Lease, SharedStore, StoreKey, StoredRecord, Version};
use crate::telemetry::Telemetry;

/// A store that does not answer within this time has failed (F11).
pub(crate) const STORE_TIMEOUT: Duration = Duration::from_secs(2);
/// A record that is not written that long is written anew, so that a session in use stays.
const TOUCH_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// Where the tokens of one source outlive the process.
pub(crate) struct Vault {
    pub(crate) store: SharedStore,
    pub(crate) looks: Looks,
    pub(crate) clock: Clock,
    pub(crate) telemetry: Telemetry,
    /// A session that is not used that long leaves (F9).
    pub(crate) session_timeout: Duration,
    /// Within this time a process notices what others did to a session in use; `None` where there are no
    /// others, since the store is this source's alone.
    pub(crate) notice_within: Option<Duration>,
}

/// What is stored under a key. Whatever cannot be read counts as absent (F7), but its version is
/// what replaces it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) kept: Option<Kept>,
    pub(crate) version: Option<Version>,
    /// Which look of the account it was; see [`Account::look`](crate::keeper::account::Account::look).
    pub(crate) look: u32,
}

impl Found {
    /// Whether the session of `kept` has ended: the record is gone, or goes back to another sign-in.
    /// One that cannot be read says neither.
    pub(crate) fn is_another_session_than(&self, kept: &Kept) -> bool {
        match &self.kept {
            Some(found) => found.origin != kept.origin,
            None => self.version.is_none(),
        }
    }
}

/// What became of a save.
#[derive(Debug)]
pub(crate) enum Saved {
    /// It is written. Also if the store says that it was not, and has it: some repeat a command
    /// whose answer did not come.
    Yes,
    /// Another version was there, or none.
    Conflict(Found),
}

impl Vault {
    pub(crate) async fn load(&self, key: &StoreKey) -> Result<Found, Error> {
        let entered = self.looks.enter(&self.clock).await;
        let _look = entered.inspect_err(|error| self.telemetry.store_failed(error))?;
        let record = self.bounded(self.store.load(key)).await?;
        self.looks.answered(self.clock.now());
        Ok(self.understood(record))
    }

    /// Writes `kept` in place of the version that is `expected`.
    pub(crate) async fn save(
        &self,
        key: &StoreKey,
        kept: &mut Kept,
        expected: Option<Version>,
        version: Version,
    ) -> Result<Saved, Error> {
        let (record, keep_for) = self.record(kept, version);
        let save = self.store.save(key, record, expected, keep_for);
        let saved = self.bounded(save).await?;
        self.saved(key, version, saved).await
    }

    /// The same, and gives the lease back if the record is written.
    pub(crate) async fn save_and_release(
        &self,
        key: &StoreKey,
        kept: &mut Kept,
        expected: Option<Version>,
        version: Version,
        lease: &Lease,
    ) -> Result<Saved, Error> {
        let (record, keep_for) = self.record(kept, version);
        let save = self
            .store
            .save_and_release(key, record, expected, keep_for, lease);
        let is_told = self.bounded(save).await?;
        let saved = self.saved(key, version, is_told).await?;
        if !is_told && matches!(saved, Saved::Yes) {
            self.release(key, lease).await;
        }
        Ok(saved)
    }

    fn record(&self, kept: &mut Kept, version: Version) -> (StoredRecord, Duration) {
        let now = self.now();
        kept.saved_at = now;
        let record = StoredRecord::new(version, &**kept.to_bytes());
        (record, self.keep_for(kept, now))
    }

    async fn saved(&self, key: &StoreKey, version: Version, saved: bool) -> Result<Saved, Error> {
        if saved {
            return Ok(Saved::Yes);
        }
        let found = self.load(key).await?;
        Ok(if found.version == Some(version) {
            Saved::Yes
        } else {
            Saved::Conflict(found)
        })
    }

    /// The same. If the store gives no answer, another look tells whether it has carried it out: for
    /// a write that the caller does not repeat.
    pub(crate) async fn save_or_look(
        &self,
        key: &StoreKey,
        kept: &mut Kept,
        expected: Option<Version>,
        version: Version,
    ) -> Result<Saved, Error> {
        let error = match self.save(key, kept, expected, version).await {
            Ok(saved) => return Ok(saved),
            Err(error) => error,
        };
        match self.load(key).await {
            Ok(found) if found.version == Some(version) => Ok(Saved::Yes),
            Ok(_) | Err(_) => Err(error),
        }
    }

    /// Takes the record out. Read beforehand: if the store has carried it out and its answer was
    /// lost, nobody else knows any more which tokens there are to be revoked.
    pub(crate) async fn remove(&self, key: &StoreKey) -> Result<Found, Error> {
        let before = self.load(key).await?;
        let error = match self.bounded(self.store.remove(key)).await {
            Ok(record) => return Ok(self.understood(record)),
            Err(error) => error,
        };
        match self.bounded(self.store.load(key)).await {
            Ok(None) => Ok(before),
            Ok(Some(_)) | Err(_) => Err(error),
        }
    }

    pub(crate) async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        self.bounded(self.store.lease(key, lease)).await
    }

    /// Takes the lease, and reads the record under it; `None` if another owner has the lease.
    pub(crate) async fn lease_and_load(
        &self,
        key: &StoreKey,
        lease: &Lease,
    ) -> Result<Option<Found>, Error> {
        let leased = self.bounded(self.store.lease_and_load(key, lease)).await?;
        Ok(leased.map(|record| self.understood(record)))
    }

    /// Gives the lease back. If the store does not hear of it, it ends by itself.
    pub(crate) async fn release(&self, key: &StoreKey, lease: &Lease) {
        let _ = self.bounded(self.store.release(key, lease)).await;
    }

    /// Whether a session was written so long ago that it would leave although it is used.
    pub(crate) fn is_to_be_touched(&self, kept: &Kept) -> bool {
        let after = TOUCH_AFTER.min(self.session_timeout / 2);
        self.now().saturating_sub(kept.saved_at) >= after
    }

    /// The wall clock's reading, since 1970.
    pub(crate) fn now(&self) -> Duration {
        self.clock.now().wall
    }

    /// How long the record is of use (F9): a session as long as its refresh token, where the server
    /// tells, otherwise until nobody has used it for long; without a refresh token as long as its
    /// access tokens.
    fn keep_for(&self, kept: &Kept, now: Duration) -> Duration {
        let idle = now.saturating_add(self.session_timeout);
        let until = match (&kept.refresh_token, kept.ends_at) {
            (Some(_), Some(end)) => end.max(kept.last_expiry().unwrap_or(end).min(idle)),
            (Some(_), None) => idle,
            (None, _) => kept.last_expiry().unwrap_or(idle).min(idle),
        };
        until.saturating_sub(now).max(Duration::from_secs(1))
    }

    fn understood(&self, record: Option<StoredRecord>) -> Found {
        let Some(record) = record else {
            return Found::default();
        };
        let kept = record
            .data()
            .map_err(ToOwned::to_owned)
            .and_then(|data| Kept::from_bytes(data).map_err(ToOwned::to_owned));
        if let Err(problem) = &kept {
            self.telemetry.record_unreadable(problem);
        }
        Found {
            kept: kept.ok(),
            version: Some(record.version()),
            look: 0,
        }
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        let outcome = tokio::select! {
            biased;
            outcome = AssertUnwindSafe(call).catch_unwind() => outcome.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Panicked, "the store panicked"))
            }),
            () = self.clock.sleep(STORE_TIMEOUT) => {
                Err(Error::store("the store did not answer within 2 s"))
            }
        };
        let outcome = outcome.map_err(|error| error.of_token_source(&self.telemetry.source));
        if let Err(error) = &outcome {
            self.telemetry.store_failed(error);
        }
        outcome
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Vault")
            .field("session_timeout", &self.session_timeout)
            .field("notice_within", &self.notice_within)
            .finish_non_exhaustive()
    }
}
