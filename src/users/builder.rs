//! The settings of users' sessions.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::api_answer::ApiAnswer;
#[cfg(any(test, feature = "test-util"))]
use crate::clock::TestClock;
use crate::endpoint::TokenEndpoint;
use crate::error::Error;
use crate::error_response::ErrorResponse;
use crate::expiry_margin::ExpiryMargin;
use crate::grant::{RefreshTokenGrant, SharedGrant};
use crate::parameters::TokenParameters;
use crate::source::builder::TokenSourceBuilder;
use crate::store::TokenStore;
use crate::telemetry::Event;
use crate::timeouts::Timeouts;
use crate::users::UserSessions;

/// Makes [`UserSessions`]; every setting has a default. Those that a [`TokenSourceBuilder`] has too mean
/// the same there.
#[must_use = "a builder makes nothing until `build` is called"]
pub struct UserSessionsBuilder {
    pub(super) source: TokenSourceBuilder,
    /// Whose refresh tokens the users bring; `None` for a grant of the program's own.
    endpoint: Option<TokenEndpoint>,
    parameters: TokenParameters,
}

impl UserSessionsBuilder {
    pub(crate) fn of_endpoint(endpoint: TokenEndpoint) -> Self {
        let grant = RefreshTokenGrant::of_users(endpoint.clone(), TokenParameters::new());
        Self {
            endpoint: Some(endpoint),
            ..Self::of_grant(Arc::new(grant))
        }
    }

    pub(crate) fn of_grant(grant: SharedGrant) -> Self {
        Self {
            source: TokenSourceBuilder::for_users(grant),
            endpoint: None,
            parameters: TokenParameters::new(),
        }
    }

    /// What the tokens are asked for with, where a request does not ask for something itself: scopes,
    /// resource, audience, parameters of the server's own. The token of a sign-in counts as one that was
    /// asked for so. Default: nothing, which means all that the user granted.
    pub fn parameters(mut self, parameters: TokenParameters) -> Self {
        self.parameters = parameters.or(&self.parameters);
        self
    }

    /// Where the sessions outlive the process, and are shared with other processes: `RedisStore`,
    /// `FileStore`, a store of your own. Default: the memory of this process.
    pub fn store(mut self, store: impl TokenStore) -> Self {
        self.source = self.source.store(store);
        self
    }

    /// Keeps an index of the sessions by the user (`sub`) and the sign-in (`sid`) that their id tokens
    /// name, so that [`UserSessions::sign_out_sub`] and [`UserSessions::sign_out_sid`] can end all of them,
    /// as OpenID Connect Back-Channel Logout 1.0 asks for. It is kept in the store, as digests, and costs
    /// each sign-in and sign-out with an id token two calls of the store for each of the two claims.
    /// Of one user 256 sessions are known, the newest. Default: no index.
    pub fn index_sessions(mut self) -> Self {
        self.source.keeps_index = true;
        self
    }

    /// How long a session stays that nobody uses, if the authorization server does not tell how
    /// long the refresh token lives. Default: 30 days.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.source.session_timeout = timeout;
        self
    }

    /// Within which time this process notices that another one has signed a user out, or in again,
    /// although the token that it has is still good. Halfway the store is asked behind the calls;
    /// a call that comes later than this waits for the answer, at most 2 s. Default: 60 s.
    /// (A user whose last call was at 8:00:00 is looked up behind the call of 8:00:40; one who
    /// comes at 9:00:00, before that call goes out.) Without a [`store`](Self::store) of the user's own
    /// there is no other process, and nothing to notice.
    #[doc(alias = "revalidate")]
    #[doc(alias = "validation_interval")]
    pub fn notice_within(mut self, time: Duration) -> Self {
        self.source.notice_within = time;
        self
    }

    /// What events and log lines call them. Default: the name of the grant, `refresh_token`.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.source = self.source.name(name);
        self
    }

    /// How long before its expiry a token is refreshed in the background, while calls go on with it.
    /// Default: 0.20 of its lifetime, at most 5 minutes, as with
    /// [`TokenSourceBuilder::refresh_before_expiry`].
    #[doc(alias = "refresh_ahead")]
    pub fn refresh_before_expiry(mut self, margin: ExpiryMargin) -> Self {
        self.source = self.source.refresh_before_expiry(margin);
        self
    }

    /// How long before its expiry calls begin to wait, up to 200 ms, for the refresh. Default: 0.05 of its
    /// lifetime, at most 30 s, as with [`TokenSourceBuilder::wait_before_expiry`].
    pub fn wait_before_expiry(mut self, margin: ExpiryMargin) -> Self {
        self.source = self.source.wait_before_expiry(margin);
        self
    }

    /// The lifetime of tokens whose answer does not state one. Default: such tokens are used until an API
    /// refuses them.
    pub fn default_lifetime(mut self, lifetime: Duration) -> Self {
        self.source = self.source.default_lifetime(lifetime);
        self
    }

    /// How long a token request, a refresh and a call that waits for a token may take. Default: 10 s, 30 s
    /// and 30 s.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.source = self.source.timeouts(timeouts);
        self
    }

    /// For how long the authorization server takes a refresh token that it has rotated already. Default:
    /// none, as with [`TokenSourceBuilder::reuse_grace`].
    pub fn reuse_grace(mut self, grace: Duration) -> Self {
        self.source = self.source.reuse_grace(grace);
        self
    }

    /// Called with each [`Event`], in the midst of things: it must be quick. Default: none.
    pub fn on_event(mut self, hook: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.source = self.source.on_event(hook);
        self
    }

    /// What of an API's answers refuses the token. Default: a 401, unless its challenge says that another
    /// token would not help, as with [`TokenSourceBuilder::refused_when`].
    pub fn refused_when(
        mut self,
        rule: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.source = self.source.refused_when(rule);
        self
    }

    /// The same where status and headers do not say it: the final URL is seen, too, as with
    /// [`TokenSourceBuilder::refused_when_answered`].
    pub fn refused_when_answered(
        mut self,
        rule: impl Fn(&ApiAnswer<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.source = self.source.refused_when_answered(rule);
        self
    }

    /// Answers the claims challenge of an API by one token request that asks for the claims, and one more
    /// sending, as with [`TokenSourceBuilder::ask_for_demanded_claims`]. What only the user can mend is in
    /// the answer's extensions ([`StepUp`](crate::StepUp)).
    /// Default: no token request; the challenge is in the extensions of the API's answer.
    pub fn ask_for_demanded_claims(mut self) -> Self {
        self.source = self.source.ask_for_demanded_claims();
        self
    }

    /// How many tokens are kept ready in this process, of all users and for all scopes, resources, audiences
    /// and parameters; the least recently used go first. No session is lost by that: the store has it.
    /// Default: 10,000.
    pub fn cache_capacity(mut self, tokens: usize) -> Self {
        self.source = self.source.cache_capacity(tokens);
        self
    }

    /// What of the authorization server's answers to a refresh says that the refresh token is dead, so
    /// that the user has to sign in again. For a server that says so in words of its own.
    /// Default: `invalid_grant`, and the codes that are known to mean the same
    /// (`bad_refresh_token`, `invalid_code`, ...); an answer that does not say why is doubted for
    /// minutes ([`Error::is_doubtful`](crate::Error::is_doubtful)). Never asked about a 5xx or a 429.
    ///
    /// ```
    /// # fn build(endpoint: &reqwest_bearer::TokenEndpoint) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::UserSessions;
    ///
    /// // Atlassian: 403 `unauthorized_client`, and only the description tells why.
    /// let users = UserSessions::builder(endpoint)
    ///     .refused_refresh_when(|response| {
    ///         response.error_description() == Some("refresh_token is invalid")
    ///     })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn refused_refresh_when(
        mut self,
        rule: impl Fn(&ErrorResponse) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.source = self.source.refused_refresh_when(rule);
        self
    }

    /// Takes time and timers from a clock that a test sets. Default: the machine's.
    #[cfg(any(test, feature = "test-util"))]
    pub fn clock(mut self, clock: &TestClock) -> Self {
        self.source = self.source.clock(clock);
        self
    }

    /// Takes this number, from 0 to 1, for each draw of the jitter. (0: the soft moment is where
    /// [`refresh_before_expiry`](Self::refresh_before_expiry) says; 0.5: pauses are what their rule says.)
    /// Default: another random number each time.
    #[cfg(any(test, feature = "test-util"))]
    pub fn jitter(mut self, draw: f64) -> Self {
        self.source = self.source.jitter(draw);
        self
    }

    /// Makes the sessions. Asks nobody: a server that is down is no reason to fail here.
    ///
    /// # Errors
    /// A setting that cannot work; the message says which, and how to mend it.
    pub fn build(self) -> Result<UserSessions, Error> {
        if self.endpoint.is_none() && !self.parameters.is_empty() {
            return Err(Error::settings(
                "a grant of your own says itself what it asks for; leave out `parameters`",
            ));
        }
        self.with_grant().handle().map(UserSessions)
    }

    pub(crate) fn with_defaults(self) -> UserSessions {
        UserSessions(self.with_grant().handle_with_faults())
    }

    fn with_grant(self) -> TokenSourceBuilder {
        match self.endpoint {
            Some(endpoint) => {
                let grant = RefreshTokenGrant::of_users(endpoint, self.parameters);
                self.source.grant(Arc::new(grant))
            }
            None => self.source,
        }
    }
}

impl fmt::Debug for UserSessionsBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("UserSessionsBuilder")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}
