//! The tokens of one API, as the user sees them.

mod builder;
mod refusal;
mod status;
mod users;

use std::sync::Arc;

pub use crate::refresh::revocation::{Revocation, SignOut};
pub use crate::source::builder::TokenSourceBuilder;
pub use crate::source::status::TokenStatus;
pub use crate::source::users::{TokenDates, UserStatus};

use crate::access_token::AccessToken;
use crate::ambient::Ambient;
use crate::api_answer::ApiAnswer;
use crate::cache::entry::Entry;
use crate::cache::policy::Demand;
use crate::cache::rejection::Sending;
use crate::call;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::grant::Grant;
use crate::key::Wanted;
use crate::options::TokenOptions;
use crate::parameters::TokenParameters;
use crate::refusal_rule::RefusalRule;
use crate::refuser::Refuser;
use crate::subject::Subject;

/// Hands out the usable access token of one API: a cache, a grant, and one refresh at a time.
///
/// A cheap handle: clones share everything, and several clients may use one source. Any [`Grant`]
/// becomes a source with the default settings by `into()`; [`TokenSource::builder`] changes them.
/// Wrong parameters of the grant are an error when the source is built, and at each call of one that
/// was made by `into()`.
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
    engine: Arc<Engine>,
    refuses: RefusalRule,
    /// Whose tokens this handle is for, unless a request says otherwise.
    subject: Option<Subject>,
    /// What its requests ask for, unless they ask for something themselves.
    parameters: Option<Arc<TokenParameters>>,
    /// What is wrong with the grant, where the source was made by `into()`, which cannot fail.
    fault: Option<Error>,
}

impl TokenSource {
    /// A source for this grant, with settings.
    pub fn builder(grant: impl Grant) -> TokenSourceBuilder {
        TokenSourceBuilder::new(Arc::new(grant))
    }

    /// A handle for the tokens of this user. It shares everything with the source; what it is given
    /// to, such as a client, needs no subject from elsewhere.
    ///
    /// A source for the application itself has no user's token: its handle's calls end with
    /// [`ErrorKind::Settings`], since the application's token in its place may do more than the user
    /// may.
    #[must_use]
    pub fn for_subject(&self, subject: &Subject) -> Self {
        Self {
            subject: Some(subject.clone()),
            ..self.clone()
        }
    }

    /// A handle whose requests ask for tokens with these parameters, in place of the grant's own.
    /// It shares everything with the source: so the clients of two APIs, each with a resource of
    /// its own, live on one sign-in.
    ///
    /// ```
    /// # fn clients(users: reqwest_bearer::TokenSource) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::{NamedClient, TokenParameters};
    ///
    /// let for_orders = users.with_parameters(TokenParameters::new().resource("https://orders.example.com"));
    /// let orders = NamedClient::new("orders", "https://orders.example.com/v1", for_orders)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_parameters(&self, parameters: TokenParameters) -> Self {
        Self {
            parameters: Some(Arc::new(match &self.parameters {
                Some(known) => parameters.or(known),
                None => parameters,
            })),
            ..self.clone()
        }
    }

    /// The name that events and log lines call it by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.engine.setup.telemetry.source
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
        let served = self.serve(options).await;
        served.map_err(|error| self.named(error))
    }

    async fn serve(&self, options: &TokenOptions) -> Result<AccessToken, Error> {
        if options.anonymous {
            return Err(Error::settings(
                "the options ask for no token; leave `anonymous` out",
            ));
        }
        let entry = self.place_for_call(None, Some(options))?;
        let entry = entry.as_ref().unwrap_or(&self.engine.entries.primary);
        let demand = self.demand(Some(options));
        let served = call::token(&self.engine, entry, &demand).await?;
        Ok(AccessToken::new(served.token))
    }

    /// Says that a server did not take this token. The next call gets a new one; refusing a token
    /// that has been replaced already does nothing.
    pub fn refuse(&self, token: &AccessToken) {
        let issued = token.issued();
        // A place that is gone is not made again: that might cost another token its own.
        if let Some(entry) = self.engine.entries.find(issued.key.as_wanted()) {
            self.refuse_by_hand(&entry, issued.generation);
        }
    }

    /// Takes the tokens that this process has of this application, or of this user, for refused: the
    /// next call of each kind gets another one. For when you know what no API has said yet, such as
    /// that the user has been given a new role. Without a token it does nothing.
    ///
    /// With a store that others share, the other token may be one that another process got before
    /// this; a call with [`TokenOptions::force_refresh`](crate::TokenOptions::force_refresh) gets one
    /// that was asked for later, and shares it.
    ///
    /// # Errors
    /// [`ErrorKind::NoSubject`] if the source is for users and it is unknown which one is meant.
    pub fn invalidate(&self) -> Result<(), Error> {
        // The handle's own place may be that of a narrowed token.
        let own = self.primary().map_err(|error| self.named(error))?;
        for entry in self.engine.entries.entries_of(&own.key) {
            if let Some(token) = entry.present() {
                self.refuse_by_hand(&entry, token.generation);
            }
        }
        Ok(())
    }

    /// Gets the first token ahead of the first call, so that a wrong secret is found at start and
    /// the first request does not wait. Does nothing if there is a usable token. Of a source for
    /// users, without a user, it finds the token endpoint, so that a wrong issuer is found.
    ///
    /// # Errors
    /// As [`TokenSource::token`].
    pub async fn warm_up(&self) -> Result<(), Error> {
        let warm = match (&self.fault, self.subject()) {
            (Some(fault), _) => Err(fault.clone()),
            (None, None) if self.engine.setup.for_users => match self.engine.setup.grant.endpoint()
            {
                Some(endpoint) => endpoint.locate().await,
                None => Ok(()),
            },
            (None, _) => self.token().await.map(drop),
        };
        warm.map_err(|error| self.named(error))
    }

    /// How the token stands that requests without options get, in this process. Asks nobody; of
    /// a user, [`status_of`](Self::status_of) tells what the store has.
    #[must_use]
    pub fn status(&self) -> TokenStatus {
        // Found and not made: whoever looks at a user who never calls takes no place in the cache.
        let find = |wanted: Wanted<'_>| self.engine.entries.find(wanted);
        let place = self.find(None, &Ambient::current(), None, find);
        match place.map(|place| place.unwrap_or_else(|| Some(self.engine.entries.primary.clone())))
        {
            Ok(Some(entry)) => TokenStatus::of(&entry, self.engine.setup.clock.now()),
            Ok(None) => TokenStatus::without_token(None),
            Err(error) => TokenStatus::without_token(Some(self.named(error))),
        }
    }

    /// Starts no more token requests, and returns when those under way have ended, the tokens of users
    /// who signed out are revoked, and the newest refresh token has been handed to its hook, at the
    /// latest after 10 s. Tokens that are still good are used on.
    ///
    /// # Errors
    /// If something was still under way after 10 s.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let ended = self.engine.shut_down().await;
        ended.map_err(|error| self.named(error))
    }

    fn refuse_by_hand(&self, entry: &Entry, generation: u64) {
        let sending = Sending::First;
        call::refuse(&self.engine, entry, generation, &Refuser::ByHand, sending);
    }

    /// The error with the name of this source in it, if it has none: on its way out to a program that
    /// may have many.
    pub(crate) fn named(&self, error: Error) -> Error {
        self.engine.setup.named(error)
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn new(engine: Arc<Engine>, refuses: RefusalRule) -> Self {
        Self {
            engine,
            refuses,
            subject: None,
            parameters: None,
            fault: None,
        }
    }

    /// The place of the token for a request; `None` if it is the application's primary one, which
    /// needs no look-up. `explicit` is the subject that the request itself names: it beats the
    /// handle's, and that one the task's (F1).
    ///
    /// # Errors
    /// If it has none for want of a subject, or if this task is at work to get a token for this very
    /// source: it would wait for itself (E1).
    #[inline]
    pub(crate) fn place_for_call(
        &self,
        explicit: Option<&Subject>,
        options: Option<&TokenOptions>,
    ) -> Result<Option<Arc<Entry>>, Error> {
        let ambient = Ambient::current();
        if ambient.is_refreshing(self.engine.setup.id) {
            return Err(self.reentrant());
        }
        self.place(explicit, &ambient, options)
    }

    #[inline]
    fn place(
        &self,
        explicit: Option<&Subject>,
        ambient: &Ambient,
        options: Option<&TokenOptions>,
    ) -> Result<Option<Arc<Entry>>, Error> {
        self.find(explicit, ambient, options, |wanted| {
            self.engine.entry(wanted)
        })
    }

    /// What `find` makes of the place that is wanted; `None` as above.
    #[inline]
    fn find<T>(
        &self,
        explicit: Option<&Subject>,
        ambient: &Ambient,
        options: Option<&TokenOptions>,
        find: impl FnOnce(Wanted<'_>) -> T,
    ) -> Result<Option<T>, Error> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        if !self.engine.setup.for_users {
            // The ambient subject says for whom the task is, not whose token each of its calls wants.
            if explicit.is_some() || self.subject.is_some() {
                return Err(self.without_users());
            }
            if options.is_none() && self.parameters.is_none() {
                return Ok(None);
            }
        }
        self.look_up(explicit, ambient, options, find)
    }

    fn look_up<T>(
        &self,
        explicit: Option<&Subject>,
        ambient: &Ambient,
        options: Option<&TokenOptions>,
        find: impl FnOnce(Wanted<'_>) -> T,
    ) -> Result<Option<T>, Error> {
        let own = options.map(|options| &options.parameters);
        let merged = match (own, &self.parameters) {
            (Some(own), Some(defaults)) if !own.is_empty() => Some(own.or(defaults)),
            _ => None,
        };
        let nothing = &self.engine.entries.primary.key.parameters;
        let parameters: &TokenParameters = match (&merged, own) {
            (Some(merged), _) => merged,
            (None, Some(own)) if !own.is_empty() => own,
            (None, _) => self.parameters.as_ref().unwrap_or(nothing),
        };
        parameters.check()?;
        if !self.engine.setup.for_users {
            return Ok((!parameters.is_empty()).then(|| {
                find(Wanted {
                    subject: None,
                    parameters,
                })
            }));
        }
        let subject = explicit.or(self.subject.as_ref()).or(ambient.subject());
        if subject.is_none() {
            return Err(no_subject());
        }
        Ok(Some(find(Wanted {
            subject,
            parameters,
        })))
    }

    pub(crate) fn demand(&self, options: Option<&TokenOptions>) -> Demand {
        let within = self.engine.setup.settings.wait_at_most;
        Demand {
            new: options.is_some_and(|options| options.force_refresh),
            minimum: options.and_then(|options| options.minimum_lifetime),
            ..Demand::within(within)
        }
    }

    /// Whether this answer of an API refuses the token.
    pub(crate) fn is_refused_by(&self, answer: &ApiAnswer<'_>) -> bool {
        self.refuses.is_refused_by(answer)
    }

    #[cold]
    fn without_users(&self) -> Error {
        let name = self.name();
        Error::settings(format!(
            "the request is for a user, and `{name}` has the application's own token only; leave the \
             subject out, or take a source whose grant is for users, such as \
             `RefreshTokenGrant::for_users`"
        ))
    }

    #[cold]
    fn reentrant(&self) -> Error {
        let name = self.name();
        Error::new(
            ErrorKind::Reentrant,
            format!(
                "getting a token for `{name}` needs a token of `{name}`; give the grant another client"
            ),
        )
    }

    fn subject(&self) -> Option<Subject> {
        self.subject.clone().or_else(Subject::current)
    }

    fn primary(&self) -> Result<Arc<Entry>, Error> {
        let entry = self.place(None, &Ambient::current(), None)?;
        Ok(entry.unwrap_or_else(|| self.engine.entries.primary.clone()))
    }
}

#[cold]
fn no_subject() -> Error {
    Error::new(
        ErrorKind::NoSubject,
        "the tokens are users' tokens, and nobody says for which user the request is: give it a \
         `Subject` as an extension, take a handle by `for_subject`, or run it in `Subject::scope`",
    )
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

#[cfg(test)]
mod tests {
    use super::TokenSource;
    use crate::endpoint::{ClientAuthentication, TokenEndpoint};
    use crate::grant::RefreshTokenGrant;
    use crate::key::Wanted;
    use crate::parameters::TokenParameters;
    use crate::subject::Subject;

    #[test]
    fn whoever_prints_the_handle_of_a_user_or_looks_at_its_status_takes_no_place_in_the_cache() {
        // F9: a log line must not drive a user out who calls.
        let client = ClientAuthentication::none("me");
        let endpoint = TokenEndpoint::new("https://as.test/token", client).unwrap();
        let users = TokenSource::from(RefreshTokenGrant::for_users(endpoint));
        let stranger = Subject::new("stranger").unwrap();
        let narrowed = TokenParameters::new().scope("a");
        for handle in [
            users.for_subject(&stranger),
            users
                .for_subject(&stranger)
                .with_parameters(narrowed.clone()),
        ] {
            assert!(format!("{handle:?}").contains("TokenStatus"));
            let status = handle.status();
            assert!(!status.is_usable() && status.failure().is_none());
            for parameters in [&TokenParameters::new(), &narrowed] {
                let wanted = Wanted {
                    subject: Some(&stranger),
                    parameters,
                };
                assert!(handle.engine().entries.find(wanted).is_none());
            }
        }
    }
}
