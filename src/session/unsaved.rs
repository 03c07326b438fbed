//! What a store did not take.

use std::sync::{Arc, OnceLock};

use crate::session::lease::HeldLease;
use crate::session::record::Record;
use crate::store::{StoreKey, Version};
use crate::telemetry::{Telemetry, UnsavedToken};

/// A record that is newer than the store's.
#[derive(Debug)]
pub(crate) struct Unsaved {
    pub(crate) key: StoreKey,
    pub(crate) record: Record,
    pub(crate) expected: Option<Version>,
    pub(crate) version: Version,
    /// Kept alive, so that no other process spends the refresh token that the store still has. `None`
    /// for what was fetched while the store could not be asked at all (F4).
    pub(crate) lease: Option<Arc<HeldLease>>,
    /// From when on it is counted: each new refresh token is unsaved until the store has answered, and that is
    /// no news.
    pub(crate) counted: OnceLock<UnsavedToken>,
}

impl Unsaved {
    /// The store has failed to take it.
    pub(crate) fn count(&self, telemetry: &Telemetry) {
        self.counted.get_or_init(|| UnsavedToken::count(telemetry));
    }
}
