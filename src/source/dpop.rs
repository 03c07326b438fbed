//! The settings that bind a source's tokens to a key.

use crate::dpop::{DpopKey, DpopSetting, Keys};
use crate::source::builder::TokenSourceBuilder;

impl TokenSourceBuilder {
    /// Binds the tokens to this key (RFC 9449), and takes no others: an answer with a bearer token is an
    /// error. The requests for tokens carry a proof of the key, and so does each request that carries a
    /// token, which goes out as `Authorization: DPoP`.
    ///
    /// A proof says which URL it is for, so no redirect is followed: a [named client](crate::NamedClient)
    /// sees to that, and a middleware wants a client from
    /// [`http_client_without_redirects`](crate::http_client_without_redirects)
    /// ([`over`](crate::BearerTokenMiddlewareBuilder::over)).
    ///
    /// In a shared store the tokens of each key are apart: processes that are to share tokens share the
    /// key. An access token that the grant brings along without a key is a bearer token, and is not used.
    /// Default: bearer tokens (RFC 6750).
    pub fn dpop(mut self, key: &DpopKey) -> Self {
        self.dpop = Some(DpopSetting {
            keys: Keys::OfProcess(key.clone()),
            is_required: true,
        });
        self
    }

    /// Offers to bind the tokens to this key, and takes bearer tokens as well: for servers of which it is
    /// not known whether they do. Each bearer token that such an answer brings is told by
    /// [`Event::BearerInsteadOfDpop`](crate::Event::BearerInsteadOfDpop).
    /// Default: see [`dpop`](Self::dpop).
    pub fn offer_dpop(mut self, key: &DpopKey) -> Self {
        self.dpop = Some(DpopSetting {
            keys: Keys::OfProcess(key.clone()),
            is_required: false,
        });
        self
    }
}
