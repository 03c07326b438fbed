//! An assertion for a token (RFC 7523 section 2.1).

use crate::endpoint::{SecretSource, TokenEndpoint, TokenRequest};
use crate::error::Error;
#[cfg(feature = "signing")]
use crate::grant::SignedAssertion;
use crate::grant::{Grant, GrantRequest};
use crate::parameters::TokenParameters;
use crate::secret::Secret;
use crate::token::TokenResponse;
use crate::token_owner::TokenOwner;

/// The grant type of RFC 7523 section 2.1.
pub(super) const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// The JWT bearer grant: an assertion that says who asks, for an access token.
///
/// The assertion is read or signed anew for each token request, since it may be good for one use: a file, a
/// function, another [`TokenSource`](crate::TokenSource), or with the feature `signing` a
/// `SignedAssertion`, which this program signs itself.
///
/// ```
/// use reqwest_bearer::{ClientAuthentication, JwtBearer, SecretSource, TokenEndpoint};
///
/// # fn main() -> Result<(), reqwest_bearer::Error> {
/// let client = ClientAuthentication::none("my-client");
/// let endpoint = TokenEndpoint::new("https://as.example.com/oauth2/token", client)?;
/// let assertion = SecretSource::file("/var/run/secrets/tokens/as");
/// let grant = JwtBearer::new(endpoint, assertion).scope("orders:read");
/// # Ok(()) }
/// ```
///
/// A refresh token in the answer is dropped, since who has assertions needs none; and nothing of it is ever
/// in a store, which could not tell one assertion's token from another's.
#[derive(Clone, Debug)]
pub struct JwtBearer {
    endpoint: TokenEndpoint,
    parameters: TokenParameters,
    assertion: Assertion,
}

#[derive(Clone, Debug)]
enum Assertion {
    Read(SecretSource),
    #[cfg(feature = "signing")]
    Signed(SignedAssertion),
}

impl JwtBearer {
    /// Takes this assertion to the endpoint.
    #[must_use]
    pub fn new(endpoint: TokenEndpoint, assertion: impl Into<SecretSource>) -> Self {
        Self::with(endpoint, Assertion::Read(assertion.into()))
    }

    /// Takes an assertion that is signed for each token request.
    #[cfg(feature = "signing")]
    #[must_use]
    pub fn signed(endpoint: TokenEndpoint, assertion: SignedAssertion) -> Self {
        Self::with(endpoint, Assertion::Signed(assertion))
    }

    fn with(endpoint: TokenEndpoint, assertion: Assertion) -> Self {
        Self {
            endpoint,
            parameters: TokenParameters::new(),
            assertion,
        }
    }

    /// Adds scopes, separated by spaces, to the token request (RFC 7521 section 4.1).
    /// Default: none are asked for.
    #[must_use]
    pub fn scope(mut self, scope: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.scope(scope);
        self
    }

    /// What to ask for besides: resource, audience, parameters of the server's own. A single request's own
    /// parameters come before these. What is left out here stays as it was set.
    /// Default: nothing.
    #[must_use]
    pub fn parameters(mut self, parameters: TokenParameters) -> Self {
        self.parameters = parameters.or(&self.parameters);
        self
    }

    async fn assertion(&self) -> Result<Secret, Error> {
        match &self.assertion {
            Assertion::Read(source) => source.read().await,
            #[cfg(feature = "signing")]
            Assertion::Signed(assertion) => assertion.sign(self.endpoint.now()).await,
        }
    }
}

impl Grant for JwtBearer {
    fn name(&self) -> &str {
        "jwt_bearer"
    }

    async fn endpoint(&self, _: &TokenOwner) -> Result<Option<TokenEndpoint>, Error> {
        Ok(Some(self.endpoint.clone()))
    }

    fn parameters(&self) -> TokenParameters {
        self.parameters.clone()
    }

    async fn obtain(&self, request: GrantRequest) -> Result<TokenResponse, Error> {
        let parameters = request.parameters().or(&self.parameters);
        let form = TokenRequest::new(JWT_BEARER)
            .secret_field("assertion", self.assertion().await?)
            .parameters(&parameters)
            .bound_to(request.bound_by());
        let answer = self.endpoint.request_token(form).await;
        let mut response = answer.map_err(Error::without_a_user)?;
        response.refresh_token = None;
        Ok(response)
    }
}
