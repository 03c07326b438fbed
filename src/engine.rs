//! What all the tokens of one source share: how the source was set up, the entries, and the work under
//! way. What is done with them is decided in the rooms above.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::ambient::SourceId;
use crate::cache::entry::Entry;
use crate::cache::map::EntryMap;
use crate::clock::Clock;
use crate::clock_skew::ClockSkews;
use crate::dpop::{DpopKey, DpopSetting, Nonces, USE_DPOP_NONCE};
use crate::endpoint::TokenEndpoint;
use crate::error::{Error, ErrorKind, HowFar};
use crate::error_response::ErrorResponse;
use crate::grant::SharedGrant;
use crate::jitter::Jitter;
use crate::key::{TokenKey, Wanted};
use crate::parameters::TokenParameters;
use crate::schedule::Margins;
use crate::session::store::RecordStore;
use crate::store::StoreKey;
use crate::telemetry::Telemetry;
use crate::timeouts::Timeouts;
use crate::token_owner::TokenOwner;

const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// The engine of one source.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) setup: Setup,
    pub(crate) entries: EntryMap,
    pub(crate) work: Work,
}

/// What a source was built from. None of it changes.
#[derive(Debug)]
pub(crate) struct Setup {
    pub(crate) id: SourceId,
    pub(crate) grant: SharedGrant,
    /// Whose tokens they are; every call asks.
    pub(crate) serves: Serves,
    /// The tenant whose tokens they are, where a program has several.
    pub(crate) tenant: Option<Arc<str>>,
    pub(crate) clock: Clock,
    pub(crate) jitter: Jitter,
    pub(crate) settings: Settings,
    pub(crate) telemetry: Telemetry,
    /// What of the authorization server's answers refuses a refresh token, besides what RFC 6749 says.
    pub(crate) refused_refresh: Option<RefusedRefresh>,
    /// What the tokens are to be bound to, if they are.
    pub(crate) dpop: Option<DpopSetting>,
    /// What the APIs of bound tokens want in proofs, where the grant asks no endpoint that would know.
    pub(crate) seen: (Nonces, ClockSkews),
    /// Where the tokens outlive the process, if they do.
    pub(crate) store: Option<Arc<RecordStore>>,
    /// Whether the sessions are found by what their id tokens say.
    pub(crate) keeps_index: bool,
}

/// Whose the tokens of a source are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serves {
    /// The application's own.
    Application,
    /// Those of users who have signed in.
    Users,
    /// Those that the tokens of callers are exchanged for.
    Callers,
}

/// What a user can set about refreshing.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) margins: Margins,
    pub(crate) timeouts: Timeouts,
    pub(crate) reuse_grace: Option<Duration>,
    /// Whether the claims that an API demands are asked for (K28).
    pub(crate) asks_for_claims: bool,
}

/// A rule of the user's: whether an answer to a refresh says that the refresh token is dead.
#[derive(Clone)]
pub(crate) struct RefusedRefresh(pub(crate) Arc<dyn Fn(&ErrorResponse) -> bool + Send + Sync>);

impl fmt::Debug for RefusedRefresh {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RefusedRefresh")
    }
}

/// The tasks of one source, which a shutdown waits for.
#[derive(Debug)]
pub(crate) struct Work {
    under_way: watch::Sender<usize>,
    closing: watch::Sender<bool>,
}

impl Default for Work {
    fn default() -> Self {
        Self {
            under_way: watch::Sender::new(0),
            closing: watch::Sender::new(false),
        }
    }
}

impl Work {
    /// Starts no more flights.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Whether no more flights are to start.
    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Returns when no more flights are to start.
    pub(crate) async fn closed(&self) {
        // The sender is ours, so the channel cannot be closed.
        let _ = self.closing.subscribe().wait_for(|closing| *closing).await;
    }

    /// Returns when no task is under way.
    pub(crate) async fn ended(&self) {
        // The sender is ours, so the channel cannot be closed.
        let _ = self
            .under_way
            .subscribe()
            .wait_for(|count| *count == 0)
            .await;
    }

    /// Returns after `pause`, or sooner if the source is being shut down: then there is no time to
    /// lose.
    pub(crate) async fn pause_or_closing(&self, clock: &Clock, pause: Duration) {
        if self.is_closing() {
            return clock.sleep(pause).await;
        }
        tokio::select! {
            biased;
            () = self.closed() => {}
            () = clock.sleep(pause) => {}
        }
    }
}

/// A task under way, counted until it is dropped.
#[derive(Debug)]
pub(crate) struct Task(Arc<Engine>);

impl Task {
    pub(crate) fn begin(engine: &Arc<Engine>) -> Self {
        engine.work.under_way.send_modify(|count| *count += 1);
        Self(engine.clone())
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.0
    }

    /// Whether the program has dropped the token source, and only its own tasks are left: each of them
    /// holds the engine once.
    pub(crate) fn is_abandoned(&self) -> bool {
        Arc::strong_count(&self.0) <= *self.0.work.under_way.borrow()
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.work.under_way.send_modify(|count| *count -= 1);
    }
}

impl Setup {
    /// What shapes a token of this key, whatever source it came through: the grant's own settings
    /// included.
    pub(crate) fn shared_parameters(&self, key: &TokenKey) -> TokenParameters {
        key.parameters.or(&self.grant.parameters())
    }

    /// What the record of a token is called in the store: the one place that makes such names. A
    /// user's tokens have one record together, and each token of an application has its own (A5).
    pub(crate) fn store_key(&self, endpoint: Option<&TokenEndpoint>, key: &TokenKey) -> StoreKey {
        let server_and_client = endpoint.map(TokenEndpoint::identity);
        let whose = match &key.subject {
            Some(subject) => ["user", subject.as_str()],
            None => ["application", ""],
        };
        let who = [
            server_and_client.as_deref().unwrap_or_default(),
            self.grant.name(),
        ];
        let parameters = match &key.subject {
            Some(_) => TokenParameters::new(),
            None => self.shared_parameters(key),
        };
        // A text alone, behind pairs of texts: no parameter looks like it.
        let bound = self.dpop.as_ref().and_then(DpopSetting::of_process);
        let bound = bound.map(DpopKey::jkt);
        let fields: Vec<_> = parameters.form_fields().collect();
        let fields = fields
            .iter()
            .flat_map(|(name, value)| [*name, value.as_str()]);
        // Before the owner, which is another word: no list without a tenant is one with a tenant.
        let tenant = self.tenant.iter().flat_map(|tenant| ["tenant", tenant]);
        let narrowed = fields.chain(bound);
        StoreKey::of(who.into_iter().chain(tenant).chain(whose).chain(narrowed))
    }

    /// Whether a rule of the user's takes this answer for the end of a refresh token. A rule that panics
    /// decides nothing, and a server that fails has not judged.
    pub(crate) fn is_refused_refresh(&self, error: &Error) -> bool {
        let (Some(rule), Some(response)) = (&self.refused_refresh, error.error_response()) else {
            return false;
        };
        // Nor has one that wants another nonce.
        let is_judged =
            error.how_far() == HowFar::Answered && error.oauth_code() != Some(USE_DPOP_NONCE);
        is_judged && catch_unwind(AssertUnwindSafe(|| (rule.0)(response))).unwrap_or(false)
    }

    /// Names the source in an error, and in events.
    pub(crate) fn named(&self, error: Error) -> Error {
        error.of_token_source(&self.telemetry.source)
    }

    /// The token endpoint of the tokens of this owner, if the grant asks one.
    ///
    /// # Errors
    /// What the grant says, if it cannot tell.
    pub(crate) async fn endpoint_of(
        &self,
        owner: &TokenOwner,
    ) -> Result<Option<TokenEndpoint>, Error> {
        tokio::select! {
            biased;
            endpoint = self.grant.endpoint(owner) => endpoint,
            () = self.clock.sleep(self.settings.timeouts.attempt) => Err(Error::new(
                ErrorKind::Timeout,
                "the grant did not say in time which token endpoint it asks",
            )
            .got(HowFar::NotSent)),
        }
    }
}

impl Engine {
    /// The entry of the token that is wanted, made if there is none.
    pub(crate) fn entry(&self, wanted: Wanted<'_>) -> Arc<Entry> {
        self.entries.entry(wanted, self.setup.clock.now())
    }

    /// Starts no more flights; returns when those under way have landed, the tokens of those who have
    /// signed out are revoked, and the newest refresh token is safe, or after 10 s. Looks into the
    /// store, which calls with good tokens begin all the time, are not waited for.
    pub(crate) async fn shut_down(&self) -> Result<(), Error> {
        self.work.close();
        let clock = &self.setup.clock;
        let ended = async {
            self.work.ended().await;
            if let Some(hook) = &self.entries.primary.owner.hook {
                hook.until_saved(clock, &self.setup.telemetry).await;
            }
        };
        tokio::select! {
            biased;
            () = ended => Ok(()),
            () = clock.sleep(SHUTDOWN_PATIENCE) => Err(Error::new(
                ErrorKind::Timeout,
                "a token request, a revocation or the saving of a refresh token was still under way \
                 after 10 s",
            )),
        }
    }

    /// Ends the application's tokens for good: in this process at once, and in the store when the flights
    /// under way have landed.
    ///
    /// # Errors
    /// The first one, if the store cannot be told of a record; it is told of all the others nevertheless.
    pub(crate) async fn end(&self) -> Result<(), Error> {
        // First, so that no flight starts whose token would come after the others are gone.
        self.work.close();
        let primary = &self.entries.primary;
        let entries = self.entries.entries_of(&primary.key);
        for entry in &entries {
            // Each may have an owner of its own (A5). What is in the air lands in another epoch.
            entry.owner.succession.begin_epoch();
            entry.owner.forget();
            // Or it would be offered to the store until that has taken it.
            drop(entry.owner.take_unsaved());
            entry.clear();
        }
        let Some(store) = &self.setup.store else {
            return Ok(());
        };
        // A flight may be about to write what it brings. One that takes longer than that finds another
        // version of the record, unless there was none before.
        let _ = self.shut_down().await;
        let endpoint = self.setup.endpoint_of(&primary.key.owner()).await?;
        let mut ended = Ok(());
        for entry in &entries {
            // What came meanwhile, and the store did not take.
            drop(entry.owner.take_unsaved());
            let key = self.setup.store_key(endpoint.as_ref(), &entry.key);
            let removed = store.remove(&key).await;
            // One record that stays is no reason to leave the others.
            ended = ended.and(removed.map(drop));
        }
        ended
    }

    /// Takes the tokens of an owner away from this process.
    pub(crate) fn withdraw(&self, entry: &Entry) {
        // First, so that a flight which lands between the two finds out.
        entry.owner.succession.begin_epoch();
        self.take_away(entry);
    }

    /// The same, unless the user has signed in again or out since `epoch`: then these are other
    /// tokens.
    pub(crate) fn withdraw_since(&self, epoch: u32, entry: &Entry) {
        if entry.owner.succession.end_epoch(epoch) {
            self.take_away(entry);
        }
    }

    fn take_away(&self, entry: &Entry) {
        entry.owner.forget();
        for entry in self.entries.entries_of(&entry.key) {
            entry.clear();
        }
        // It may have left the cache, and be in a call's hands all the same.
        entry.clear();
    }
}

/// Names the server that a time-out of our own is about.
pub(crate) fn at_server(endpoint: Option<&TokenEndpoint>, error: Error) -> Error {
    match endpoint {
        Some(endpoint) => error.at_server(&endpoint.server()),
        None => error,
    }
}

/// The runtime of the caller: a flight needs its tasks, and a caller who waits for one its timers.
pub(crate) fn runtime() -> Result<Handle, Error> {
    Handle::try_current().map_err(|error| {
        Error::new(
            ErrorKind::Settings,
            "a token can only be asked for inside a tokio runtime",
        )
        .with_source(error)
    })
}
