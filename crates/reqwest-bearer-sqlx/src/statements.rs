//! What a database carries out in one step: one statement for each call of the store.
//!
//! A row has what the store knows of one key: the record, if there is one, and the lease, if there is one. In
//! one row, so that whoever takes the lease gets the record as it is at that moment, and whoever saves the
//! record gives the lease back with it. A record lives while it has a version and its time is not over; a row
//! without a record has `expires_at` all the same, for the sweep.
//!
//! Time is the database's, read when the row is, and not when the statement or its transaction began: both may
//! have waited for another one.
//!
//! Each answers with rows of a version and its data, or without any.

use std::sync::Arc;

use crate::table::Table;

#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "sqlite")]
mod sqlite;

/// What the two databases say differently.
pub(crate) struct Dialect {
    /// The present moment.
    now: &'static str,
    /// The moment that is so many milliseconds after it, given the name of the parameter.
    later: fn(&str) -> String,
    /// What follows the choice of rows to sweep, so that two sweeps do not wait for each other.
    and_skips_locked: &'static str,
    /// `DELETE` would take the lease along, and `UPDATE` answers with what is there afterwards. The statement
    /// that answers with what was there before, if the database has one.
    remove: Option<fn(&Table) -> String>,
    /// What creates the table and its index, unless they are there.
    schema: fn(&Table) -> [String; 2],
}

/// The statements of one table. The comments name the parameters, in their order.
#[derive(Debug)]
pub(crate) struct Statements {
    /// Key. Answers with the record.
    pub(crate) load: Arc<str>,
    /// Key, version, data, milliseconds to keep, owner of a lease that is given back. Where there is no record.
    /// Answers with a row if it did.
    pub(crate) save_new: Arc<str>,
    /// The same, and the version that is replaced.
    pub(crate) save_over: Arc<str>,
    /// Key. Answers with the record that was removed.
    pub(crate) remove: Option<Arc<str>>,
    /// Key, version. Removes that one. Answers with a row if it did.
    pub(crate) remove_version: Arc<str>,
    /// Key, the other key, version, data, milliseconds to keep, the version that moves. Answers with rows if
    /// it did.
    pub(crate) rename: Arc<str>,
    /// Key, owner, milliseconds. Answers with a row if the owner has it.
    pub(crate) lease: Arc<str>,
    /// The same. The row has the record, or else NULL.
    pub(crate) lease_and_load: Arc<str>,
    /// Key, owner.
    pub(crate) release: Arc<str>,
    /// Answers with a row for each that it has deleted, up to [`SWEPT_AT_ONCE`].
    pub(crate) sweep: Arc<str>,
    /// What creates the table.
    pub(crate) schema: [String; 2],
}

/// How many rows one sweep deletes: so many that it keeps up, so few that it is no burden.
pub(crate) const SWEPT_AT_ONCE: usize = 1000;

impl Statements {
    #[cfg(feature = "postgres")]
    pub(crate) fn of_postgres(table: &Table) -> Self {
        Self::new(&postgres::DIALECT, table)
    }

    #[cfg(feature = "sqlite")]
    pub(crate) fn of_sqlite(table: &Table) -> Self {
        Self::new(&sqlite::DIALECT, table)
    }

    fn new(dialect: &Dialect, table: &Table) -> Self {
        let Dialect { now, later, .. } = dialect;
        let quoted = table.quoted();
        let later = |parameter| later(parameter);
        let over = format!("expires_at <= {now} AND (lease_until IS NULL OR lease_until <= {now})");
        // A lease that another owner has stays.
        let give_back = "lease_owner = CASE WHEN t.lease_owner = $5 THEN NULL ELSE t.lease_owner END, \
             lease_until = CASE WHEN t.lease_owner = $5 THEN NULL ELSE t.lease_until END";
        let lease = |answer: &str| {
            format!(
                "INSERT INTO {quoted} AS t (key, expires_at, lease_owner, lease_until) \
                 VALUES ($1, {now}, $2, {until}) \
                 ON CONFLICT (key) DO UPDATE SET lease_owner = excluded.lease_owner, lease_until = {until} \
                 WHERE t.lease_until IS NULL OR t.lease_until <= {now} OR t.lease_owner = excluded.lease_owner \
                 RETURNING {answer}",
                until = later("$3"),
            )
        };
        Self {
            load: format!(
                "SELECT version, data FROM {quoted} \
                 WHERE key = $1 AND version IS NOT NULL AND expires_at > {now}"
            )
            .into(),
            save_new: format!(
                "INSERT INTO {quoted} AS t (key, version, data, expires_at) VALUES ($1, $2, $3, {until}) \
                 ON CONFLICT (key) DO UPDATE SET version = excluded.version, data = excluded.data, \
                 expires_at = {until}, {give_back} \
                 WHERE t.version IS NULL OR t.expires_at <= {now} \
                 RETURNING version, NULL",
                until = later("$4"),
            )
            .into(),
            save_over: format!(
                "UPDATE {quoted} AS t SET version = $2, data = $3, expires_at = {until}, {give_back} \
                 WHERE key = $1 AND version = $6 AND expires_at > {now} \
                 RETURNING version, NULL",
                until = later("$4"),
            )
            .into(),
            remove: dialect.remove.map(|remove| remove(table).into()),
            remove_version: format!(
                "UPDATE {quoted} SET version = NULL, data = NULL, expires_at = {now} \
                 WHERE key = $1 AND version = $2 AND expires_at > {now} \
                 RETURNING NULL, NULL"
            )
            .into(),
            // Both rows or none. Where one of them has changed after the statement had looked at them,
            // `expires_at` becomes NULL, which the table refuses, and with it the whole statement.
            rename: format!(
                "INSERT INTO {quoted} AS t (key, version, data, expires_at) \
                 SELECT moved.key, moved.version, moved.data, moved.expires_at FROM \
                 (SELECT $1 AS key, NULL AS version, NULL AS data, {now} AS expires_at \
                 UNION ALL SELECT $2, $3, $4, {until}) AS moved \
                 WHERE EXISTS (SELECT 1 FROM {quoted} AS there WHERE there.key = $1 \
                 AND there.version = $6 AND there.expires_at > {now}) \
                 AND NOT EXISTS (SELECT 1 FROM {quoted} AS there WHERE there.key = $2 \
                 AND there.version IS NOT NULL AND there.expires_at > {now}) \
                 ON CONFLICT (key) DO UPDATE SET version = excluded.version, data = excluded.data, \
                 expires_at = CASE WHEN (t.key = $1 AND t.version = $6) \
                 OR (t.key = $2 AND (t.version IS NULL OR t.expires_at <= {now})) \
                 THEN excluded.expires_at END \
                 RETURNING version, NULL",
                until = later("$5"),
            )
            .into(),
            lease: lease("NULL, NULL").into(),
            lease_and_load: lease(&format!(
                "CASE WHEN expires_at > {now} THEN version END, CASE WHEN expires_at > {now} THEN data END"
            ))
            .into(),
            release: format!(
                "UPDATE {quoted} SET lease_owner = NULL, lease_until = NULL \
                 WHERE key = $1 AND lease_owner = $2 \
                 RETURNING NULL, NULL"
            )
            .into(),
            sweep: format!(
                "DELETE FROM {quoted} WHERE key IN \
                 (SELECT key FROM {quoted} WHERE {over} LIMIT {SWEPT_AT_ONCE}{}) AND {over} \
                 RETURNING NULL, NULL",
                dialect.and_skips_locked,
            )
            .into(),
            schema: (dialect.schema)(table),
        }
    }
}
