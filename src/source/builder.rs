//! The settings of a token source.

use std::error::Error as StdError;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::{HeaderMap, StatusCode};

use crate::ambient::SourceId;
use crate::cache::map::EntryMap;
use crate::clock::Clock;
#[cfg(any(test, feature = "test-util"))]
use crate::clock::TestClock;
use crate::dpop::DpopSetting;
use crate::engine::{Engine, RefusedRefresh, Serves, Settings, Setup, Work};
use crate::error::Error;
use crate::error_response::ErrorResponse;
use crate::expiry_margin::ExpiryMargin;
#[cfg(feature = "signing")]
use crate::grant::SelfSignedToken;
use crate::grant::{JwtBearer, SharedGrant, TokenExchange};
use crate::jitter::Jitter;
use crate::refresh::adopt;
use crate::refusal_rule::RefusalRule;
use crate::schedule::Margins;
use crate::secret::Secret;
use crate::session::hook::HookFn;
use crate::session::owner::Owner;
use crate::session::record::Record;
use crate::session::reload::ReloadFn;
use crate::session::store::RecordStore;
use crate::source::TokenSource;
use crate::source::handle::Handle;
use crate::store::{MemoryStore, SharedStore, TokenStore};
use crate::telemetry::{Event, Hook, Telemetry};
use crate::timeouts::Timeouts;

static NEXT_SOURCE: AtomicU64 = AtomicU64::new(0);

/// Makes a [`TokenSource`]; every setting has a default.
#[must_use = "a builder makes nothing until `build` is called"]
#[derive(Debug)]
pub struct TokenSourceBuilder {
    grant: SharedGrant,
    serves: Serves,
    tenant: Option<Arc<str>>,
    name: Option<String>,
    settings: Settings,
    cache_capacity: usize,
    store: Option<SharedStore>,
    pub(crate) session_timeout: Duration,
    pub(crate) notice_within: Duration,
    pub(crate) keeps_index: bool,
    clock: Clock,
    jitter: Jitter,
    pub(crate) dpop: Option<DpopSetting>,
    pub(super) hooks: Hooks,
}

#[derive(Default)]
pub(super) struct Hooks {
    on_event: Option<Hook>,
    on_new_refresh_token: Option<HookFn>,
    reload_refresh_token: Option<ReloadFn>,
    pub(super) refuses: RefusalRule,
    refused_refresh: Option<RefusedRefresh>,
}

impl TokenSourceBuilder {
    pub(crate) fn new(grant: SharedGrant) -> Self {
        Self {
            grant,
            serves: Serves::Application,
            tenant: None,
            name: None,
            settings: Settings {
                margins: Margins::default(),
                timeouts: Timeouts::new(),
                reuse_grace: None,
                asks_for_claims: false,
            },
            cache_capacity: 10_000,
            store: None,
            session_timeout: Duration::from_secs(30 * 24 * 60 * 60),
            notice_within: Duration::from_secs(60),
            keeps_index: false,
            clock: Clock::system(),
            jitter: Jitter::Random,
            dpop: None,
            hooks: Hooks::default(),
        }
    }

    /// The same for the tokens of users: each request needs a subject, and no two subjects share a token.
    pub(crate) fn for_users(grant: SharedGrant) -> Self {
        Self {
            serves: Serves::Users,
            ..Self::new(grant)
        }
    }

    /// The same for the tokens that those of callers are exchanged for: each request needs one, and no two
    /// share what they are exchanged for.
    pub(crate) fn for_callers(grant: SharedGrant) -> Self {
        Self {
            serves: Serves::Callers,
            ..Self::new(grant)
        }
    }

    /// The same for the tokens of this tenant, which no other one's source shares a record with.
    pub(crate) fn of_tenant(self, tenant: &str) -> Self {
        Self {
            tenant: Some(tenant.into()),
            ..self
        }
    }

    /// The same by this clock.
    pub(crate) fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// The same with another grant.
    pub(crate) fn grant(self, grant: SharedGrant) -> Self {
        Self { grant, ..self }
    }

    /// What events and log lines call the source. Default: the name of its grant.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How long before its expiry a token is refreshed in the background, while calls go on with it.
    /// Default: 0.20 of its lifetime, at most 5 minutes. (With a token of 10 minutes, the request sent at
    /// 8:00 starts the refresh; jitter makes it up to 24 s earlier.)
    #[doc(alias = "refresh_ahead")]
    pub fn refresh_before_expiry(mut self, margin: ExpiryMargin) -> Self {
        self.settings.margins.soft = margin;
        self
    }

    /// How long before its expiry calls begin to wait, up to 200 ms, for the refresh. Default: 0.05 of its
    /// lifetime, at most 30 s. (With a token of 10 minutes, from 9:30.)
    pub fn wait_before_expiry(mut self, margin: ExpiryMargin) -> Self {
        self.settings.margins.hard = margin;
        self
    }

    /// The lifetime of tokens whose answer does not state one. Default: such tokens are used until
    /// an API refuses them.
    pub fn default_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.margins.default_lifetime = Some(lifetime);
        self
    }

    /// How long a token request, a refresh and a call that waits for a token may take. Default: 10 s, 30 s
    /// and 30 s.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.settings.timeouts = timeouts;
        self
    }

    /// For how long the authorization server takes a refresh token that it has rotated already
    /// ("reuse interval", "grace period"). Within it a refresh whose answer was lost is repeated at
    /// once. Default: none: such a refresh token is not sent again before the access token has
    /// expired, since the server might take it for theft and end the session.
    pub fn reuse_grace(mut self, grace: Duration) -> Self {
        self.settings.reuse_grace = Some(grace);
        self
    }

    /// Called with each new refresh token, and awaited before anybody sees the access token that
    /// came with it. If it fails, or takes longer than 10 s, the tokens are used all the same, an
    /// event says so and why, and the hook is called again, 1 s to 60 s apart, until it succeeds; once
    /// the source has been dropped by all who had it, ten times more. What it fails with can be any
    /// error type, `anyhow::Error` or a text; it is the source of the error in
    /// [`Event::RefreshTokenUnsaved`], and in no log line of this crate.
    /// Default: refresh tokens are kept in memory only.
    ///
    /// ```
    /// # async fn save(_: &str) -> std::io::Result<()> { Ok(()) }
    /// # fn build(grant: impl reqwest_bearer::Grant) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::TokenSource;
    ///
    /// let source = TokenSource::builder(grant)
    ///     .on_new_refresh_token(|refresh_token| async move { save(refresh_token.expose()).await })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_new_refresh_token<F, S, E>(mut self, hook: F) -> Self
    where
        F: Fn(Secret) -> S + Send + Sync + 'static,
        S: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.hooks.on_new_refresh_token = Some(HookFn::new(hook));
        self
    }

    /// Asked for the present refresh token when the authorization server says that the one it got is dead:
    /// for a refresh token that other programs use and rotate as well, each saving the new one at the same
    /// place. If it has another than the dead one, that is sent at once, in the same refresh; if it has the
    /// same, or none, the session is over
    /// ([`SignInRequired`](crate::ErrorKind::SignInRequired)). It is asked once in a refresh; calls that come
    /// later, after the pauses that follow a failure (1 s to 30 s), ask it again and nobody else. If it
    /// fails, panics or takes longer than 10 s, calls fail with an error that says so, and nothing counts as
    /// over.
    /// Default: what the server says is dead, is dead.
    ///
    /// ```
    /// # async fn save(_: &str) -> std::io::Result<()> { Ok(()) }
    /// # async fn load() -> std::io::Result<String> { Ok("r".into()) }
    /// # fn build(grant: impl reqwest_bearer::Grant) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::{Secret, TokenSource};
    ///
    /// let source = TokenSource::builder(grant)
    ///     .on_new_refresh_token(|refresh_token| async move { save(refresh_token.expose()).await })
    ///     .reload_refresh_token(|| async { load().await.map(Secret::new) })
    ///     .build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn reload_refresh_token<F, L, R, E>(mut self, hook: F) -> Self
    where
        F: Fn() -> L + Send + Sync + 'static,
        L: Future<Output = Result<R, E>> + Send + 'static,
        R: Into<Option<Secret>>,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        self.hooks.reload_refresh_token = Some(ReloadFn::new(hook));
        self
    }

    /// Called with each [`Event`], in the midst of things: it must be quick. Default: none.
    pub fn on_event(mut self, hook: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.hooks.on_event = Some(Arc::new(hook));
        self
    }

    /// What of an API's answers refuses the token. Default: a 401, unless its challenge says that
    /// another token would not help (`insufficient_scope`, `insufficient_user_authentication`,
    /// `insufficient_claims`, `invalid_request`). Some APIs say 403 or 400.
    pub fn refused_when(
        mut self,
        rule: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.hooks.refuses = RefusalRule::AtHome(Arc::new(rule));
        self
    }

    /// What of the authorization server's answers to a refresh says that the refresh token is dead, so
    /// that the user has to sign in again. For a server that says so in words of its own.
    /// Default: `invalid_grant`, and the codes that are known to mean the same
    /// (`bad_refresh_token`, `invalid_code`, ...); an answer that does not say why is doubted for
    /// minutes ([`Error::is_doubtful`](crate::Error::is_doubtful)). Never asked about a 5xx or a 429.
    ///
    /// ```
    /// # fn build(grant: impl reqwest_bearer::Grant) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::TokenSource;
    ///
    /// // Atlassian: 403 `unauthorized_client`, and only the description tells why.
    /// let source = TokenSource::builder(grant)
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
        self.hooks.refused_refresh = Some(RefusedRefresh(Arc::new(rule)));
        self
    }

    /// Where the token outlives the process, and where a hundred replicas share one. Default: the memory
    /// of this process.
    pub fn store(mut self, store: impl TokenStore) -> Self {
        self.store = Some(Arc::new(store));
        self
    }

    /// Answers the claims challenge of an API (`insufficient_claims`, Microsoft's continuous access
    /// evaluation): one token request asks for the claims that it names, decoded, and the API's request is
    /// sent once more with the token that comes. What the parameters of the token have as `claims`
    /// already, such as the client's capability, is sent along.
    ///
    /// Calls that no API demands claims of go on with the present token meanwhile. For the same claims and
    /// the same token the authorization server is asked until it has answered, and no more than five times
    /// in 30 s; then the API's own answer is passed on, with the challenge and the reason in its extensions,
    /// as it is for claims that are no JSON object or longer than 8 KiB.
    /// Default: no token request; the challenge is in the extensions of the API's answer.
    ///
    /// ```
    /// # fn build(endpoint: reqwest_bearer::TokenEndpoint) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::{ClientCredentials, TokenParameters, TokenSource};
    ///
    /// // Entra ID: says that this client knows what to do with a claims challenge.
    /// let capable = r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#;
    /// let parameters = TokenParameters::new()
    ///     .scope("https://graph.microsoft.com/.default")
    ///     .extra("claims", capable);
    /// let grant = ClientCredentials::new(endpoint).parameters(parameters);
    /// let source = TokenSource::builder(grant).ask_for_demanded_claims().build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ask_for_demanded_claims(mut self) -> Self {
        self.settings.asks_for_claims = true;
        self
    }

    /// How many tokens are kept ready in this process, for other users, scopes, resources, audiences
    /// and parameters; the least recently used go first. No session is lost by that: the store has
    /// it. Default: 10,000.
    pub fn cache_capacity(mut self, tokens: usize) -> Self {
        self.cache_capacity = tokens;
        self
    }

    /// Takes time and timers from a clock that a test sets. Default: the machine's.
    #[cfg(any(test, feature = "test-util"))]
    pub fn clock(mut self, clock: &TestClock) -> Self {
        self.clock = Clock::Test(clock.clone());
        self
    }

    /// Takes this number, from 0 to 1, for each draw of the jitter. (0: the soft moment is where
    /// [`refresh_before_expiry`](Self::refresh_before_expiry) says; 0.5: pauses are what their rule says.)
    /// Default: another random number each time.
    #[cfg(any(test, feature = "test-util"))]
    pub fn jitter(mut self, draw: f64) -> Self {
        self.jitter = Jitter::Fixed(draw.clamp(0.0, 1.0));
        self
    }

    /// Makes the source. Asks nobody: a server that is down is no reason to fail here.
    ///
    /// # Errors
    /// A setting that cannot work; the message says which, and how to mend it.
    pub fn build(self) -> Result<TokenSource, Error> {
        self.handle().map(TokenSource::new)
    }

    /// The source of a grant with the default settings. What is wrong with the grant, each call is told.
    pub(crate) fn with_defaults(self) -> TokenSource {
        TokenSource::new(self.handle_with_faults())
    }

    /// What `build` makes, whoever's tokens they are.
    pub(crate) fn handle(self) -> Result<Handle, Error> {
        self.check()?;
        self.check_grant()?;
        let (handle, adopted) = self.with_seed();
        adopted.map(|()| handle)
    }

    /// The same where nothing may fail: each call is told what is wrong with the grant, and so is whatever
    /// is built upon the source.
    pub(crate) fn handle_with_faults(self) -> Handle {
        let fault = self.check_grant().err();
        let (mut handle, adopted) = self.with_seed();
        handle.fault = fault.or(adopted.err());
        handle
    }

    fn has_assertion(&self) -> bool {
        let grant = self.grant.as_any();
        #[cfg(feature = "signing")]
        if grant.is::<SelfSignedToken>() {
            return true;
        }
        grant.is::<TokenExchange>() || grant.is::<JwtBearer>()
    }

    fn check_grant(&self) -> Result<(), Error> {
        self.grant.parameters().check_grant()?;
        match self.grant.as_any().downcast_ref::<TokenExchange>() {
            Some(exchange) if self.serves == Serves::Callers => exchange.check_for_callers(),
            Some(exchange) => exchange.check_for_application(),
            None => Ok(()),
        }
    }

    fn with_seed(self) -> (Handle, Result<(), Error>) {
        let seed = self.grant.seed();
        let handle = self.unchecked();
        let adopted = seed.map_or(Ok(()), |seed| {
            let engine = handle.engine();
            adopt(&engine.setup, &engine.entries.primary, &seed)
        });
        (handle, adopted)
    }

    fn check(&self) -> Result<(), Error> {
        self.settings.margins.check()?;
        self.settings.timeouts.check()?;
        for (name, duration) in [
            ("session_timeout", self.session_timeout),
            ("notice_within", self.notice_within),
        ] {
            if duration.is_zero() {
                return Err(Error::settings(format!(
                    "{name} is zero, which cannot work; give it a duration"
                ))
                .of_setting(name));
            }
        }
        let name = self.name.as_ref();
        if name.is_some_and(|name| name.trim().is_empty()) {
            return Err(Error::settings(
                "the name of the token source is empty; leave it out or give one",
            )
            .of_setting("name"));
        }
        if self.cache_capacity == 0 {
            return Err(Error::settings(
                "cache_capacity is zero; at least one token has to be kept",
            )
            .of_setting("cache_capacity"));
        }
        // Of two programs with the same settings each may have its own: no name in a store tells.
        if self.store.is_some() && self.has_assertion() {
            return Err(Error::settings(
                "the grant's tokens depend on a token or an assertion that no store knows, so they are never \
                 in one; leave out `store`",
            )
            .of_setting("store"));
        }
        let seed = self.grant.seed();
        let brings_one = seed.is_some_and(|seed| seed.refresh_token.is_some());
        if self.serves != Serves::Application && brings_one {
            return Err(Error::settings(
                "the grant brings the refresh token of one user; sign the users in instead",
            ));
        }
        if self.store.is_some() && brings_one {
            return Err(Error::settings(
                "the grant brings a refresh token of its own, and the store may have a newer one; take \
                 `UserSessions` and sign the user in",
            ));
        }
        for (name, is_set) in [
            (
                "on_new_refresh_token",
                self.hooks.on_new_refresh_token.is_some(),
            ),
            (
                "reload_refresh_token",
                self.hooks.reload_refresh_token.is_some(),
            ),
        ] {
            if self.store.is_some() && is_set {
                return Err(Error::settings(format!(
                    "refresh tokens are in the store, so the hook would never be called; leave out `{name}`"
                )));
            }
        }
        Ok(())
    }

    fn unchecked(self) -> Handle {
        let seed = self.grant.seed();
        let (refresh_token, id_token) = seed
            .map(|seed| (seed.refresh_token, seed.id_token))
            .unwrap_or_default();
        let grant: Arc<str> = self.grant.name().into();
        let telemetry = Telemetry {
            source: self.name.map_or_else(|| grant.clone(), Into::into),
            grant,
            hook: self.hooks.on_event,
        };
        // What no other process can change, this one need not notice.
        let notice_within = self.store.is_some().then_some(self.notice_within);
        let store = match self.store {
            Some(store) => Some(store),
            None if self.serves == Serves::Users => {
                let memory: SharedStore = Arc::new(MemoryStore::with(self.clock.clone()));
                Some(memory)
            }
            None => None,
        };
        let store = store.map(|store| {
            Arc::new(RecordStore::new(
                store,
                self.clock.clone(),
                telemetry.clone(),
                self.session_timeout,
                notice_within,
            ))
        });
        let owner = match &store {
            // What it owns is in the store.
            Some(_) => Owner::unknown(),
            None => {
                let tokens = Record {
                    refresh_token,
                    id_token,
                    ..Record::default()
                };
                Owner::without_store(
                    tokens,
                    self.hooks.on_new_refresh_token,
                    self.hooks.reload_refresh_token,
                )
            }
        };
        let shares_nothing = store.is_some() && self.serves == Serves::Application;
        let engine = Engine {
            entries: EntryMap::new(owner, shares_nothing, self.cache_capacity),
            setup: Setup {
                id: SourceId(NEXT_SOURCE.fetch_add(1, Ordering::Relaxed)),
                grant: self.grant,
                serves: self.serves,
                tenant: self.tenant,
                clock: self.clock,
                jitter: self.jitter,
                settings: self.settings,
                telemetry,
                refused_refresh: self.hooks.refused_refresh,
                dpop: self.dpop,
                seen: Default::default(),
                store,
                keeps_index: self.keeps_index,
            },
            work: Work::default(),
        };
        Handle::new(Arc::new(engine), self.hooks.refuses)
    }
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Hooks")
            .field("on_event", &self.on_event.is_some())
            .field("on_new_refresh_token", &self.on_new_refresh_token)
            .field("reload_refresh_token", &self.reload_refresh_token)
            .field("refuses", &self.refuses)
            .field("refused_refresh", &self.refused_refresh)
            .finish()
    }
}
