//! Postgres' own words.

use crate::statements::Dialect;
use crate::table::Table;

pub(super) const DIALECT: Dialect = Dialect {
    now: "clock_timestamp()",
    later: |milliseconds| format!("clock_timestamp() + {milliseconds} * interval '1 millisecond'"),
    and_skips_locked: " FOR UPDATE SKIP LOCKED",
    remove: Some(remove),
    schema,
};

/// The row is locked before it is read, so that what is removed is what is answered.
fn remove(table: &Table) -> String {
    let quoted = table.quoted();
    format!(
        "UPDATE {quoted} AS t SET version = NULL, data = NULL, expires_at = clock_timestamp() \
         FROM (SELECT key, version, data FROM {quoted} WHERE key = $1 AND version IS NOT NULL \
         AND expires_at > clock_timestamp() FOR UPDATE) AS removed \
         WHERE t.key = removed.key \
         RETURNING removed.version, removed.data"
    )
}

fn schema(table: &Table) -> [String; 2] {
    let quoted = table.quoted();
    [
        format!(
            "CREATE TABLE IF NOT EXISTS {quoted} (
    key BYTEA PRIMARY KEY,
    version TEXT CHECK (version ~ '^[0-9a-f]{{32}}$'),
    data BYTEA,
    expires_at TIMESTAMPTZ NOT NULL,
    lease_owner TEXT,
    lease_until TIMESTAMPTZ,
    CHECK ((version IS NULL) = (data IS NULL)),
    CHECK ((lease_owner IS NULL) = (lease_until IS NULL))
)"
        ),
        format!(
            "CREATE INDEX IF NOT EXISTS {index} ON {quoted} (expires_at)",
            index = table.index(),
        ),
    ]
}
