//! What one tenant is called with.

use std::fmt;
use std::sync::Arc;

use crate::grant::{Grant, SharedGrant};

/// What one tenant of a [`NamedTenantClient`](crate::NamedTenantClient) is called with: how its token is got,
/// and where its API is.
#[must_use]
pub struct TenantSettings {
    pub(super) grant: SharedGrant,
    pub(super) base_url: Option<String>,
    pub(super) origins: Vec<String>,
}

impl TenantSettings {
    /// A tenant whose token comes by this grant, such as
    /// [`ClientCredentials`](crate::ClientCredentials) with an endpoint of the tenant's own.
    pub fn new(grant: impl Grant) -> Self {
        Self {
            grant: Arc::new(grant),
            base_url: None,
            origins: Vec::new(),
        }
    }

    /// Where this tenant's API is. Its token goes to the origin of this URL and to no other tenant's, nor to
    /// that of the client's own base URL.
    /// Default: the [`base_url`](crate::NamedTenantClientBuilder::base_url) of the client.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// Adds an origin that this tenant's token may be sent to, besides the base URL's.
    /// Default: none.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }
}

impl fmt::Debug for TenantSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the URLs, which are not yet checked for passwords.
        formatter
            .debug_struct("TenantSettings")
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}
