//! How one request wants its token.

use std::time::Duration;

use crate::parameters::TokenParameters;

/// What one request asks of its token; goes along as an extension of the request.
///
/// ```
/// # use reqwest_bearer::TokenOptions;
/// # use std::time::Duration;
/// # fn options(request: reqwest_middleware::RequestBuilder) -> reqwest_middleware::RequestBuilder {
/// request.with_extension(
///     TokenOptions::new()
///         .scope("orders:write")
///         .minimum_lifetime(Duration::from_secs(120)),
/// )
/// # }
/// ```
///
/// `RequestBuilder::build` drops extensions; `send` and `execute_with_extensions` keep them.
#[derive(Clone, Debug, Default)]
pub struct TokenOptions {
    pub(crate) parameters: TokenParameters,
    pub(crate) anonymous: bool,
    pub(crate) force_refresh: bool,
    pub(crate) minimum_lifetime: Option<Duration>,
}

impl TokenOptions {
    /// The token that every request gets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No token at all: the request is sent as it is, to any origin.
    #[must_use]
    pub fn anonymous() -> Self {
        Self {
            anonymous: true,
            ..Self::default()
        }
    }

    /// Whether the present token of these parameters will do, if it is fresh.
    pub(crate) fn takes_any_token(&self) -> bool {
        !self.force_refresh && self.minimum_lifetime.is_none()
    }

    /// A token with these scopes, separated by spaces (RFC 6749 section 3.3), in place of the
    /// grant's own. Default: the grant's own.
    #[must_use]
    pub fn scope(mut self, scope: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.scope(scope);
        self
    }

    /// A token for this resource, an absolute URI (RFC 8707 section 2). Default: the grant's own.
    #[must_use]
    pub fn resource(mut self, resource: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.resource(resource);
        self
    }

    /// A token for this audience. Default: the grant's own.
    #[must_use]
    pub fn audience(mut self, audience: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.audience(audience);
        self
    }

    /// A token that was asked for with this parameter, which is none of the fields that each token
    /// request has ([`TokenParameters::extra`](crate::TokenParameters::extra)). Default: none.
    #[must_use]
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters = self.parameters.extra(name, value);
        self
    }

    /// A token that is asked for now. Joins a refresh that is under way; if the refresh fails, the
    /// request fails with its error, even if there is another token that is still good.
    /// Default: no.
    #[must_use]
    pub fn force_refresh(mut self) -> Self {
        self.force_refresh = true;
        self
    }

    /// A token that lives at least this long. One refresh is made if the present token does not;
    /// if the server cannot meet it, the longest-lived token serves. Default: any that is not
    /// expired. (With tokens of 10 minutes and a minimum of 2 minutes, the request sent at 8:01
    /// waits for a new token.)
    #[must_use]
    pub fn minimum_lifetime(mut self, lifetime: Duration) -> Self {
        self.minimum_lifetime = Some(lifetime);
        self
    }
}
