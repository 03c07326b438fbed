//! The tokens of one API, as the user sees them.

mod builder;

use std::sync::Arc;
use std::time::SystemTime;

pub use crate::source::builder::TokenSourceBuilder;

use crate::access_token::AccessToken;
use crate::ambient::Ambient;
use crate::challenge::refuses;
use crate::error::{Error, ErrorKind};
use crate::grant::Grant;
use crate::keeper::slot::Slot;
use crate::keeper::{Demand, Keeper};
use crate::options::TokenOptions;
use crate::parameters::TokenParameters;
use crate::refuser::Refuser;
use crate::schedule::Age;
use http::{HeaderMap, StatusCode};

type Refuses = Arc<dyn Fn(StatusCode, &HeaderMap) -> bool + Send + Sync>;

/// Hands out the usable access token of one API: a cache, a grant, and one refresh at a time.
///
/// A cheap handle: clones share everything, and several clients may use one source. Any [`Grant`]
/// becomes a source with the default settings by `into()`; [`TokenSource::builder`] changes them.
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
/// source.refuse(&token);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TokenSource {
    keeper: Arc<Keeper>,
    refuses: Option<Refuses>,
}

impl TokenSource {
    /// A source for this grant, with settings.
    pub fn builder(grant: impl Grant) -> TokenSourceBuilder {
        TokenSourceBuilder::new(Arc::new(grant))
    }

    /// The name that events and log lines call it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.keeper.telemetry.source
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
        if options.anonymous {
            return Err(Error::settings(
                "the options ask for no token; leave `anonymous` out",
            ));
        }
        self.check_reentry()?;
        let slot = self.slot(&options.parameters);
        let demand = self.demand(Some(options));
        let served = self.keeper.token(&slot, &demand).await?;
        Ok(AccessToken::new(served.token))
    }

    /// Says that a server did not take this token. The next call gets a new one; refusing a token
    /// that has been replaced already does nothing.
    pub fn refuse(&self, token: &AccessToken) {
        let issued = token.issued();
        // A place that is gone is not made again: that might cost another token its own.
        if let Some(slot) = self.known_slot(&issued.parameters) {
            self.keeper
                .refuse(&slot, issued.generation, &Refuser::ByHand, false);
        }
    }

    /// Gets the first token ahead of the first call, so that a wrong secret is found at start and
    /// the first request does not wait. Does nothing if there is a usable token.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    pub async fn warm_up(&self) -> Result<(), Error> {
        self.token().await.map(drop)
    }

    /// How the token stands that requests without options get. Asks nobody.
    #[must_use]
    pub fn status(&self) -> TokenStatus {
        let keeper = &self.keeper;
        let now = keeper.clock.now();
        let present = keeper.primary.present();
        let ledger = keeper.primary.ledger();
        let failure = ledger
            .dry
            .standing(now.monotonic)
            .or(ledger.urgent.standing(now.monotonic));
        TokenStatus {
            usable: present
                .as_ref()
                .is_some_and(|token| token.age(now) != Age::Expired),
            refused: present
                .as_ref()
                .is_some_and(|token| token.standing.is_refused()),
            expires_at: present.and_then(|token| AccessToken::new(token).expires_at()),
            refreshing: ledger.flight().is_some(),
            failure: failure.cloned(),
        }
    }

    /// Starts no more token requests, and returns when those under way have ended and the newest
    /// refresh token has been handed to its hook, at the latest after 10 s. Tokens that are still
    /// good are used on.
    ///
    /// # Errors
    /// If something was still under way after 10 s.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.keeper.shut_down().await
    }

    pub(crate) fn keeper(&self) -> &Arc<Keeper> {
        &self.keeper
    }

    /// The place of the token with these parameters.
    pub(crate) fn slot(&self, parameters: &TokenParameters) -> Arc<Slot> {
        if parameters.is_empty() {
            return self.keeper.primary.clone();
        }
        let now = self.keeper.clock.now();
        self.keeper.cache.find_or_insert(parameters, now)
    }

    pub(crate) fn demand(&self, options: Option<&TokenOptions>) -> Demand {
        let within = self.keeper.settings.wait_at_most;
        Demand {
            new: options.is_some_and(|options| options.force_refresh),
            minimum: options.and_then(|options| options.minimum_lifetime),
            ..Demand::within(within)
        }
    }

    /// # Errors
    /// If this task is at work to get a token for this very source: it would wait for itself (E1).
    pub(crate) fn check_reentry(&self) -> Result<(), Error> {
        if !Ambient::current().is_refreshing(self.keeper.id) {
            return Ok(());
        }
        let name = self.name();
        Err(Error::new(
            ErrorKind::Reentrant,
            format!(
                "getting a token for `{name}` needs a token of `{name}`; give the grant another client"
            ),
        ))
    }

    /// Whether this answer of an API refuses the token.
    pub(crate) fn is_refused_by(&self, status: StatusCode, headers: &HeaderMap) -> bool {
        match &self.refuses {
            Some(rule) => rule(status, headers),
            None => refuses(status, headers),
        }
    }

    fn known_slot(&self, parameters: &TokenParameters) -> Option<Arc<Slot>> {
        if parameters.is_empty() {
            return Some(self.keeper.primary.clone());
        }
        let now = self.keeper.clock.now();
        self.keeper.cache.find(parameters, now)
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

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("TokenSource")
            .field("name", &self.name())
            .field("status", &self.status())
            .finish_non_exhaustive()
    }
}

/// How a source's token stands: never its text.
#[derive(Clone, Debug)]
pub struct TokenStatus {
    usable: bool,
    refused: bool,
    expires_at: Option<SystemTime>,
    refreshing: bool,
    failure: Option<Error>,
}

impl TokenStatus {
    /// Whether there is a token that has not expired.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// Whether an API has refused it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// When it ends, or ended; `None` without a token, or if the server did not say.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// Whether a token request is under way.
    #[must_use]
    pub fn is_refreshing(&self) -> bool {
        self.refreshing
    }

    /// The failure that is being waited out, if any; [`Error::retry_at`] says until when.
    #[must_use]
    pub fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }
}
