//! What happened to one token key: the flight under way, the failures, the refusals.

use crate::cache::claims::AskedClaims;
use crate::cache::cooldowns::Cooldowns;
use crate::cache::limiter::Limiter;
use crate::cache::outcome::Outcome;
use crate::clock::Moment;
use crate::flight::{Flight, Waiter};
use crate::refuser::Refuser;

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

/// A refusal that may be answered by a refresh.
#[derive(Clone, Debug)]
pub(crate) struct PendingRefusal {
    pub(crate) refuser: Refuser,
    /// Not counted among the five in thirty seconds.
    pub(crate) exempt: bool,
}

impl History {
    /// A flight begins. However the one before has ended, this one does not ask for its claims: whoever
    /// has it do so says that next.
    pub(crate) fn begin(&mut self, flight: Flight<Outcome>, is_check: bool) {
        self.claims.end();
        self.flight = Some(flight);
        self.is_check = is_check;
    }

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
