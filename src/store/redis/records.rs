//! Records and leases as keys of Redis, in the bytes that were given.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use redis::Cmd;

use crate::error::Error;
use crate::store::redis::connection::{Answer, Connection};
use crate::store::redis::scripts;
use crate::store::{Lease, StoreKey, StoredRecord, TokenStore, Version, rename_in_steps};

/// A hundred years. Redis adds the time to live to its clock and refuses what overflows.
const LONGEST: u128 = 100 * 365 * 24 * 60 * 60 * 1_000;

/// How long the mark of a removal stays: longer than anything is repeated.
const MARK: Duration = Duration::from_secs(3);

/// The store below its encryption. Clones share the connection.
#[derive(Clone, Debug)]
pub(super) struct Records {
    connection: Arc<Connection>,
    prefix: Arc<str>,
}

impl Records {
    pub(super) fn new(connection: Connection, prefix: Arc<str>) -> Self {
        Self {
            connection: Arc::new(connection),
            prefix,
        }
    }

    /// The braces put the keys of one record into one slot of a cluster.
    fn key(&self, key: &StoreKey, kind: &str) -> String {
        format!("{}{{{key}}}:{kind}", self.prefix)
    }

    fn on_record(&self, script: &str, key: &StoreKey) -> Cmd {
        eval(script, &[self.key(key, "record")])
    }

    fn on_lease(&self, script: &str, key: &StoreKey) -> Cmd {
        eval(script, &[self.key(key, "lease")])
    }

    fn loading(&self, key: &StoreKey) -> Cmd {
        self.on_record(scripts::LOAD, key)
    }

    fn leasing(&self, key: &StoreKey, lease: &Lease) -> Cmd {
        Self::owned(self.on_lease(scripts::LEASE, key), lease)
    }

    fn releasing(&self, key: &StoreKey, lease: &Lease) -> Cmd {
        let mut command = self.on_lease(scripts::RELEASE, key);
        command.arg(lease.owner());
        command
    }

    /// What the taking of a lease gives to its script.
    fn owned(mut command: Cmd, lease: &Lease) -> Cmd {
        command
            .arg(lease.owner())
            .arg(milliseconds(lease.duration()));
        command
    }

    /// What a save gives to its script.
    fn saving(
        mut command: Cmd,
        record: &StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<Cmd, Error> {
        let data = record.data().map_err(|_| {
            Error::store("a record that could not be read was to be saved as it is")
        })?;
        let expected = expected.map(|version| version.to_string());
        command
            .arg(expected.unwrap_or_default())
            .arg(record.version().to_string())
            .arg(data)
            .arg(milliseconds(keep_for));
        Ok(command)
    }
}

impl TokenStore for Records {
    async fn load(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        let answer = self.connection.ask(self.loading(key)).await?;
        record(answer.value)
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        let command = self.on_record(scripts::SAVE, key);
        let command = Self::saving(command, &record, expected, keep_for)?;
        saved(&self.connection.ask(command).await?)
    }

    async fn remove(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        let mut command = self.on_record(scripts::REMOVE, key);
        command
            .arg(Version::random()?.to_string())
            .arg(milliseconds(MARK));
        let answer = self.connection.ask(command).await?;
        record(answer.value)
    }

    async fn rename(
        &self,
        from: &StoreKey,
        expected: Version,
        to: &StoreKey,
        record: StoredRecord,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        let keys = [self.key(from, "record"), self.key(to, "record")];
        let command = eval(scripts::RENAME, &keys);
        let command = Self::saving(command, &record, Some(expected), keep_for)?;
        if let Some(answer) = self.connection.ask_unless_cross_slot(command).await? {
            return saved(&answer);
        }
        // Two nodes of a cluster take no step together. A task of its own: the caller may give up, and in the
        // middle that would be the end of the session.
        let (records, from, to) = (self.clone(), *from, *to);
        let steps = tokio::spawn(async move {
            rename_in_steps(&records, &from, expected, &to, record, keep_for).await
        });
        let renamed = steps.await;
        renamed
            .map_err(|_| Error::store("the move of a record in Redis was not carried through"))?
    }

    async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        let answer: Answer<bool> = self.connection.ask(self.leasing(key, lease)).await?;
        Ok(answer.value)
    }

    async fn release(&self, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
        let _: Answer<i64> = self.connection.ask(self.releasing(key, lease)).await?;
        Ok(())
    }

    async fn lease_and_load(
        &self,
        key: &StoreKey,
        lease: &Lease,
    ) -> Result<Option<Option<StoredRecord>>, Error> {
        if self.connection.wants_one_key() {
            let mut limit = pin!(self.connection.limit());
            let leasing = self.leasing(key, lease);
            let leased: Answer<bool> = self.connection.ask_within(leasing, limit.as_mut()).await?;
            if !leased.value {
                return Ok(None);
            }
            let found = self.connection.ask_within(self.loading(key), limit).await?;
            return record(found.value).map(Some);
        }
        let keys = [self.key(key, "lease"), self.key(key, "record")];
        let command = Self::owned(eval(scripts::LEASE_AND_LOAD, &keys), lease);
        let answer: Answer<Option<Vec<Vec<u8>>>> = self.connection.ask(command).await?;
        let Some(mut leased) = answer.value else {
            return Ok(None);
        };
        let found = leased.split_off(1.min(leased.len()));
        record((!found.is_empty()).then_some(found)).map(Some)
    }

    async fn save_and_release(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
        lease: &Lease,
    ) -> Result<bool, Error> {
        if self.connection.wants_one_key() {
            let mut limit = pin!(self.connection.limit());
            let command = self.on_record(scripts::SAVE, key);
            let command = Self::saving(command, &record, expected, keep_for)?;
            let answer = self.connection.ask_within(command, limit.as_mut()).await?;
            let is_saved = saved(&answer)?;
            if is_saved {
                let command = self.releasing(key, lease);
                // If Redis does not hear of it, the lease ends by itself.
                let _: Result<Answer<i64>, Error> =
                    self.connection.ask_within(command, limit).await;
            }
            return Ok(is_saved);
        }
        let keys = [self.key(key, "record"), self.key(key, "lease")];
        let command = eval(scripts::SAVE_AND_RELEASE, &keys);
        let mut command = Self::saving(command, &record, expected, keep_for)?;
        command.arg(lease.owner());
        saved(&self.connection.ask(command).await?)
    }
}

fn eval(script: &str, keys: &[String]) -> Cmd {
    let mut command = redis::cmd("EVAL");
    command.arg(script).arg(keys.len()).arg(keys);
    command
}

/// The answer of [`scripts::SAVE`] and [`scripts::SAVE_AND_RELEASE`].
fn saved(answer: &Answer<i64>) -> Result<bool, Error> {
    match answer.value {
        scripts::SAVED => Ok(true),
        // Nobody else has this version, so an earlier sending had arrived after all.
        scripts::THERE_ALREADY => Ok(answer.may_be_repeated),
        scripts::CONFLICT => Ok(false),
        other => Err(unknown_answer(other)),
    }
}

/// The answer of [`scripts::LOAD`] and [`scripts::REMOVE`], and the rest of
/// [`scripts::LEASE_AND_LOAD`]'s.
fn record(answer: Option<Vec<Vec<u8>>>) -> Result<Option<StoredRecord>, Error> {
    let Some(parts) = answer else {
        return Ok(None);
    };
    let mut parts = parts.into_iter();
    let version = parts.next().unwrap_or_default();
    let version: Version = String::from_utf8_lossy(&version).parse()?;
    Ok(Some(match parts.next() {
        Some(data) => StoredRecord::new(version, data),
        None => StoredRecord::unreadable(version, "what is in Redis is no record of this crate"),
    }))
}

/// Redis refuses a time to live of nothing.
fn milliseconds(time: Duration) -> u64 {
    let bounded = time.as_millis().clamp(1, LONGEST);
    u64::try_from(bounded).unwrap_or(u64::MAX)
}

fn unknown_answer(answer: i64) -> Error {
    Error::store(format!(
        "Redis answered {answer}, which no script of ours does"
    ))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::milliseconds;

    #[test]
    fn a_time_to_live_is_at_least_a_millisecond_and_at_most_a_century() {
        // F9
        for (time, expected) in [
            (Duration::ZERO, 1),
            (Duration::from_nanos(999_999), 1),
            (Duration::from_nanos(1_999_999), 1),
            (Duration::from_millis(2), 2),
            (Duration::from_secs(30 * 24 * 3_600), 2_592_000_000),
            (Duration::from_millis(3_153_600_000_000), 3_153_600_000_000),
            (Duration::from_millis(3_153_600_000_001), 3_153_600_000_000),
            (Duration::MAX, 3_153_600_000_000),
        ] {
            assert_eq!(milliseconds(time), expected, "{time:?}");
        }
    }
}
