//! The last step of a sign-in: a code is exchanged for tokens (RFC 6749 section 4.1.3).

use crate::dpop::{DpopKey, DpopSetting, Keys};
use crate::endpoint::{TokenEndpoint, TokenRequest};
use crate::error::Error;
use crate::parameters::TokenParameters;
use crate::secret::Secret;
use crate::token_set::TokenSet;

/// An authorization code, as the redirect after a sign-in brought it.
///
/// For a sign-in that another library has begun. One that begins with an
/// [`AuthorizationRequest`](crate::AuthorizationRequest) ends with
/// [`PendingAuthorization::finish`](crate::PendingAuthorization::finish), which checks the redirect and
/// does this.
///
/// ```no_run
/// # async fn example(endpoint: reqwest_bearer::TokenEndpoint) -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::AuthorizationCode;
///
/// let tokens = AuthorizationCode::new("SplxlOBeZQQYbYS6WxSbIA")
///     .redirect_uri("https://app.example.com/signed-in")
///     .code_verifier("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")
///     .exchange(&endpoint)
///     .await?;
/// # Ok(()) }
/// ```
///
/// It is no [`Grant`](crate::Grant), because it works once: a server that sees a code for the
/// second time revokes what it issued for the first (RFC 6749 section 4.1.2).
#[derive(Debug)]
pub struct AuthorizationCode {
    code: Secret,
    redirect_uri: Option<String>,
    code_verifier: Option<Secret>,
    parameters: TokenParameters,
    dpop: Option<DpopSetting>,
}

impl AuthorizationCode {
    /// The code.
    #[must_use]
    pub fn new(code: impl Into<Secret>) -> Self {
        Self {
            code: code.into(),
            redirect_uri: None,
            code_verifier: None,
            parameters: TokenParameters::new(),
            dpop: None,
        }
    }

    /// The redirect URI that the sign-in used, letter for letter.
    /// Default: none is sent.
    #[must_use]
    pub fn redirect_uri(mut self, uri: impl Into<String>) -> Self {
        self.redirect_uri = Some(uri.into());
        self
    }

    /// Binds the tokens to this key (DPoP, RFC 9449); a bearer token in the answer is an error. The
    /// authorization request may have named the key by its
    /// [thumbprint](DpopKey::thumbprint) (`dpop_jkt`, section 10), so that the code is worth nothing without
    /// it.
    /// Default: bearer tokens.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn dpop(self, key: &DpopKey) -> Self {
        self.bound_to(Some(key))
    }

    /// Offers to bind the tokens to this key, and takes bearer tokens as well: for servers of which it is not
    /// known whether they do. A set that such a server's answer makes has no
    /// [`dpop_key`](TokenSet::dpop_key), and `UserSessionsBuilder::offer_dpop` takes it.
    /// Default: see [`dpop`](Self::dpop).
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn offer_dpop(mut self, key: &DpopKey) -> Self {
        self.dpop = Some(DpopSetting {
            keys: Keys::OfProcess(key.clone()),
            is_required: false,
        });
        self
    }

    /// Binds the tokens to this key, if there is one.
    pub(crate) fn bound_to(mut self, key: Option<&DpopKey>) -> Self {
        self.dpop = key.map(|key| DpopSetting {
            keys: Keys::OfProcess(key.clone()),
            is_required: true,
        });
        self
    }

    /// The PKCE verifier (RFC 7636 section 4.5) whose challenge the sign-in sent.
    /// Default: none is sent.
    #[must_use]
    pub fn code_verifier(mut self, verifier: impl Into<Secret>) -> Self {
        self.code_verifier = Some(verifier.into());
        self
    }

    /// What else to send, such as a resource (RFC 8707 section 2.2).
    /// Default: nothing.
    #[must_use]
    pub fn parameters(mut self, parameters: TokenParameters) -> Self {
        self.parameters = parameters;
        self
    }

    /// Spends the code, in one attempt that is never repeated. Takes its turn among the
    /// endpoint's requests.
    ///
    /// # Errors
    /// [`ErrorKind::SignInRequired`](crate::ErrorKind::SignInRequired) if the server does not take
    /// the code: send the user through the sign-in again. Otherwise as for
    /// [`TokenEndpoint::request_token`].
    pub async fn exchange(self, endpoint: &TokenEndpoint) -> Result<TokenSet, Error> {
        // Before the discovery, and before the place in the queue: it cannot be sent.
        self.parameters.check()?;
        endpoint.locate().await?;
        let _place = endpoint.queue().enter_anyway(endpoint.client()).await;
        let mut request = TokenRequest::new("authorization_code").secret_field("code", self.code);
        if let Some(uri) = self.redirect_uri {
            request = request.field("redirect_uri", uri);
        }
        if let Some(verifier) = self.code_verifier {
            request = request.secret_field("code_verifier", verifier);
        }
        let key = self.dpop.as_ref().and_then(DpopSetting::of_process);
        let request = request.parameters(&self.parameters).bound_to(key);
        let asked_at = endpoint.now();
        let response = endpoint.request_token(request).await?;
        if let Some(dpop) = &self.dpop {
            dpop.check(key, response.binding.as_ref())?;
        }
        Ok(TokenSet::from_response(response, asked_at))
    }
}
