//! SQLite's own words. Its clock is that of the machine, in milliseconds since 1970.

use crate::statements::Dialect;
use crate::table::Table;

/// The same for the whole of a statement, but read after its wait for the lock. (`unixepoch('subsec')` would say
/// it shorter, and is younger than what many systems have.)
const NOW: &str = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)";

pub(super) const DIALECT: Dialect = Dialect {
    now: NOW,
    later: |milliseconds| format!("{NOW} + {milliseconds}"),
    and_skips_locked: "",
    remove: None,
    schema,
};

fn schema(table: &Table) -> [String; 2] {
    [
        format!(
            "CREATE TABLE IF NOT EXISTS {quoted} (
    key BLOB NOT NULL PRIMARY KEY,
    version TEXT CHECK (length(version) = 32 AND version NOT GLOB '*[^0-9a-f]*'),
    data BLOB,
    expires_at INTEGER NOT NULL,
    lease_owner TEXT,
    lease_until INTEGER,
    CHECK ((version IS NULL) = (data IS NULL)),
    CHECK ((lease_owner IS NULL) = (lease_until IS NULL))
)",
            quoted = table.quoted(),
        ),
        format!(
            "CREATE INDEX IF NOT EXISTS {prefix}{index} ON {table} (expires_at)",
            prefix = table.prefix(),
            index = table.index(),
            table = table.unqualified(),
        ),
    ]
}
