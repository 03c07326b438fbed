//! What a store did not take.

use std::sync::Arc;

use crate::keeper::tenancy::Tenancy;
use crate::kept::Kept;
use crate::store::Version;

/// A record that is newer than the store's.
#[derive(Debug)]
pub(crate) struct Unsaved {
    pub(crate) kept: Kept,
    pub(crate) expected: Option<Version>,
    pub(crate) version: Version,
    /// Kept alive, so that nobody else spends the refresh token that the store still has.
    pub(crate) tenancy: Arc<Tenancy>,
}
