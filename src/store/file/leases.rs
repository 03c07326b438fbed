//! Who has which lease: a file of its own.
//!
//! Not in the file of records, because that one may be unreadable, and must not be rewritten every
//! few seconds while a token is refreshed. Leases need not outlive the machine, so this one is not
//! synced; and one that cannot be read holds none, since they all end by themselves.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::store::file::disk::{self, Durability};
use crate::store::file::{Now, Paths};
use crate::store::{Lease, StoreKey};

/// How far a time server may set the clock back without a lease being lost.
const STEP_BACK: u64 = 10_000;

/// By the key in hexadecimal digits.
type Leases = BTreeMap<String, Held>;

#[derive(Serialize, Deserialize)]
struct Held {
    owner: String,
    /// Milliseconds since 1970, as is `until`.
    since: u64,
    until: u64,
}

impl Held {
    /// A lease from far in the future was taken before somebody set the clock back: it is over, or
    /// nobody could refresh until that time comes again.
    fn is_alive(&self, now: Now) -> bool {
        now.0 < self.until && self.since <= now.0.saturating_add(STEP_BACK)
    }
}

pub(super) fn take(paths: &Paths, now: Now, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
    let mut leases = read(paths, now)?;
    let name = key.to_string();
    let owner = lease.owner();
    if leases.get(&name).is_some_and(|held| held.owner != owner) {
        return Ok(false);
    }
    let held = Held {
        owner,
        since: now.0,
        until: now.after(lease.duration()),
    };
    leases.insert(name, held);
    write(paths, &leases)?;
    Ok(true)
}

pub(super) fn release(paths: &Paths, now: Now, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
    let mut leases = read(paths, now)?;
    let name = key.to_string();
    let is_the_owners = |held: &Held| held.owner == lease.owner();
    if !leases.get(&name).is_some_and(is_the_owners) {
        return Ok(());
    }
    leases.remove(&name);
    write(paths, &leases)
}

/// The leases that are not over.
fn read(paths: &Paths, now: Now) -> Result<Leases, Error> {
    let bytes = disk::read(&paths.leases)?.unwrap_or_default();
    let mut leases: Leases = serde_json::from_slice(&bytes).unwrap_or_default();
    leases.retain(|_, held| held.is_alive(now));
    Ok(leases)
}

fn write(paths: &Paths, leases: &Leases) -> Result<(), Error> {
    if leases.is_empty() {
        // What could not be removed holds leases that end by themselves.
        let _ = fs::remove_file(&paths.leases);
        return Ok(());
    }
    let bytes = serde_json::to_vec(leases)
        .map_err(|error| Error::store("the leases cannot be written as JSON").with_source(error))?;
    disk::write(&paths.leases, &bytes, Durability::Unsynced)
}

#[cfg(test)]
mod tests {
    use super::{Held, STEP_BACK};
    use crate::store::file::Now;

    #[test]
    fn a_clock_that_is_set_back_prolongs_no_lease() {
        // F6
        let held = |since, until| Held {
            owner: String::new(),
            since,
            until,
        };
        let lease = held(1_000_000, 1_010_000);
        for (now, is_alive) in [
            (1_000_000, true),
            (1_009_999, true),
            (1_010_000, false),
            // A time server's step.
            (1_000_000 - STEP_BACK, true),
            (1_000_000 - STEP_BACK - 1, false),
            (0, false),
        ] {
            assert_eq!(lease.is_alive(Now(now)), is_alive, "{now}");
        }
        assert!(held(u64::MAX - 1, u64::MAX).is_alive(Now(u64::MAX - 1)));
    }
}
