//! The fixed words that measurements are told apart by.

/// A call of the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreCall {
    Load,
    Save,
    Remove,
    Rename,
    Lease,
    Release,
    LeaseAndLoad,
    SaveAndRelease,
}

/// For whom the authorization server is left alone (A8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BreakerScope {
    /// For all clients, since it gives no answer.
    Server,
    /// For one client, which it turns away.
    Client,
}

impl StoreCall {
    /// The name of the function of [`TokenStore`](crate::TokenStore).
    #[cfg_attr(
        not(feature = "metrics"),
        expect(dead_code, reason = "only metrics have words for it")
    )]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Save => "save",
            Self::Remove => "remove",
            Self::Rename => "rename",
            Self::Lease => "lease",
            Self::Release => "release",
            Self::LeaseAndLoad => "lease_and_load",
            Self::SaveAndRelease => "save_and_release",
        }
    }
}

impl BreakerScope {
    #[cfg_attr(
        not(any(feature = "metrics", feature = "tracing")),
        expect(dead_code, reason = "only metrics and spans have words for it")
    )]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}
