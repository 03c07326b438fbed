//! What a store did not take.

use std::sync::Arc;

use crate::session::lease::HeldLease;
use crate::session::record::Record;
use crate::store::{StoreKey, Version};

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
}
