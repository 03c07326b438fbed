//! What decides: use the kept token, join a flight, or start one.

pub(crate) mod cache;
pub(crate) mod guard;
pub(crate) mod landing;
pub(crate) mod record;
pub(crate) mod refresh;
pub(crate) mod slot;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use reqwest::Url;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::access_token::{Issued, Refusal};
use crate::ambient::{Ambient, SourceId};
use crate::clock::{Clock, Moment};
use crate::error::{Error, ErrorKind};
use crate::flight::{self, Flight, Landing};
use crate::grant::SharedGrant;
use crate::jitter::Jitter;
use crate::keeper::cache::Cache;
use crate::keeper::guard::Refuser;
use crate::keeper::record::Record;
use crate::keeper::slot::{Ledger, Outcome, PendingRefusal, Slot};
use crate::schedule::{Age, Margins};
use crate::telemetry::{RefreshReason, Telemetry};

/// How long a call waits in the hard window before it takes the present token (B4) ...
const HARD_PATIENCE: Duration = Duration::from_millis(200);
/// ... and how long before the expiry it has to leave with it.
const LAST_EXIT: Duration = Duration::from_millis(20);
/// A refused token that was younger than this is no reason for an exempt refresh (C4).
const SETTLED: Duration = Duration::from_secs(1);
/// A runtime that is being shut down drops each flight that is started on it.
const MOST_ABORTED_FLIGHTS: u32 = 3;
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// Keeps the tokens of one source.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) id: SourceId,
    pub(crate) grant: SharedGrant,
    pub(crate) clock: Clock,
    pub(crate) jitter: Jitter,
    pub(crate) settings: Settings,
    pub(crate) telemetry: Telemetry,
    pub(crate) record: Arc<Record>,
    /// The slot of the requests that ask for nothing in particular: found without a look-up.
    pub(crate) primary: Arc<Slot>,
    pub(crate) cache: Cache,
    pub(crate) generations: AtomicU64,
    pub(crate) flights: watch::Sender<usize>,
    pub(crate) is_shut_down: AtomicBool,
}

/// What a user can set about refreshing.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) margins: Margins,
    pub(crate) attempt_timeout: Duration,
    pub(crate) refresh_timeout: Duration,
    pub(crate) wait_at_most: Duration,
    pub(crate) reuse_grace: Option<Duration>,
}

/// What one call wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// A token that is asked for now.
    pub(crate) new: bool,
    pub(crate) minimum: Option<Duration>,
    /// There is no second try with this one, so it is worth a wait for the newer token (B9).
    pub(crate) only_try: bool,
    /// How long the caller waits.
    pub(crate) within: Duration,
}

/// A token for a call, with the reason if it is not the one that the call wanted.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) token: Arc<Issued>,
    pub(crate) second_best: Option<Error>,
}

enum Decision {
    Use(Served),
    Fail(Error),
    Join {
        flight: Flight<Outcome>,
        /// What serves if the flight fails or takes longer than `patience`.
        fallback: Option<Arc<Issued>>,
        patience: Duration,
    },
}

impl Demand {
    /// Nothing but a token.
    pub(crate) fn within(within: Duration) -> Self {
        Self {
            new: false,
            minimum: None,
            only_try: false,
            within,
        }
    }

    fn is_plain(&self) -> bool {
        !self.new && self.minimum.is_none()
    }
}

impl Served {
    fn as_wanted(token: Arc<Issued>) -> Self {
        Self {
            token,
            second_best: None,
        }
    }

    fn instead(token: Arc<Issued>, reason: Error) -> Self {
        Self {
            token,
            second_best: Some(reason),
        }
    }
}

impl Keeper {
    /// Calls `with` on the present token if it is fresh and nobody has a reason against it: the
    /// path of a warm call, without a lock, an allocation or a reference counted.
    pub(crate) fn ready<T>(
        &self,
        slot: &Slot,
        demand: &Demand,
        with: impl FnOnce(&Issued, Moment) -> T,
    ) -> Option<T> {
        let now = self.clock.now();
        let present = slot.peek();
        let token = present.as_ref()?;
        let ready = demand.is_plain() && token.age(now) == Age::Fresh;
        (ready && !token.standing.is_refused()).then(|| with(token, now))
    }

    /// A token for a call, waited for if need be.
    pub(crate) async fn token(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        demand: &Demand,
    ) -> Result<Served, Error> {
        let began = self.clock.now();
        for _ in 0..MOST_ABORTED_FLIGHTS {
            let waited = self.clock.now().since(began);
            let left = demand.within.saturating_sub(waited);
            let (flight, fallback, patience) = match self.decide(slot, demand) {
                Decision::Use(served) => return Ok(served),
                Decision::Fail(error) => return Err(error),
                Decision::Join {
                    flight,
                    fallback,
                    patience,
                } => (flight, fallback, patience.min(left)),
            };
            let outcome = tokio::select! {
                biased;
                outcome = flight.outcome() => outcome,
                () = self.clock.sleep(patience) => Some(Err(Error::new(
                    ErrorKind::Timeout,
                    "no token came in time",
                ))),
            };
            let now = self.clock.now();
            match (outcome, fallback) {
                (Some(Ok(token)), _) => {
                    let token = token.issued().clone();
                    note_if_too_short(&token, demand, now);
                    return Ok(Served::as_wanted(token));
                }
                (Some(Err(error)), Some(token)) if token.is_usable(now) => {
                    return Ok(Served::instead(token, error));
                }
                (Some(Err(error)), _) => return Err(error),
                // Its runtime is gone: start another one on ours (A4).
                (None, _) => {}
            }
        }
        Err(Error::new(
            ErrorKind::Unavailable,
            "the runtime that should get the token is being shut down",
        ))
    }

    fn decide(self: &Arc<Self>, slot: &Arc<Slot>, demand: &Demand) -> Decision {
        let now = self.clock.now();
        let present = slot.present();
        let Some(token) = present.clone().filter(|token| token.is_usable(now)) else {
            let reason = match present {
                Some(_) => RefreshReason::Expired,
                None => RefreshReason::None,
            };
            return self.without_token(slot, now, demand, reason);
        };
        if demand.new {
            return self.asked_for(slot, now, demand);
        }
        if token.standing.is_refused()
            && let Some(decision) = self.refused(slot, &token, now, demand)
        {
            return decision;
        }
        if let Some(minimum) = demand.minimum
            && let Some(decision) = self.too_short(slot, &token, now, demand, minimum)
        {
            return decision;
        }
        match token.age(now) {
            Age::Fresh | Age::Expired => Decision::Use(Served::as_wanted(token)),
            Age::Soft => self.soft(slot, token, now, demand),
            Age::Hard => self.hard(slot, token, now, demand),
        }
    }

    /// B6: a failure is remembered, so that a thousand calls do not ask a dead server in a row.
    fn without_token(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        now: Moment,
        demand: &Demand,
        reason: RefreshReason,
    ) -> Decision {
        let mut ledger = slot.ledger();
        if ledger.flight().is_none() {
            let known = ledger.dry.standing(now.monotonic);
            if let Some(error) = known.or_else(|| ledger.told_to_wait(now.monotonic)) {
                return Decision::Fail(error.clone());
            }
        }
        self.join(slot, &mut ledger, reason, None, demand.within)
    }

    /// The caller asked for a new one. It does not take another: the error is what it wants then.
    fn asked_for(self: &Arc<Self>, slot: &Arc<Slot>, now: Moment, demand: &Demand) -> Decision {
        let mut ledger = slot.ledger();
        if ledger.flight().is_none()
            && let Err(error) = self.may_spend(&ledger, now)
        {
            return Decision::Fail(error);
        }
        let reason = RefreshReason::Caller;
        self.join(slot, &mut ledger, reason, None, demand.within)
    }

    /// An API has refused it. `None`: it is sent all the same, because nothing may be done yet.
    fn refused(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        token: &Arc<Issued>,
        now: Moment,
        demand: &Demand,
    ) -> Option<Decision> {
        let mut ledger = slot.ledger();
        if ledger.flight().is_none() {
            let refusal = ledger.refusal.clone().unwrap_or(PendingRefusal {
                refuser: None,
                exempt: false,
            });
            let permit = self.may_spend(&ledger, now).and_then(|()| {
                let permit = ledger
                    .guard
                    .permits(now.monotonic, &refusal.refuser, refusal.exempt);
                permit.map_err(|until| {
                    let pause = until.saturating_sub(now.monotonic);
                    Error::new(
                        ErrorKind::Unavailable,
                        "the API refuses new tokens too, so the next one is asked for later",
                    )
                    .with_retry_at(crate::clock::system_time(now.wall + pause))
                })
            });
            if let Err(reason) = permit {
                // By age it may still be due; that is not what the guard is for.
                return (token.age(now) == Age::Fresh)
                    .then(|| Decision::Use(Served::instead(token.clone(), reason)));
            }
            ledger
                .guard
                .begin(now.monotonic, &refusal.refuser, refusal.exempt);
            ledger.refusal = Some(PendingRefusal {
                exempt: false,
                ..refusal
            });
        }
        let (reason, fallback) = (RefreshReason::Refusal, Some(token.clone()));
        Some(self.join(slot, &mut ledger, reason, fallback, demand.within))
    }

    /// It does not live long enough for this call. `None`: it will have to do.
    fn too_short(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        token: &Arc<Issued>,
        now: Moment,
        demand: &Demand,
        minimum: Duration,
    ) -> Option<Decision> {
        let remaining = token.plan.remaining(now)?;
        if remaining >= minimum || !token.standing.can_last(minimum) {
            return None;
        }
        let mut ledger = slot.ledger();
        if ledger.flight().is_none() {
            self.may_spend(&ledger, now).ok()?;
        }
        let (reason, fallback) = (RefreshReason::Caller, Some(token.clone()));
        Some(self.join(slot, &mut ledger, reason, fallback, demand.within))
    }

    /// B3: one flight behind the callers' backs; whoever finds the ledger taken need not wait,
    /// since somebody else is deciding just that.
    fn soft(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        token: Arc<Issued>,
        now: Moment,
        demand: &Demand,
    ) -> Decision {
        let ledger = if demand.only_try {
            Some(slot.ledger())
        } else {
            slot.ledger_if_free()
        };
        let Some(mut ledger) = ledger else {
            return Decision::Use(Served::as_wanted(token));
        };
        let is_due = ledger.ahead.is_due(now.monotonic)
            && ledger.told_to_wait(now.monotonic).is_none()
            && !self.record.is_answer_lost();
        if ledger.flight().is_none() && !is_due {
            return Decision::Use(Served::as_wanted(token));
        }
        let (reason, fallback) = (RefreshReason::Soft, Some(token.clone()));
        let decision = self.join(slot, &mut ledger, reason, fallback, demand.within);
        if demand.only_try {
            decision
        } else {
            Decision::Use(Served::as_wanted(token))
        }
    }

    /// B4: a short wait, and never until the token is dead.
    fn hard(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        token: Arc<Issued>,
        now: Moment,
        demand: &Demand,
    ) -> Decision {
        let mut ledger = slot.ledger();
        let is_due = (ledger.ahead.is_due(now.monotonic) || !ledger.ahead.tried_in_hard_window)
            && ledger.told_to_wait(now.monotonic).is_none()
            && !self.record.is_answer_lost();
        if ledger.flight().is_none() && !is_due {
            return Decision::Use(Served::as_wanted(token));
        }
        let until_exit = token
            .plan
            .remaining(now)
            .unwrap_or_default()
            .saturating_sub(LAST_EXIT);
        let patience = if demand.only_try {
            demand.within
        } else {
            HARD_PATIENCE.min(until_exit)
        };
        let fallback = Some(token);
        self.join(slot, &mut ledger, RefreshReason::Hard, fallback, patience)
    }

    /// Whether a token request may be made although the present token would still do: not while a
    /// failed one is being waited out, and not if that would risk the present token (E3).
    fn may_spend(&self, ledger: &Ledger, now: Moment) -> Result<(), Error> {
        let known = ledger.urgent.standing(now.monotonic);
        if let Some(error) = known.or_else(|| ledger.told_to_wait(now.monotonic)) {
            return Err(error.clone());
        }
        if self.record.is_answer_lost() {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the answer to the refresh token was lost; it is sent again when the access token has expired",
            ));
        }
        Ok(())
    }

    /// Joins the flight under way, or starts one.
    fn join(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        ledger: &mut Ledger,
        reason: RefreshReason,
        fallback: Option<Arc<Issued>>,
        patience: Duration,
    ) -> Decision {
        let flight = match ledger.flight() {
            Some(flight) => Ok(flight),
            None => self.start(slot, ledger, reason),
        };
        match (flight, fallback) {
            (Ok(flight), fallback) => Decision::Join {
                flight,
                fallback,
                patience,
            },
            (Err(error), Some(token)) => Decision::Use(Served::instead(token, error)),
            (Err(error), None) => Decision::Fail(error),
        }
    }

    /// A flight is a task of its own: the refresh token that a server has just rotated must not be
    /// lost because a caller went away (A2).
    fn start(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        ledger: &mut Ledger,
        reason: RefreshReason,
    ) -> Result<Flight<Outcome>, Error> {
        if self.is_shut_down.load(Ordering::Acquire) {
            return Err(Error::new(
                ErrorKind::ShutDown,
                "the token source has been shut down",
            ));
        }
        let runtime = Handle::try_current().map_err(|error| {
            Error::settings("a token can only be asked for inside a tokio runtime")
                .with_source(error)
        })?;
        let (landing, flight) = flight::begin();
        ledger.flight = Some(flight.clone());
        let airborne = Airborne::start(self.clone());
        let marks = Ambient::current().refreshing(self.id);
        let work = airborne.fly(slot.clone(), reason, landing);
        #[cfg(feature = "tracing")]
        let work = tracing::Instrument::instrument(work, self.telemetry.flight_span(reason));
        runtime.spawn(marks.scope(work));
        Ok(flight)
    }

    /// An API, or the user by hand, refuses the token of this generation (C1). `resend` says that
    /// it was sent because another one had been refused.
    pub(crate) fn refuse(&self, slot: &Slot, generation: u64, refuser: &Refuser, resend: bool) {
        let now = self.clock.now();
        let mut ledger = slot.ledger();
        let present = slot
            .present()
            .filter(|token| token.generation == generation);
        // A body that cannot be sent twice meets the API with the next call's token only; that
        // one is as good as sent again. Once this API has taken it, its end is another story.
        let replacement = present.as_ref().is_some_and(|token| {
            token.replaces_for.as_ref() == Some(refuser)
                && !token.standing.was_accepted_by_refuser()
        });
        if resend || replacement {
            ledger
                .guard
                .resend_refused(now.monotonic, refuser, generation);
        }
        let Some(token) = present else {
            return;
        };
        let refusal = token.standing.refuse(now);
        if refusal == Refusal::Known {
            return;
        }
        let settled = now.since(token.plan.asked) >= SETTLED;
        ledger.refusal = Some(PendingRefusal {
            refuser: refuser.clone(),
            exempt: refusal == Refusal::First && token.standing.was_accepted() && settled,
        });
        drop(ledger);
        self.telemetry.token_refused();
    }

    /// A token that takes the place of the refused one of `generation`.
    ///
    /// # Errors
    /// The reason why there is none: the caller then gets the API's own answer (C8).
    pub(crate) async fn renewed(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        generation: u64,
        within: Duration,
    ) -> Result<Arc<Issued>, Error> {
        let served = self.token(slot, &Demand::within(within)).await?;
        let refused = served.token.generation == generation || served.token.standing.is_refused();
        match served.second_best {
            _ if !refused => Ok(served.token),
            Some(reason) => Err(reason),
            None => Err(Error::protocol(
                "there is no newer token than the one that was refused",
            )),
        }
    }

    /// The API at `url` has answered a request with the token of this generation.
    pub(crate) fn accept(
        &self,
        slot: &Slot,
        generation: u64,
        sent: Moment,
        success: bool,
        url: &Url,
    ) {
        let present = slot.peek();
        let Some(token) = present
            .as_ref()
            .filter(|token| token.generation == generation)
        else {
            return;
        };
        token.standing.accept(sent, success);
        if let Some(Some(refuser)) = &token.replaces_for
            && !token.standing.was_accepted_by_refuser()
            && refuser.matches(url)
            && token.standing.accept_by_refuser()
        {
            let mut ledger = slot.ledger();
            ledger.guard.resend_accepted(&Some(refuser.clone()));
        }
    }

    /// An API has accepted a token that was sent because another one had been refused.
    pub(crate) fn resend_accepted(&self, slot: &Slot, refuser: &Refuser) {
        slot.ledger().guard.resend_accepted(refuser);
    }

    /// Starts no more flights; returns when those under way have landed and the newest refresh
    /// token is safe, or after 10 s.
    pub(crate) async fn shut_down(&self) -> Result<(), Error> {
        self.is_shut_down.store(true, Ordering::Release);
        let landed = async {
            let _ = self.flights.subscribe().wait_for(|count| *count == 0).await;
            self.record.until_saved().await;
        };
        tokio::select! {
            biased;
            () = landed => Ok(()),
            () = self.clock.sleep(SHUTDOWN_PATIENCE) => Err(Error::new(
                ErrorKind::Timeout,
                "a token request or the saving of a refresh token was still under way after 10 s",
            )),
        }
    }
}

/// One refresh is made for a token that is too short-lived; what comes then is what the server has
/// to give (B9).
fn note_if_too_short(token: &Issued, demand: &Demand, now: Moment) {
    if let (Some(minimum), Some(remaining)) = (demand.minimum, token.plan.remaining(now))
        && remaining < minimum
    {
        token.standing.cannot_last(minimum);
    }
}

/// A flight in the air, counted for [`Keeper::shut_down`] until it is dropped.
struct Airborne(Arc<Keeper>);

impl Airborne {
    fn start(keeper: Arc<Keeper>) -> Self {
        keeper.flights.send_modify(|count| *count += 1);
        Self(keeper)
    }

    async fn fly(self, slot: Arc<Slot>, reason: RefreshReason, landing: Landing<Outcome>) {
        let keeper = &self.0;
        let work = AssertUnwindSafe(keeper.refresh(&slot, reason)).catch_unwind();
        let arrival = work.await.unwrap_or_else(|_| {
            Err(Error::new(
                ErrorKind::Panicked,
                "the grant panicked while it got a token",
            ))
        });
        landing.land(keeper.land(&slot, reason, arrival));
    }
}

impl Drop for Airborne {
    fn drop(&mut self) {
        self.0.flights.send_modify(|count| *count -= 1);
    }
}
