//! The tokens with which a service calls other APIs for its own callers.

mod builder;
#[cfg(feature = "dpop")]
mod dpop;

pub use crate::exchanged::builder::ExchangedTokensBuilder;

use crate::error::Error;
use crate::grant::TokenExchange;
use crate::parameters::TokenParameters;
use crate::source::TokenSource;
use crate::source::handle::Handle;
use crate::subject_token::SubjectToken;

/// What the tokens of this service's callers are exchanged for, kept for as long as they live.
///
/// What a service that calls another API has once, at start, with a
/// [`NamedExchangeClient`](crate::NamedExchangeClient) upon it. A cheap handle: clones share everything.
///
/// ```no_run
/// # async fn handle(authorization: &str) -> Result<(), Box<dyn std::error::Error>> {
/// use reqwest_bearer::{
///     ClientAuthentication, ExchangedTokens, NamedExchangeClient, SubjectToken, TokenEndpoint,
///     TokenExchange,
/// };
///
/// let client = ClientAuthentication::client_secret_basic("my-service", "s3cr3t");
/// let endpoint = TokenEndpoint::discover("https://login.example.com", client)?;
/// let tokens = ExchangedTokens::new(TokenExchange::new(endpoint).audience("orders"))?;
/// let orders = NamedExchangeClient::new("orders", "https://orders.example.com/v1", &tokens)?;
///
/// // in any request to this service, when its token has been validated
/// let caller = SubjectToken::new(authorization.trim_start_matches("Bearer "))?;
/// let answer = orders.for_subject_token(&caller).get("orders/42").send().await?;
/// # Ok(())
/// # }
/// ```
///
/// Each incoming token is exchanged once for all its calls, and renewed ahead of the expiry as long as it
/// lives itself. One that the authorization server refuses is an error for its own caller alone
/// ([`InvalidSubjectToken`](crate::ErrorKind::InvalidSubjectToken)), who gets the same error at once for the
/// next seconds. Nothing is ever in a store.
#[derive(Clone)]
pub struct ExchangedTokens(Handle);

impl ExchangedTokens {
    /// The tokens that come by this exchange.
    ///
    /// # Errors
    /// If the exchange has a subject token of its own, or cannot work otherwise.
    pub fn new(exchange: TokenExchange) -> Result<Self, Error> {
        Self::builder(exchange).build()
    }

    /// The same with settings.
    pub fn builder(exchange: TokenExchange) -> ExchangedTokensBuilder {
        ExchangedTokensBuilder::new(exchange)
    }

    /// What this token is exchanged for. It shares everything with the others, and asks nobody.
    #[must_use]
    pub fn for_subject_token(&self, token: &SubjectToken) -> TokenSource {
        TokenSource::new(self.0.for_subject_token(token))
    }

    /// What the token is exchanged for that the caller of the present task came with
    /// ([`SubjectToken::run`]), told anew at each call: without one, calls end with
    /// [`NoSubject`](crate::ErrorKind::NoSubject).
    #[must_use]
    pub fn for_current_subject_token(&self) -> TokenSource {
        TokenSource::new(self.0.clone())
    }

    /// The same tokens, asked for with these parameters: so the clients of two APIs, each with a scope or an
    /// audience of its own, live on one exchange.
    #[must_use]
    pub fn with_parameters(&self, parameters: TokenParameters) -> Self {
        Self(self.0.with_parameters(parameters))
    }

    /// The name that events and log lines call them by.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Finds the token endpoint, so that a wrong issuer is found at start.
    ///
    /// # Errors
    /// If it cannot be found; see [`Error::kind`].
    pub async fn warm_up(&self) -> Result<(), Error> {
        self.0.warm_up().await
    }

    /// Starts no more token requests, and returns when those under way have ended, at the latest after 10 s.
    /// Tokens that are still good are used on.
    ///
    /// # Errors
    /// If something was still under way after 10 s.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.0.shut_down().await
    }

    pub(crate) fn from_handle(handle: Handle) -> Self {
        Self(handle)
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.0
    }
}

impl std::fmt::Debug for ExchangedTokens {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ExchangedTokens")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
