//! How a token set is got: the trait, and one file for each grant that comes with the crate.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::SystemTime;

#[cfg(feature = "signing")]
use crate::clock::Clock;
use crate::dpop::DpopKey;
use crate::endpoint::TokenEndpoint;
use crate::error::Error;
use crate::parameters::TokenParameters;
use crate::secret::Secret;
use crate::subject::Subject;
use crate::subject_token::SubjectToken;
use crate::token::TokenResponse;
use crate::token_owner::TokenOwner;
use crate::token_set::TokenSet;

mod authorization_code;
mod client_credentials;
mod constant;
mod device_code;
mod function;
#[cfg(feature = "signing")]
mod google;
mod jwt_bearer;
mod refresh_token;
mod resource_credentials;
#[cfg(feature = "signing")]
mod signed_assertion;
mod token_exchange;
mod token_file;

pub use authorization_code::AuthorizationCode;
pub use client_credentials::ClientCredentials;
pub use constant::ConstantToken;
pub(crate) use device_code::DeviceCode;
pub use function::GrantFn;
#[cfg(feature = "signing")]
pub use google::GoogleServiceAccount;
pub use jwt_bearer::JwtBearer;
pub use refresh_token::RefreshTokenGrant;
pub use resource_credentials::ResourceCredentials;
#[cfg(feature = "signing")]
pub use signed_assertion::{SelfSignedToken, SignedAssertion};
pub use token_exchange::TokenExchange;
pub use token_file::TokenFile;

/// A way to get a token set (RFC 6749 section 1.3, "authorization grant").
///
/// Write your own as a plain `async fn`:
///
/// ```
/// use std::time::Duration;
/// use reqwest_bearer::{Error, Grant, GrantRequest, TokenResponse};
///
/// struct Vault;
///
/// impl Grant for Vault {
///     fn name(&self) -> &str {
///         "vault"
///     }
///
///     async fn obtain(&self, _request: GrantRequest) -> Result<TokenResponse, Error> {
///         Ok(TokenResponse::bearer("from-the-vault").with_expires_in(Duration::from_secs(600)))
///     }
/// }
/// ```
///
/// The token source calls it for one attempt at a time per token, bounds each attempt
/// (10 s by default), repeats it where that is safe, and survives its panics. `GrantContract` of the package
/// `reqwest-bearer-testing` tries whether a grant does its part.
pub trait Grant: Send + Sync + 'static {
    /// What this grant is called in keys, events and log lines, e.g. `client_credentials`.
    /// No secret. Sources that share a store, an endpoint and this name share their tokens: a grant
    /// of your own whose tokens depend on something else has it in its name.
    fn name(&self) -> &str;

    /// The token endpoint that it asks for the tokens of this owner, if it asks one: the source then keeps
    /// to the endpoint's limit of requests at once, revokes there, and knows by it which tokens of a shared
    /// store are meant. Asked before each refresh and each look into the store, so one that has to be
    /// looked up is best remembered; owners may have different ones.
    ///
    /// ```
    /// use reqwest_bearer::{Error, Grant, GrantRequest, TokenEndpoint, TokenOwner, TokenRequest, TokenResponse};
    ///
    /// struct OfTenant { eu: TokenEndpoint, us: TokenEndpoint }
    ///
    /// impl Grant for OfTenant {
    ///     fn name(&self) -> &str {
    ///         "of-tenant"
    ///     }
    ///
    ///     async fn endpoint(&self, owner: &TokenOwner) -> Result<Option<TokenEndpoint>, Error> {
    ///         let is_european = matches!(owner, TokenOwner::User(user) if user.as_str().starts_with("eu-"));
    ///         Ok(Some(if is_european { self.eu.clone() } else { self.us.clone() }))
    ///     }
    ///
    ///     async fn obtain(&self, request: GrantRequest) -> Result<TokenResponse, Error> {
    ///         let endpoint = self.endpoint(&request.owner()).await?;
    ///         let endpoint = endpoint.ok_or_else(|| Error::rejected("no such tenant"))?;
    ///         endpoint.request_token(TokenRequest::new("client_credentials")).await
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// Any: calls end with it as with that of a token request that was not sent.
    fn endpoint(
        &self,
        owner: &TokenOwner,
    ) -> impl Future<Output = Result<Option<TokenEndpoint>, Error>> + Send {
        let _ = owner;
        std::future::ready(Ok(None))
    }

    /// Whether it can do nothing without a refresh token, so that nobody is asked for somebody who
    /// has not signed in.
    fn needs_refresh_token(&self) -> bool {
        false
    }

    /// What it asks for by itself, for requests that ask for nothing in particular. Part of what
    /// its tokens are kept under, so that grants with other settings may share a store.
    fn parameters(&self) -> TokenParameters {
        TokenParameters::new()
    }

    /// The token set that the source starts from, if there is one already.
    fn seed(&self) -> Option<TokenSet> {
        None
    }

    /// Gets a token set, in one attempt.
    ///
    /// # Errors
    /// [`Error::unavailable`], [`Error::rejected`], [`Error::sign_in_required`] or
    /// [`Error::protocol`]; the kind decides whether and when the attempt is repeated.
    fn obtain(
        &self,
        request: GrantRequest,
    ) -> impl Future<Output = Result<TokenResponse, Error>> + Send;
}

/// What a token source hands to its grant for one attempt.
#[derive(Clone, Debug, Default)]
pub struct GrantRequest {
    parameters: TokenParameters,
    refresh_token: Option<Secret>,
    subject: Option<Subject>,
    subject_token: Option<SubjectToken>,
    dpop_key: Option<DpopKey>,
    asked_at: Option<SystemTime>,
}

impl GrantRequest {
    /// A request for a token with these parameters, with the refresh token to spend, if any.
    #[must_use]
    pub fn new(parameters: TokenParameters, refresh_token: Option<Secret>) -> Self {
        Self {
            parameters,
            refresh_token,
            subject: None,
            subject_token: None,
            dpop_key: None,
            asked_at: None,
        }
    }

    /// The same request for this user.
    #[must_use]
    pub fn for_subject(mut self, subject: Subject) -> Self {
        self.subject = Some(subject);
        self
    }

    /// The same request for what this token is exchanged for.
    pub(crate) fn for_subject_token(mut self, token: SubjectToken) -> Self {
        self.subject_token = Some(token);
        self
    }

    /// The same request by the clock of its source.
    pub(crate) fn at(mut self, now: SystemTime) -> Self {
        self.asked_at = Some(now);
        self
    }

    /// When it is made, for what is signed without a server.
    #[cfg(feature = "signing")]
    pub(crate) fn now(&self) -> SystemTime {
        let now = || Clock::system().now().system_time();
        self.asked_at.unwrap_or_else(now)
    }

    /// What is to be exchanged, where the source serves the callers of this program.
    pub(crate) fn subject_token(&self) -> Option<&SubjectToken> {
        self.subject_token.as_ref()
    }

    /// The same request for a token that is bound to this key.
    pub(crate) fn bound_to(mut self, key: Option<&DpopKey>) -> Self {
        self.dpop_key = key.cloned();
        self
    }

    pub(crate) fn bound_by(&self) -> Option<&DpopKey> {
        self.dpop_key.as_ref()
    }

    /// The key that the token is to be bound to, if the source wants that:
    /// [`TokenRequest::dpop`](crate::TokenRequest::dpop) takes it.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn dpop_key(&self) -> Option<&DpopKey> {
        self.bound_by()
    }

    /// What the token is to be narrowed to.
    #[must_use]
    pub fn parameters(&self) -> &TokenParameters {
        &self.parameters
    }

    /// The refresh token that the last answer (or the seed) brought.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// Whose token it is to be.
    #[must_use]
    pub fn owner(&self) -> TokenOwner {
        match &self.subject {
            Some(subject) => TokenOwner::User(subject.clone()),
            None => TokenOwner::Application,
        }
    }

    /// The user whose token it is to be, if the grant serves [users' sessions](crate::UserSessions).
    #[must_use]
    pub fn subject(&self) -> Option<&Subject> {
        self.subject.as_ref()
    }
}

type Attempt<'grant> = Pin<Box<dyn Future<Output = Result<TokenResponse, Error>> + Send + 'grant>>;

type Place<'grant> =
    Pin<Box<dyn Future<Output = Result<Option<TokenEndpoint>, Error>> + Send + 'grant>>;

/// The boxed twin of [`Grant`], so that no public type has a type parameter.
pub(crate) trait AnyGrant: Send + Sync {
    /// Of its own type, for what goes for one grant alone.
    fn as_any(&self) -> &dyn Any;
    fn name(&self) -> &str;
    fn endpoint<'grant>(&'grant self, owner: &'grant TokenOwner) -> Place<'grant>;
    fn needs_refresh_token(&self) -> bool;
    fn parameters(&self) -> TokenParameters;
    fn seed(&self) -> Option<TokenSet>;
    fn obtain(&self, request: GrantRequest) -> Attempt<'_>;
}

impl<G: Grant> AnyGrant for G {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn name(&self) -> &str {
        Grant::name(self)
    }

    fn endpoint<'grant>(&'grant self, owner: &'grant TokenOwner) -> Place<'grant> {
        Box::pin(Grant::endpoint(self, owner))
    }

    fn needs_refresh_token(&self) -> bool {
        Grant::needs_refresh_token(self)
    }

    fn parameters(&self) -> TokenParameters {
        Grant::parameters(self)
    }

    fn seed(&self) -> Option<TokenSet> {
        Grant::seed(self)
    }

    fn obtain(&self, request: GrantRequest) -> Attempt<'_> {
        // One that panics before there is anything to await panics in the future, too.
        Box::pin(async move { Grant::obtain(self, request).await })
    }
}

/// A grant of any kind, shared by the flights that use it.
pub(crate) type SharedGrant = Arc<dyn AnyGrant>;

impl fmt::Debug for dyn AnyGrant {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Grant").field(&self.name()).finish()
    }
}
