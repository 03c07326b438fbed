//! How the token of a named client goes into its requests.

use crate::carrier::Carried;
use crate::named::builder::NamedClientBuilder;

impl NamedClientBuilder {
    /// The header that the token goes in, marked as sensitive, as with
    /// [`BearerTokenMiddlewareBuilder::header`](crate::BearerTokenMiddlewareBuilder::header).
    ///
    /// With any other than `Authorization`, the client that is built here follows no redirect to
    /// another origin ([`same_origin_redirect_policy`](crate::same_origin_redirect_policy)); of a
    /// [ready-made one](Self::client_with_own_redirects) they are its owner's care.
    /// Default: `Authorization`.
    ///
    /// ```
    /// # fn build(grant: impl reqwest_bearer::Grant) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::NamedClient;
    ///
    /// let shop = NamedClient::builder("shop", "https://my-shop.myshopify.com/admin/api/2026-01", grant)
    ///     .header("X-Shopify-Access-Token")
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn header(mut self, name: impl Into<String>) -> Self {
        self.carrier.header = Some(name.into());
        self
    }

    /// The word before the token: `token`, `OAuth`, `Zoho-oauthtoken`.
    /// Default: `Bearer` in `Authorization`, and none in any other header.
    pub fn scheme(mut self, scheme: impl Into<String>) -> Self {
        self.carrier.scheme = Some(scheme.into());
        self
    }

    /// Sends the token alone, without a word before it, in `Authorization` too.
    /// Default: see [`scheme`](Self::scheme).
    pub fn without_scheme(mut self) -> Self {
        self.carrier.without_scheme = true;
        self
    }

    /// Sends the id token in place of the access token, as with
    /// [`BearerTokenMiddlewareBuilder::id_token`](crate::BearerTokenMiddlewareBuilder::id_token).
    /// Default: the access token.
    pub fn id_token(mut self) -> Self {
        self.carrier.token = Carried::IdToken;
        self
    }
}
