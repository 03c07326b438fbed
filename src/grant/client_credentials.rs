//! The application's own token (RFC 6749 section 4.4).

use crate::endpoint::{TokenEndpoint, TokenRequest};
use crate::error::Error;
use crate::grant::{Grant, GrantRequest};
use crate::parameters::TokenParameters;
use crate::token::TokenResponse;
use crate::token_owner::TokenOwner;

/// The client credentials grant: the application asks for itself.
///
/// ```
/// use reqwest_bearer::{ClientAuthentication, ClientCredentials, TokenEndpoint};
///
/// # fn main() -> Result<(), reqwest_bearer::Error> {
/// let client = ClientAuthentication::client_secret_basic("my-client", "s3cr3t");
/// let endpoint = TokenEndpoint::new("https://as.example.com/oauth2/token", client)?;
/// let grant = ClientCredentials::new(endpoint)
///     .scope("orders:read orders:write")
///     .audience("https://orders.example.com");
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    endpoint: TokenEndpoint,
    parameters: TokenParameters,
}

impl ClientCredentials {
    /// Asks this endpoint, for a token with the scopes that the server gives by itself.
    #[must_use]
    pub fn new(endpoint: TokenEndpoint) -> Self {
        Self {
            endpoint,
            parameters: TokenParameters::new(),
        }
    }

    /// Adds scopes, separated by spaces.
    /// Default: none are asked for.
    #[must_use]
    pub fn scope(mut self, scope: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.scope(scope);
        self
    }

    /// Adds an audience, as Auth0 wants one.
    /// Default: none.
    #[must_use]
    pub fn audience(mut self, audience: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.audience(audience);
        self
    }

    /// Adds a resource, an absolute URI (RFC 8707 section 2).
    /// Default: none.
    #[must_use]
    pub fn resource(mut self, resource: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.resource(resource);
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

impl Grant for ClientCredentials {
    fn name(&self) -> &str {
        "client_credentials"
    }

    async fn endpoint(&self, _: &TokenOwner) -> Result<Option<TokenEndpoint>, Error> {
        Ok(Some(self.endpoint.clone()))
    }

    fn parameters(&self) -> TokenParameters {
        self.parameters.clone()
    }

    async fn obtain(&self, request: GrantRequest) -> Result<TokenResponse, Error> {
        let parameters = request.parameters().or(&self.parameters);
        let request = TokenRequest::new("client_credentials")
            .parameters(&parameters)
            .bound_to(request.bound_by());
        let answer = self.endpoint.request_token(request).await;
        let mut response = answer.map_err(Error::without_a_user)?;
        // RFC 6749 section 4.4.3 says that there should be none. Where there is one, keeping it
        // would make a secret that has to be stored, for nothing.
        response.refresh_token = None;
        Ok(response)
    }
}
