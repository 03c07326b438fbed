//! A user's token, renewed with a refresh token (RFC 6749 section 6).

use crate::endpoint::{TokenEndpoint, TokenRequest};
use crate::error::Error;
use crate::grant::{Grant, GrantRequest};
use crate::parameters::TokenParameters;
use crate::secret::Secret;
use crate::token::TokenResponse;
use crate::token_set::TokenSet;

/// The refresh token grant, for the tokens of one user.
///
/// The token source keeps the refresh token that each answer brings and hands it to the next
/// request; what is given here is only the start.
#[derive(Clone, Debug)]
pub struct RefreshTokenGrant {
    endpoint: TokenEndpoint,
    seed: TokenSet,
    parameters: TokenParameters,
}

impl RefreshTokenGrant {
    /// Starts with a refresh token; the first use spends it.
    #[must_use]
    pub fn new(endpoint: TokenEndpoint, refresh_token: impl Into<Secret>) -> Self {
        Self::from_token_set(endpoint, TokenSet::from_refresh_token(refresh_token))
    }

    /// Starts with what a sign-in brought; its access token is used while it lives.
    #[must_use]
    pub fn from_token_set(endpoint: TokenEndpoint, tokens: TokenSet) -> Self {
        Self {
            endpoint,
            seed: tokens,
            parameters: TokenParameters::new(),
        }
    }

    /// Adds scopes, separated by spaces. They must be among those that the user granted.
    /// Default: none are asked for, which means all that the user granted.
    #[must_use]
    pub fn scope(mut self, scope: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.scope(scope);
        self
    }

    /// What to ask for besides: resource, audience, parameters of the server's own. A single
    /// request's own parameters come before these. What is left out here stays as it was set.
    /// Default: nothing.
    #[must_use]
    pub fn parameters(mut self, parameters: TokenParameters) -> Self {
        self.parameters = parameters.or(&self.parameters);
        self
    }
}

impl Grant for RefreshTokenGrant {
    fn name(&self) -> &str {
        "refresh_token"
    }

    fn endpoint(&self) -> Option<&TokenEndpoint> {
        Some(&self.endpoint)
    }

    fn seed(&self) -> Option<TokenSet> {
        Some(self.seed.clone())
    }

    async fn obtain(&self, request: GrantRequest) -> Result<TokenResponse, Error> {
        // Never the seed's: by now it may have been spent, and servers take a second use for theft.
        let Some(refresh_token) = request.refresh_token() else {
            return Err(Error::sign_in_required("there is no refresh token"));
        };
        let parameters = request.parameters().or(&self.parameters);
        let request = TokenRequest::new("refresh_token")
            .secret_field("refresh_token", refresh_token.clone())
            .parameters(&parameters);
        self.endpoint.request_token(request).await
    }
}
