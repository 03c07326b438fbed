//! What happened to one token key: the flight under way, the failures, the refusals.

use std::time::Duration;

use crate::cache::claims::AskedClaims;
use crate::cache::limiter::Limiter;
use crate::cache::outcome::Outcome;
use crate::clock::Moment;
use crate::cooldown::Cooldown;
use crate::error::Error;
use crate::flight::{Flight, Waiter};
use crate::refuser::Refuser;
use crate::schedule::soft_pause;

/// The history of one key.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) flight: Option<Flight<Outcome>>,
    /// The flight under way asks the store and nobody else: a caller who wants a new token asks again
    /// after it.
    pub(crate) is_check: bool,
    pub(crate) cooldowns: Cooldowns,
    pub(crate) limiter: Limiter,
    /// The refusal that the present token has met, if any.
    pub(crate) refusal: Option<PendingRefusal>,
    pub(crate) claims: AskedClaims,
}

/// What is waited out.
#[derive(Debug, Default)]
pub(crate) struct Cooldowns {
    /// Failed refreshes of a token that is still good (B5).
    pub(crate) ahead: Cooldown,
    /// One more attempt is due when the hard window begins, whatever the pause.
    pub(crate) tried_in_hard_window: bool,
    /// Failed refreshes that left no usable token (B6).
    pub(crate) dry: Cooldown,
    /// Failed refreshes while there was a usable token, for callers who do not want that one: an API
    /// has refused it, or they asked for another.
    pub(crate) urgent: Cooldown,
    /// The server asked not to be asked before (`Retry-After`).
    pub(crate) told: Cooldown,
    /// The store could not be asked a moment ago whether a failure still stands.
    pub(crate) store: Cooldown,
}

/// A refusal that may be answered by a refresh.
#[derive(Clone, Debug)]
pub(crate) struct PendingRefusal {
    pub(crate) refuser: Refuser,
    /// Not counted among the five in thirty seconds.
    pub(crate) exempt: bool,
}

impl History {
    /// Whether a flight is under way that still may land.
    pub(crate) fn is_in_flight(&self) -> bool {
        self.flight.as_ref().is_some_and(Flight::is_under_way)
    }

    /// Joins the flight under way, if there is one.
    pub(crate) fn join(&self) -> Option<Waiter<Outcome>> {
        self.flight.as_ref()?.join()
    }

    /// All is well again: only refusals are remembered.
    pub(crate) fn forget_failures(&mut self) {
        self.cooldowns = Cooldowns::default();
    }

    /// The refusal that a refresh would answer.
    pub(crate) fn pending_refusal(&self) -> PendingRefusal {
        self.refusal.clone().unwrap_or(PendingRefusal {
            refuser: Refuser::ByHand,
            exempt: false,
        })
    }

    /// A refresh begins that answers the refusal.
    pub(crate) fn begin_refusal(&mut self, now: Moment) {
        let refusal = self.pending_refusal();
        self.limiter
            .begin(now.monotonic, &refusal.refuser, refusal.exempt);
        self.refusal = Some(PendingRefusal {
            exempt: false,
            ..refusal
        });
    }

    /// The refused token is refused by another API as well: that one need not wait for the pause
    /// that the first one has earned (C4).
    pub(crate) fn hand_over_refusal(&mut self, now: Moment, refuser: &Refuser) {
        let Some(pending) = &mut self.refusal else {
            return;
        };
        let permit = self
            .limiter
            .permits(now.monotonic, &pending.refuser, pending.exempt);
        if pending.refuser != *refuser && permit.is_err() {
            *pending = PendingRefusal {
                refuser: refuser.clone(),
                exempt: false,
            };
        }
    }
}

impl Cooldowns {
    /// Why no token is asked for at present, where there is none.
    pub(crate) fn known_failure(&self, now: Moment) -> Option<&Error> {
        self.dry.standing(now).or_else(|| self.told.standing(now))
    }

    /// Why no token is asked for at present in place of one that would still do.
    pub(crate) fn reason_to_wait(&self, now: Moment) -> Option<&Error> {
        self.urgent
            .standing(now)
            .or_else(|| self.told.standing(now))
    }

    /// How long until the first of the pauses that last at `now` is over.
    pub(crate) fn until_next_end(&self, now: Moment) -> Option<Duration> {
        let all = [
            &self.ahead,
            &self.dry,
            &self.urgent,
            &self.told,
            &self.store,
        ];
        all.into_iter().filter_map(|pause| pause.left(now)).min()
    }

    /// A refresh ahead of the expiry has failed; the token that is still good is in its hard window or
    /// not.
    pub(crate) fn failed_ahead(
        &mut self,
        now: Moment,
        longest: Duration,
        is_in_hard_window: bool,
        draw: f64,
    ) {
        let pause = soft_pause(self.ahead.failures(), longest, draw);
        self.ahead.pause(now, pause);
        self.tried_in_hard_window |= is_in_hard_window;
    }
}
