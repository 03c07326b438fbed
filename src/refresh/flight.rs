//! One flight: what it is to bring, and for whom.

use std::sync::Arc;

use crate::cache::entry::Entry;
use crate::cache::outcome::Outcome;
use crate::endpoint::TokenEndpoint;
use crate::engine::Engine;
use crate::flight::Landing;
use crate::refresh::identity::Beginning;
use crate::telemetry::RefreshReason;

/// What the parts of a flight have in common.
#[derive(Clone, Copy)]
pub(crate) struct Flight<'flight> {
    pub(crate) engine: &'flight Arc<Engine>,
    pub(crate) entry: &'flight Arc<Entry>,
    /// Where the tokens come from, if the grant asks a token endpoint.
    pub(crate) endpoint: Option<&'flight TokenEndpoint>,
    pub(crate) reason: RefreshReason,
    /// What the token request asks for besides, since an API demands it (K28).
    pub(crate) claims: Option<&'flight str>,
    pub(crate) beginning: Beginning,
    /// Tells whether any caller still waits for it.
    pub(crate) landing: &'flight Landing<Outcome>,
}
