//! The settings that bind exchanged tokens to a key.

use crate::dpop::DpopKey;
use crate::exchanged::ExchangedTokensBuilder;

impl ExchangedTokensBuilder {
    /// Binds what callers' tokens are exchanged for to this key of the service (RFC 9449), and takes no bearer
    /// tokens: each exchange carries a proof of the key, and so does each request to the API. One key serves
    /// all callers, since it is the service that sends their tokens. Nothing is proven of the incoming token:
    /// where that is bound, its proof is for whoever validates it.
    ///
    /// ```
    /// # fn build(exchange: reqwest_bearer::TokenExchange) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::{DpopKey, ExchangedTokens};
    ///
    /// let tokens = ExchangedTokens::builder(exchange).dpop(&DpopKey::generate()?).build()?;
    /// # Ok(()) }
    /// ```
    ///
    /// After [`then_jwt_bearer`](crate::TokenExchange::then_jwt_bearer) it is the API's server that binds the
    /// token, and the only one that gets a proof. Redirects are as with
    /// [`TokenSourceBuilder::dpop`](crate::TokenSourceBuilder::dpop).
    /// Default: bearer tokens (RFC 6750).
    pub fn dpop(self, key: &DpopKey) -> Self {
        Self(self.0.dpop(key))
    }

    /// Offers to bind them, and takes bearer tokens as well, as with
    /// [`TokenSourceBuilder::offer_dpop`](crate::TokenSourceBuilder::offer_dpop).
    /// Default: see [`dpop`](Self::dpop).
    pub fn offer_dpop(self, key: &DpopKey) -> Self {
        Self(self.0.offer_dpop(key))
    }
}
