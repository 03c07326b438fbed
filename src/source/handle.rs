//! What a source of tokens is made of, whoever's they are: the engine, and what its requests ask for.

use std::panic::resume_unwind;
use std::sync::Arc;

use http::Extensions;

use crate::access_token::AccessToken;
use crate::ambient::Ambient;
use crate::api_answer::ApiAnswer;
use crate::cache::entry::Entry;
use crate::cache::policy::Demand;
use crate::cache::rejection::Sending;
use crate::call;
use crate::engine::{Engine, Serves, runtime};
use crate::error::{Error, ErrorKind};
use crate::key::Wanted;
use crate::options::TokenOptions;
use crate::parameters::TokenParameters;
use crate::refusal_rule::RefusalRule;
use crate::refuser::Refuser;
use crate::source::watch::TokenWatch;
use crate::subject::Subject;
use crate::subject_token::SubjectToken;
#[cfg(feature = "mtls")]
use crate::telemetry::Telemetry;
use crate::token_owner::TokenOwner;

/// Cheap to clone; clones share everything.
#[derive(Clone)]
pub(crate) struct Handle {
    engine: Arc<Engine>,
    refuses: RefusalRule,
    /// Whose tokens this handle is for, unless a request says otherwise.
    subject: Option<Subject>,
    /// Whose token this handle's are exchanged for, unless a request says otherwise.
    subject_token: Option<SubjectToken>,
    /// What its requests ask for, unless they ask for something themselves.
    parameters: Option<Arc<TokenParameters>>,
    /// What is wrong with the grant, where the source was made by a conversion, which cannot fail.
    pub(crate) fault: Option<Error>,
}

/// For whom a request itself says that it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Explicit<'call> {
    pub(crate) subject: Option<&'call Subject>,
    pub(crate) subject_token: Option<&'call SubjectToken>,
}

impl<'call> Explicit<'call> {
    pub(crate) fn among(extensions: &'call Extensions) -> Self {
        Self {
            subject: extensions.get(),
            subject_token: extensions.get(),
        }
    }
}

impl Explicit<'_> {
    fn is_any(self) -> bool {
        self.subject.is_some() | self.subject_token.is_some()
    }
}

impl Handle {
    /// A handle for what this token is exchanged for.
    #[must_use]
    pub(crate) fn for_subject_token(&self, token: &SubjectToken) -> Self {
        Self {
            subject_token: Some(token.clone()),
            ..self.clone()
        }
    }

    /// A handle for the tokens of this user.
    #[must_use]
    pub(crate) fn for_subject(&self, subject: &Subject) -> Self {
        Self {
            subject: Some(subject.clone()),
            ..self.clone()
        }
    }

    /// A handle whose requests ask for tokens with these parameters.
    #[must_use]
    pub(crate) fn with_parameters(&self, parameters: TokenParameters) -> Self {
        Self {
            parameters: Some(Arc::new(match &self.parameters {
                Some(known) => parameters.or(known),
                None => parameters,
            })),
            ..self.clone()
        }
    }

    #[cfg(feature = "mtls")]
    pub(crate) fn telemetry(&self) -> &Telemetry {
        &self.engine.setup.telemetry
    }

    pub(crate) fn name(&self) -> &str {
        &self.engine.setup.telemetry.source
    }

    /// The usable access token for these options.
    pub(crate) async fn token(&self, options: &TokenOptions) -> Result<AccessToken, Error> {
        let served = self.serve(options).await;
        served.map_err(|error| self.named(error))
    }

    async fn serve(&self, options: &TokenOptions) -> Result<AccessToken, Error> {
        if options.anonymous {
            return Err(Error::settings(
                "the options ask for no token; leave `anonymous` out",
            ));
        }
        let entry = self.place_for_call(Explicit::default(), Some(options))?;
        let entry = entry.as_ref().unwrap_or(&self.engine.entries.primary);
        let demand = self.demand(Some(options));
        let served = call::token(&self.engine, entry, &demand, None).await?;
        Ok(AccessToken::new(served.token))
    }

    /// A server did not take this token.
    pub(crate) fn invalidate(&self, token: &AccessToken) {
        let issued = token.issued();
        // A place that is gone is not made again: that might cost another token its own.
        if let Some(entry) = self.engine.entries.find(issued.key.as_wanted()) {
            self.refuse_by_hand(&entry, issued.generation);
        }
    }

    /// Takes all tokens of the application, or of the user, for refused.
    pub(crate) fn invalidate_all(&self) -> Result<(), Error> {
        // The handle's own place may be that of a narrowed token.
        let own = self
            .place(Explicit::default(), &Ambient::current(), None)
            .map_err(|error| self.named(error))?;
        let own = own.unwrap_or_else(|| self.engine.entries.primary.clone());
        for entry in self.engine.entries.entries_of(&own.key) {
            if let Some(token) = entry.present() {
                self.refuse_by_hand(&entry, token.generation);
            }
        }
        Ok(())
    }

    /// The entry of the token that requests without options get, if there is one.
    pub(crate) fn present_entry(&self) -> Result<Option<Arc<Entry>>, Error> {
        // Found and not made: a caller who looks at a user who never calls takes no place in the cache.
        let find = |wanted: Wanted<'_>| self.engine.entries.find(wanted);
        let place = self.find(Explicit::default(), &Ambient::current(), None, find)?;
        Ok(place.unwrap_or_else(|| Some(self.engine.entries.primary.clone())))
    }

    /// Keeps the token of requests without options fresh, as long as the watch lives.
    pub(crate) fn keep_fresh(&self) -> Result<TokenWatch, Error> {
        let place = self.place_for_call(Explicit::default(), None);
        let place = place.map_err(|error| self.named(error))?;
        let entry = place.unwrap_or_else(|| self.engine.entries.primary.clone());
        let watch = TokenWatch::of(&self.engine, &entry);
        watch.map_err(|error| self.named(error))
    }

    /// Gets the first token; of users without one that is named, it finds the token endpoint.
    pub(crate) async fn warm_up(&self) -> Result<(), Error> {
        let is_named = match self.engine.setup.serves {
            Serves::Application => true,
            Serves::Users => self.subject.is_some() || Subject::current().is_some(),
            Serves::Callers => self.subject_token.is_some() || SubjectToken::current().is_some(),
        };
        let warm = match &self.fault {
            Some(fault) => Err(fault.clone()),
            None if !is_named => self.locate().await,
            None => self.token_ahead().await,
        };
        warm.map_err(|error| self.named(error))
    }

    /// Gets the token from a task of its own, which waits on where the caller gives up: the token is for the
    /// calls to come, and what is queued for nobody is dropped (A7).
    async fn token_ahead(&self) -> Result<(), Error> {
        let handle = self.clone();
        let work = async move { handle.token(&TokenOptions::new()).await };
        let task = runtime()?.spawn(Ambient::current().scope(work));
        match task.await {
            Ok(token) => token.map(drop),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(Error::new(
                    ErrorKind::Unavailable,
                    "the runtime that should get the token is being shut down",
                )),
            },
        }
    }

    /// Finds the token endpoint of the application, where users have the same.
    async fn locate(&self) -> Result<(), Error> {
        let endpoint = self.engine.setup.endpoint_of(&TokenOwner::Application);
        match endpoint.await? {
            Some(endpoint) => endpoint.locate().await,
            None => Ok(()),
        }
    }

    pub(crate) async fn shut_down(&self) -> Result<(), Error> {
        let ended = self.engine.shut_down().await;
        ended.map_err(|error| self.named(error))
    }

    fn refuse_by_hand(&self, entry: &Entry, generation: u64) {
        let (refuser, sending) = (Refuser::ByHand, Sending::First);
        call::refuse(&self.engine, entry, generation, &refuser, sending, None);
    }

    /// The error with the name of this source in it, if it has none: on its way out to a program that
    /// may have many.
    pub(crate) fn named(&self, error: Error) -> Error {
        self.engine.setup.named(error)
    }

    /// Whether its tokens may be bound to a key.
    pub(crate) fn offers_dpop(&self) -> bool {
        self.engine.setup.dpop.is_some()
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn new(engine: Arc<Engine>, refuses: RefusalRule) -> Self {
        Self {
            engine,
            refuses,
            subject: None,
            subject_token: None,
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
    #[expect(
        clippy::inline_always,
        reason = "every call asks, and most for nothing in particular: a warm one is 50 instructions cheaper"
    )]
    #[inline(always)]
    pub(crate) fn place_for_call(
        &self,
        explicit: Explicit<'_>,
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
        explicit: Explicit<'_>,
        ambient: &Ambient,
        options: Option<&TokenOptions>,
    ) -> Result<Option<Arc<Entry>>, Error> {
        self.find(explicit, ambient, options, |wanted| {
            self.engine.entry(wanted)
        })
    }

    /// What `find` makes of the place that is wanted; `None` as above.
    #[expect(clippy::inline_always, reason = "as above")]
    #[inline(always)]
    fn find<T>(
        &self,
        explicit: Explicit<'_>,
        ambient: &Ambient,
        options: Option<&TokenOptions>,
        find: impl FnOnce(Wanted<'_>) -> T,
    ) -> Result<Option<T>, Error> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        match self.engine.setup.serves {
            // The ambient subject says for whom the task is, not whose token each of its calls wants.
            Serves::Application => {
                if explicit.is_any() | self.subject.is_some() {
                    return Err(self.misplaced(explicit));
                }
                if options.is_none() && self.parameters.is_none() {
                    return Ok(None);
                }
            }
            Serves::Users if explicit.subject_token.is_none() => {}
            Serves::Callers if explicit.subject.is_none() => {}
            Serves::Users | Serves::Callers => return Err(self.misplaced(explicit)),
        }
        self.look_up(explicit, ambient, options, find)
    }

    fn look_up<T>(
        &self,
        explicit: Explicit<'_>,
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
        let (subject, subject_token) = match self.engine.setup.serves {
            Serves::Application => {
                return Ok((!parameters.is_empty()).then(|| {
                    find(Wanted {
                        subject: None,
                        parameters,
                        subject_token: None,
                    })
                }));
            }
            Serves::Users => {
                let explicit = explicit.subject;
                let subject = explicit.or(self.subject.as_ref()).or(ambient.subject());
                (subject.ok_or_else(no_subject)?, None)
            }
            Serves::Callers => {
                let token = explicit
                    .subject_token
                    .or(self.subject_token.as_ref())
                    .or(ambient.subject_token())
                    .ok_or_else(no_subject_token)?;
                (token.digest(), Some(token))
            }
        };
        Ok(Some(find(Wanted {
            subject: Some(subject),
            parameters,
            subject_token,
        })))
    }

    pub(crate) fn demand(&self, options: Option<&TokenOptions>) -> Demand {
        let within = self.engine.setup.settings.timeouts.wait;
        Demand {
            new: options.is_some_and(|options| options.force_refresh),
            minimum: options.and_then(|options| options.minimum_lifetime),
            ..Demand::within(within)
        }
    }

    /// Whether this answer of an API refuses the token.
    #[inline]
    pub(crate) fn is_refused_by(&self, answer: &ApiAnswer<'_>) -> bool {
        self.refuses.is_refused_by(answer)
    }

    /// Whether the claims that an API demands are asked for.
    pub(crate) fn asks_for_claims(&self) -> bool {
        self.engine.setup.settings.asks_for_claims
    }

    /// The request is for somebody whose tokens these are not.
    #[cold]
    fn misplaced(&self, explicit: Explicit<'_>) -> Error {
        match self.engine.setup.serves {
            Serves::Application if explicit.subject.or(self.subject.as_ref()).is_none() => {
                self.without_callers()
            }
            Serves::Users => self.without_callers(),
            Serves::Application | Serves::Callers => self.without_users(),
        }
    }

    fn without_users(&self) -> Error {
        let name = self.name();
        Error::settings(format!(
            "the request is for a user, and `{name}` has no users' tokens; leave the subject out, or take a \
             client of `UserSessions`"
        ))
    }

    fn without_callers(&self) -> Error {
        let name = self.name();
        Error::settings(format!(
            "the request is for a caller with a token of his own, and `{name}` exchanges none; leave the \
             subject token out, or take a client of `ExchangedTokens`"
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
}

#[cold]
fn no_subject() -> Error {
    Error::new(
        ErrorKind::NoSubject,
        "the tokens are users' tokens, and nobody says for which user the request is: give it a \
         `Subject` as an extension, take a handle by `for_subject`, or run it in `Subject::run`",
    )
}

#[cold]
fn no_subject_token() -> Error {
    Error::new(
        ErrorKind::NoSubject,
        "the tokens are exchanged for those of callers, and nobody says for which caller the request is: \
         give it a `SubjectToken` as an extension, take a handle by `for_subject_token`, or run it in \
         `SubjectToken::run`",
    )
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Handle")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}
