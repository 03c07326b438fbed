//! Users' tokens, renewed with refresh tokens (RFC 6749 section 6).

use crate::endpoint::{TokenEndpoint, TokenRequest};
use crate::error::Error;
use crate::grant::{Grant, GrantRequest};
use crate::parameters::TokenParameters;
use crate::secret::Secret;
use crate::token::TokenResponse;
use crate::token_owner::TokenOwner;
use crate::token_set::TokenSet;

/// The refresh token grant, for one user whose tokens are kept elsewhere: what is given here is only the
/// start, and the token source keeps the refresh token that each answer brings in memory, and hands it to
/// a hook ([`on_new_refresh_token`](crate::TokenSourceBuilder::on_new_refresh_token)).
///
/// For all the users of a program there are [`UserSessions`](crate::UserSessions), where each one signs in
/// and out.
#[derive(Clone, Debug)]
pub struct RefreshTokenGrant {
    endpoint: TokenEndpoint,
    /// `None`: the tokens of many users, each of whom signs in.
    seed: Option<TokenSet>,
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
            seed: Some(tokens),
            parameters: TokenParameters::new(),
        }
    }

    /// For the users who sign in, each with a refresh token of his own.
    #[must_use]
    pub(crate) fn of_users(endpoint: TokenEndpoint, parameters: TokenParameters) -> Self {
        Self {
            endpoint,
            seed: None,
            parameters,
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

    async fn endpoint(&self, _: &TokenOwner) -> Result<Option<TokenEndpoint>, Error> {
        Ok(Some(self.endpoint.clone()))
    }

    fn needs_refresh_token(&self) -> bool {
        true
    }

    fn parameters(&self) -> TokenParameters {
        self.parameters.clone()
    }

    fn seed(&self) -> Option<TokenSet> {
        self.seed.clone()
    }

    async fn obtain(&self, request: GrantRequest) -> Result<TokenResponse, Error> {
        // Never the seed's: by now it may have been spent, and servers take a second use for theft.
        let Some(refresh_token) = request.refresh_token() else {
            return Err(Error::sign_in_required("there is no refresh token"));
        };
        let parameters = request.parameters().or(&self.parameters);
        let request = TokenRequest::new("refresh_token")
            .secret_field("refresh_token", refresh_token.clone())
            .parameters(&parameters)
            .bound_to(request.bound_by());
        self.endpoint.request_token(request).await
    }
}
