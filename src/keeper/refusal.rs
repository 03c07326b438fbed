//! What the APIs make of a token: refused, accepted, and what follows from it (C1, C4).

use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;

use crate::access_token::{Issued, Refusal};
use crate::clock::Moment;
use crate::error::Error;
use crate::keeper::decision::may_ask;
use crate::keeper::slot::{PendingRefusal, Slot};
use crate::keeper::{Demand, Keeper};
use crate::refuser::Refuser;

/// A token that is refused sooner than this after it was asked for is brand-new (C4). Less than a
/// second: a token that is revoked each second is refused a little before that age.
const SETTLED: Duration = Duration::from_millis(750);

/// How often a request had been sent when its token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sending {
    First,
    /// With another token, since the first one had been refused.
    Second,
}

impl Keeper {
    /// An API, or the user by hand, refuses the token of this generation (C1).
    pub(crate) fn refuse(&self, slot: &Slot, generation: u64, refuser: &Refuser, sending: Sending) {
        let now = self.clock.now();
        let mut ledger = slot.ledger();
        let present = slot
            .present()
            .filter(|token| token.generation == generation);
        // A body that cannot be sent twice meets the API with the next call's token only; that
        // one is as good as sent again, until the API has accepted it. By hand nobody says so, and
        // its age has to tell.
        let replacement = present.as_ref().is_some_and(|token| {
            let accepted = match refuser {
                Refuser::Api(_) => token.standing.is_proven(),
                Refuser::ByHand => is_settled(token, now),
            };
            token.replaces_for.as_ref() == Some(refuser) && !accepted
        });
        if sending == Sending::Second || replacement {
            ledger
                .guard
                .resend_refused(now.monotonic, refuser, generation);
        }
        let Some(token) = present else {
            return;
        };
        let refusal = token.standing.refuse(now);
        if refusal == Refusal::Known {
            ledger.hand_over_refusal(now.monotonic, refuser);
            return;
        }
        let settled = is_settled(&token, now);
        ledger.refusal = Some(PendingRefusal {
            refuser: refuser.clone(),
            exempt: refusal == Refusal::First && token.standing.was_accepted() && settled,
        });
        drop(ledger);
        self.telemetry.token_refused();
    }

    /// A token that takes the place of the refused one of `generation`. A request that went out
    /// after so many `handovers` is not sent again with what came after more of them.
    ///
    /// # Errors
    /// The reason why there is none: the caller then gets the API's own answer (C8).
    pub(crate) async fn renewed(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        generation: u64,
        handovers: u32,
        within: Duration,
    ) -> Result<Arc<Issued>, Error> {
        let served = self.token(slot, &Demand::within(within)).await?;
        if served.token.handovers != handovers {
            return Err(Error::outdated());
        }
        let refused = served.token.generation == generation || served.token.standing.is_refused();
        match served.second_best {
            _ if !refused => Ok(served.token),
            Some(reason) => Err(reason),
            // By its age the token would do, so nothing was asked for; what a failed attempt left
            // behind is why.
            None => Err(may_ask(&slot.ledger(), self.clock.now())
                .err()
                .unwrap_or_else(|| {
                    Error::protocol("there is no newer token than the one that was refused")
                })),
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
        if let Some(refuser) = &token.replaces_for
            && !token.standing.is_proven()
            && refuser.is_at(url)
        {
            token.standing.prove();
            let mut ledger = slot.ledger();
            ledger.guard.resend_accepted(refuser);
        }
    }

    /// An API has accepted a token that was sent because another one had been refused.
    pub(crate) fn resend_accepted(&self, slot: &Slot, refuser: &Refuser) {
        slot.ledger().guard.resend_accepted(refuser);
    }
}

fn is_settled(token: &Issued, now: Moment) -> bool {
    now.since(token.plan.asked) >= SETTLED
}
