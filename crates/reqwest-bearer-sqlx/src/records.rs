//! Records and leases as rows of a table, in the bytes that were given.

use std::sync::Arc;
use std::time::Duration;

use reqwest_bearer::{Error, Lease, StoreKey, StoredRecord, TokenStore, Version};

use crate::database::{Answer, Database, Row, Value};
use crate::statements::{SWEPT_AT_ONCE, Statements};
use crate::sweep::Sweeps;

/// A hundred years. A database adds the time to its clock and refuses what overflows.
const LONGEST: u128 = 100 * 365 * 24 * 60 * 60 * 1_000;

/// The store below its encryption.
#[derive(Clone)]
pub(crate) struct Records {
    database: Database,
    statements: Arc<Statements>,
    sweeps: Arc<Sweeps>,
}

impl Records {
    pub(crate) fn new(database: Database, statements: Statements) -> Self {
        Self {
            database,
            statements: Arc::new(statements),
            sweeps: Arc::default(),
        }
    }

    pub(crate) async fn migrate(&self) -> Result<(), Error> {
        self.database.create(&self.statements.schema).await
    }

    pub(crate) fn schema(&self) -> &[String] {
        &self.statements.schema
    }

    /// Deletes rows that have had their time, and says how many.
    pub(crate) async fn sweep(&self) -> Result<usize, Error> {
        let answer = self.database.ask(&self.statements.sweep, &[]).await?;
        Ok(answer.rows.len())
    }

    /// Sweeps behind the call, now and then: each new record may be the successor of one that nobody removed.
    fn sweep_behind(&self) {
        if self.sweeps.is_due() {
            let records = self.clone();
            // What is not swept now is swept later.
            tokio::spawn(async move {
                if records
                    .sweep()
                    .await
                    .is_ok_and(|swept| swept >= SWEPT_AT_ONCE)
                {
                    records.sweeps.was_not_enough();
                }
            });
        }
    }

    /// Saves the record, and gives back the lease of this owner, if there is one.
    async fn save_and_give_back(
        &self,
        key: &StoreKey,
        record: &StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
        owner: Option<String>,
    ) -> Result<bool, Error> {
        let mut values = vec![
            Value::Bytes(key.as_bytes()),
            Value::Text(Some(record.version().to_string())),
            Value::Bytes(data(record)?),
            Value::Number(milliseconds(keep_for)),
            Value::Text(owner),
        ];
        let statement = match expected {
            None => &self.statements.save_new,
            Some(expected) => {
                values.push(Value::Text(Some(expected.to_string())));
                &self.statements.save_over
            }
        };
        let answer = self.database.ask(statement, &values).await?;
        self.sweep_behind();
        self.has_arrived(&answer, key, record).await
    }

    /// Whether a save or a rename that was answered so was carried out: also if that was the first sending, and
    /// the answer is to the second. No other record has this version.
    async fn has_arrived(
        &self,
        answer: &Answer,
        key: &StoreKey,
        record: &StoredRecord,
    ) -> Result<bool, Error> {
        if !answer.rows.is_empty() || !answer.repeated {
            return Ok(!answer.rows.is_empty());
        }
        let found = self.load(key).await?;
        Ok(found.is_some_and(|found| found.version() == record.version()))
    }

    /// In one statement, if the database has one for it; otherwise the version that was read is removed, and
    /// read again if it was replaced meanwhile.
    async fn removed(&self, key: &StoreKey) -> Result<(Option<StoredRecord>, bool), Error> {
        let name = Value::Bytes(key.as_bytes());
        if let Some(statement) = &self.statements.remove {
            let answer = self.database.ask(statement, &[name]).await?;
            let repeated = answer.repeated;
            return Ok((record(answer)?, repeated));
        }
        loop {
            let Some(found) = self.load(key).await? else {
                return Ok((None, false));
            };
            let values = [
                Value::Bytes(key.as_bytes()),
                Value::Text(Some(found.version().to_string())),
            ];
            let answer = self
                .database
                .ask(&self.statements.remove_version, &values)
                .await?;
            if !answer.rows.is_empty() {
                return Ok((Some(found), false));
            }
            if answer.repeated {
                return Ok((None, true));
            }
        }
    }

    async fn take(
        &self,
        statement: &Arc<str>,
        key: &StoreKey,
        lease: &Lease,
    ) -> Result<Option<Row>, Error> {
        let values = [
            Value::Bytes(key.as_bytes()),
            Value::Text(Some(lease.owner())),
            Value::Number(milliseconds(lease.duration())),
        ];
        let mut answer = self.database.ask(statement, &values).await?;
        Ok(answer.rows.pop())
    }
}

impl TokenStore for Records {
    async fn load(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        let values = [Value::Bytes(key.as_bytes())];
        record(self.database.ask(&self.statements.load, &values).await?)
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        self.save_and_give_back(key, &record, expected, keep_for, None)
            .await
    }

    async fn remove(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        let (removed, repeated) = self.removed(key).await?;
        if removed.is_none() && repeated {
            // "Nothing was there" would be a guess, and a refresh token would not be revoked.
            return Err(Error::store(
                "the connection to the database broke, and what was removed before that is lost",
            ));
        }
        Ok(removed)
    }

    async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        let taken = self.take(&self.statements.lease, key, lease).await?;
        Ok(taken.is_some())
    }

    async fn release(&self, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
        let values = [
            Value::Bytes(key.as_bytes()),
            Value::Text(Some(lease.owner())),
        ];
        let released = self.database.ask(&self.statements.release, &values);
        released.await.map(drop)
    }

    async fn lease_and_load(
        &self,
        key: &StoreKey,
        lease: &Lease,
    ) -> Result<Option<Option<StoredRecord>>, Error> {
        let taken = self.take(&self.statements.lease_and_load, key, lease);
        taken.await?.map(record_in).transpose()
    }

    async fn save_and_release(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
        lease: &Lease,
    ) -> Result<bool, Error> {
        self.save_and_give_back(key, &record, expected, keep_for, Some(lease.owner()))
            .await
    }

    async fn rename(
        &self,
        from: &StoreKey,
        expected: Version,
        to: &StoreKey,
        record: StoredRecord,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        let values = [
            Value::Bytes(from.as_bytes()),
            Value::Bytes(to.as_bytes()),
            Value::Text(Some(record.version().to_string())),
            Value::Bytes(data(&record)?),
            Value::Number(milliseconds(keep_for)),
            Value::Text(Some(expected.to_string())),
        ];
        let answer = self.database.ask(&self.statements.rename, &values).await?;
        self.has_arrived(&answer, to, &record).await
    }
}

fn data(record: &StoredRecord) -> Result<&[u8], Error> {
    let data = record.data();
    data.map_err(|_| Error::store("a record that could not be read was to be saved as it is"))
}

fn record(mut answer: Answer) -> Result<Option<StoredRecord>, Error> {
    let found = answer.rows.pop().map(record_in).transpose()?;
    Ok(found.flatten())
}

/// The record of a row, if it has one.
fn record_in(row: Row) -> Result<Option<StoredRecord>, Error> {
    let Row {
        version: Some(version),
        data: Some(data),
    } = row
    else {
        return Ok(None);
    };
    Ok(Some(StoredRecord::new(version.parse()?, data)))
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis().min(LONGEST)).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::milliseconds;

    #[test]
    fn a_time_is_at_most_a_century() {
        // F9
        for (time, expected) in [
            (Duration::ZERO, 0),
            (Duration::from_nanos(1_999_999), 1),
            (Duration::from_millis(3_153_600_000_000), 3_153_600_000_000),
            (Duration::from_millis(3_153_600_000_001), 3_153_600_000_000),
            (Duration::MAX, 3_153_600_000_000),
        ] {
            assert_eq!(milliseconds(time), expected, "{time:?}");
        }
    }
}
