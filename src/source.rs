//! The tokens of one owner: the application, or one user.

pub(crate) mod builder;
#[cfg(feature = "dpop")]
mod dpop;
pub(crate) mod handle;
mod keeper;
mod provider;
mod refusal;
mod status;
mod watch;

pub use crate::source::builder::TokenSourceBuilder;
pub use crate::source::status::TokenStatus;
pub use crate::source::watch::TokenWatch;

use crate::access_token::AccessToken;
use crate::endpoint::SecretSource;
use crate::error::Error;
use crate::grant::Grant;
use crate::options::TokenOptions;
use crate::parameters::TokenParameters;
use crate::secret::Secret;
use crate::source::handle::Handle;

/// Hands out the usable access token of one owner: a cache, a grant, and one refresh at a time.
///
/// The owner is the application itself, or one user: then
/// [`UserSessions::for_subject`](crate::UserSessions::for_subject) makes it.
///
/// A cheap handle: clones share everything, and several clients may use one source. Any [`Grant`]
/// becomes a source with the default settings by `into()`; [`TokenSource::builder`] changes them.
/// What is wrong with a grant is an error when the source is built. Of a source that was made by
/// `into()` it is one when a client or a middleware is built with it, and at each call.
///
/// By hand it serves whatever is not reqwest:
///
/// ```
/// # async fn connect(grant: impl reqwest_bearer::Grant) -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::TokenSource;
///
/// let source = TokenSource::from(grant);
/// let token = source.token().await?;
/// let header = token.authorization().clone(); // for a WebSocket's handshake
/// // ... and if the server does not take it:
/// source.invalidate(&token);
/// # Ok(())
/// # }
/// ```
///
/// Users sign in at [`UserSessions`](crate::UserSessions), and nowhere else:
///
/// ```compile_fail,E0599
/// # async fn sign_in(source: reqwest_bearer::TokenSource, session: reqwest_bearer::Subject,
/// #     tokens: reqwest_bearer::TokenSet) {
/// let signed_in = source.sign_in(&session, tokens).await; // D8: no method named `sign_in`
/// # }
/// ```
#[derive(Clone)]
pub struct TokenSource(Handle);

impl TokenSource {
    /// A source for this grant, with settings.
    pub fn builder(grant: impl Grant) -> TokenSourceBuilder {
        TokenSourceBuilder::new(std::sync::Arc::new(grant))
    }

    /// A handle whose requests ask for tokens with these parameters, in place of the grant's own.
    /// It shares everything with the source: so the clients of two APIs, each with a resource of
    /// its own, live on one grant.
    ///
    /// ```
    /// # fn clients(source: reqwest_bearer::TokenSource) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::{NamedClient, TokenParameters};
    ///
    /// let for_orders = source.with_parameters(TokenParameters::new().resource("https://orders.example.com"));
    /// let orders = NamedClient::new("orders", "https://orders.example.com/v1", for_orders)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_parameters(&self, parameters: TokenParameters) -> Self {
        Self(self.0.with_parameters(parameters))
    }

    /// The name that events and log lines call it by.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The usable access token: the kept one, or a new one.
    ///
    /// # Errors
    /// If there is none to be had; see [`Error::kind`].
    pub async fn token(&self) -> Result<AccessToken, Error> {
        self.token_with(&TokenOptions::new()).await
    }

    /// The usable access token for these options, as a request with them gets it.
    ///
    /// # Errors
    /// If there is none to be had, or the options say [`anonymous`](TokenOptions::anonymous).
    pub async fn token_with(&self, options: &TokenOptions) -> Result<AccessToken, Error> {
        self.0.token(options).await
    }

    /// Says that a server did not take this token. The next call gets a new one; for a token that has been
    /// replaced already it does nothing.
    #[doc(alias = "refuse")]
    #[doc(alias = "reject")]
    pub fn invalidate(&self, token: &AccessToken) {
        self.0.invalidate(token);
    }

    /// Takes all tokens that this process has of this application, or of this user, for refused: the
    /// next call of each kind gets another one. For when you know what no API has said yet, such as
    /// that the user has been given a new role. Without a token it does nothing.
    ///
    /// With a store that others share, the other token may be one that another process got before
    /// this; a call with [`TokenOptions::force_refresh`](crate::TokenOptions::force_refresh) gets one
    /// that was asked for later, and shares it.
    ///
    /// # Errors
    /// [`ErrorKind::NoSubject`](crate::ErrorKind::NoSubject) if the source is
    /// [of the task's user](crate::UserSessions::for_current_subject), and the task names none.
    pub fn invalidate_all(&self) -> Result<(), Error> {
        self.0.invalidate_all()
    }

    /// Gets the first token ahead of the first call, so that a wrong secret is found at start and
    /// the first request does not wait. Does nothing if there is a usable token. A caller who gives up
    /// stops nothing: the token is for the calls to come.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    pub async fn warm_up(&self) -> Result<(), Error> {
        self.0.warm_up().await
    }

    /// Keeps the token that requests without options get fresh, without calls: for a connection that
    /// must hear of the next token, such as a WebSocket's, or a pool of connections to a database. Begins
    /// at once, waits for nothing, and ends with the watch and its clones.
    ///
    /// Of [the task's user](crate::UserSessions::for_current_subject) it is the one whom the task names
    /// now.
    ///
    /// # Errors
    /// [`ErrorKind::NoSubject`](crate::ErrorKind::NoSubject) if the source is of the task's user and the
    /// task names none; [`ErrorKind::Settings`](crate::ErrorKind::Settings) for parameters or a grant that
    /// no token can be asked for with, and outside a tokio runtime. What a server says, the watch tells.
    pub fn keep_fresh(&self) -> Result<TokenWatch, Error> {
        self.0.keep_fresh()
    }

    /// How the token stands that requests without options get, in this process. Asks nobody; of
    /// a user, [`UserSessions::status_of`](crate::UserSessions::status_of) tells what the store has.
    #[must_use]
    pub fn status(&self) -> TokenStatus {
        match self.0.present_entry() {
            Ok(Some(entry)) => TokenStatus::of(&entry, self.0.engine().setup.clock.now()),
            Ok(None) => TokenStatus::without_token(None),
            Err(error) => TokenStatus::without_token(Some(self.0.named(error))),
        }
    }

    /// Starts no more token requests, and returns when those under way have ended and the newest refresh
    /// token has been handed to its hook, at the latest after 10 s. Tokens that are still good are used
    /// on. Of a user's it shuts down the source of all users' tokens, as
    /// [`UserSessions::shutdown`](crate::UserSessions::shutdown) does.
    ///
    /// # Errors
    /// If something was still under way after 10 s.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.0.shut_down().await
    }

    pub(crate) fn new(handle: Handle) -> Self {
        Self(handle)
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.0
    }
}

impl<G: Grant> From<G> for TokenSource {
    fn from(grant: G) -> Self {
        Self::builder(grant).with_defaults()
    }
}

impl From<&TokenSource> for TokenSource {
    fn from(source: &TokenSource) -> Self {
        source.clone()
    }
}

/// The usable token of a source, as a secret that another grant sends: for an actor, or an assertion.
impl From<&TokenSource> for SecretSource {
    fn from(source: &TokenSource) -> Self {
        let source = source.clone();
        Self::from_fn(move || {
            let source = source.clone();
            async move { Ok::<_, Error>(Secret::new(source.token().await?.expose())) }
        })
    }
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TokenSource")
            .field("name", &self.name())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}
