//! What one call gets: the kept token, an error, or a place on a flight.

use std::sync::Arc;
use std::time::Duration;

use crate::access_token::Issued;
use crate::clock::{Moment, system_time};
use crate::error::{Error, ErrorKind};
use crate::flight::Waiter;
use crate::keeper::slot::{Ledger, Outcome, PendingRefusal, Slot};
use crate::keeper::takeoff::runtime;
use crate::keeper::{Demand, Keeper, Served};
use crate::refuser::Refuser;
use crate::schedule::Age;
use crate::telemetry::RefreshReason;

/// How long a call waits in the hard window before it takes the present token (B4) ...
const HARD_PATIENCE: Duration = Duration::from_millis(200);
/// ... and how long before the expiry it has to leave with it.
const LAST_EXIT: Duration = Duration::from_millis(20);

/// One call, while it is decided upon.
#[derive(Clone, Copy)]
struct Call<'call> {
    slot: &'call Arc<Slot>,
    now: Moment,
    demand: &'call Demand,
}

/// What it gets.
pub(crate) enum Decision {
    Use(Served),
    Fail(Error),
    Join {
        flight: Waiter<Outcome>,
        /// What serves if the flight fails or takes longer than `patience`.
        fallback: Option<Arc<Issued>>,
        patience: Duration,
        /// The flight only looks into the store, and the call wants more than that.
        ask_again: bool,
    },
}

impl Keeper {
    pub(crate) fn decide(self: &Arc<Self>, slot: &Arc<Slot>, demand: &Demand) -> Decision {
        let now = self.clock.now();
        // B3: a call that any token will do for does not wait for the ledger; whoever has it is
        // deciding just what this call would decide.
        let content = || {
            let token = slot.present()?;
            let will_do = demand.is_plain() && !token.standing.is_refused();
            let age = token.age(now);
            let ready = age == Age::Fresh || (age == Age::Soft && !demand.only_try);
            let overdue = token.recheck.is_some_and(|recheck| recheck.is_overdue(now));
            let nothing_to_do = age == Age::Fresh && !token.is_to_be_checked(now);
            (will_do && ready && !overdue).then_some((token, nothing_to_do))
        };
        let mut ledger = match content() {
            Some((token, true)) => return Decision::Use(Served::as_wanted(token)),
            Some((token, _)) => match slot.ledger_if_free() {
                Some(ledger) => ledger,
                None => return Decision::Use(Served::as_wanted(token)),
            },
            None => slot.ledger(),
        };
        // Read under the lock that flights land under: a token that landed a moment ago is seen,
        // and not asked for again.
        let present = slot.present();
        let call = Call { slot, now, demand };
        let Some(token) = present.clone().filter(|token| token.is_usable(now)) else {
            let reason = match present {
                _ if demand.new => RefreshReason::Caller,
                Some(_) => RefreshReason::Expired,
                None => RefreshReason::None,
            };
            return self.without_token(call, &mut ledger, reason);
        };
        if demand.new {
            return self.asked_for(call, &mut ledger);
        }
        if token.standing.is_refused()
            && let Some(decision) = self.refused(call, &mut ledger, &token)
        {
            return decision;
        }
        if let Some(minimum) = demand.minimum
            && let Some(decision) = self.too_short(call, &mut ledger, &token, minimum)
        {
            return decision;
        }
        // First the store, then the refresh: whoever has not been here for long may have signed out.
        let unseen = token.recheck.is_some_and(|recheck| recheck.is_overdue(now))
            && (ledger.is_check || !ledger.is_in_flight());
        match token.age(now) {
            Age::Fresh | Age::Expired => self.checked(call, &mut ledger, token),
            _ if unseen => self.checked(call, &mut ledger, token),
            Age::Soft => self.soft(call, &mut ledger, token),
            Age::Hard => self.hard(call, &mut ledger, token),
        }
    }

    /// B6: a failure is remembered, so that a thousand calls do not ask a dead server in a row. The
    /// store is asked all the same: the user may come back from a sign-in through another process.
    fn without_token(
        self: &Arc<Self>,
        call: Call<'_>,
        ledger: &mut Ledger,
        reason: RefreshReason,
    ) -> Decision {
        if !ledger.is_in_flight()
            && let Some(error) = ledger.known_failure(call.now).cloned()
        {
            return self.look_around(call, ledger, error);
        }
        self.join(call, ledger, reason, None, call.demand.within)
    }

    /// What was met here may be over elsewhere. If it was the store that failed, it is left alone.
    fn look_around(
        self: &Arc<Self>,
        call: Call<'_>,
        ledger: &mut Ledger,
        known: Error,
    ) -> Decision {
        let vault = self.vault.as_ref();
        let is_shared = vault.is_some_and(|vault| vault.notice_within.is_some());
        let may_look = is_shared
            && known.kind() != ErrorKind::Store
            && ledger.blind_until <= call.now.monotonic;
        let look = may_look.then(|| self.start_check(call.slot, ledger));
        match look {
            Some(Ok(flight)) => Decision::Join {
                flight,
                fallback: None,
                patience: call.demand.within,
                ask_again: call.demand.new,
            },
            Some(Err(_)) | None => Decision::Fail(known),
        }
    }

    /// The caller asked for a new one. It does not take another: the error is what it wants then.
    fn asked_for(self: &Arc<Self>, call: Call<'_>, ledger: &mut Ledger) -> Decision {
        if !ledger.is_in_flight()
            && let Err(error) = self.may_spend(call, ledger)
        {
            return Decision::Fail(error);
        }
        let reason = RefreshReason::Caller;
        self.join(call, ledger, reason, None, call.demand.within)
    }

    /// An API has refused it. `None`: it is sent all the same, because nothing may be done yet.
    fn refused(
        self: &Arc<Self>,
        call: Call<'_>,
        ledger: &mut Ledger,
        token: &Arc<Issued>,
    ) -> Option<Decision> {
        let now = call.now;
        if !ledger.is_in_flight() {
            let refusal = ledger.refusal.clone().unwrap_or(PendingRefusal {
                refuser: Refuser::ByHand,
                exempt: false,
            });
            // Also when the answer to the refresh token was lost: what E3 protects is lost too.
            let permit = may_ask(ledger, now).and_then(|()| {
                let permit = ledger
                    .guard
                    .permits(now.monotonic, &refusal.refuser, refusal.exempt);
                permit.map_err(|until| {
                    let pause = until.saturating_sub(now.monotonic);
                    Error::new(
                        ErrorKind::Unavailable,
                        "the API refuses new tokens too, so the next one is asked for later",
                    )
                    .with_retry_at(system_time(now.wall + pause))
                })
            });
            if let Err(reason) = permit {
                // By age it may still be due; that is not what the guard is for.
                return (token.age(now) == Age::Fresh).then(|| {
                    match self.checked(call, ledger, token.clone()) {
                        Decision::Use(_) => Decision::Use(Served::instead(token.clone(), reason)),
                        decision => decision,
                    }
                });
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
        Some(self.join(call, ledger, reason, fallback, call.demand.within))
    }

    /// It does not live long enough for this call. `None`: it will have to do.
    fn too_short(
        self: &Arc<Self>,
        call: Call<'_>,
        ledger: &mut Ledger,
        token: &Arc<Issued>,
        minimum: Duration,
    ) -> Option<Decision> {
        let remaining = token.plan.remaining(call.now)?;
        if remaining >= minimum || !token.standing.can_last(minimum) {
            return None;
        }
        if !ledger.is_in_flight() {
            self.may_spend(call, ledger).ok()?;
        }
        let (reason, fallback) = (RefreshReason::Caller, Some(token.clone()));
        let patience = call.demand.within.min(until_exit(token, call.now));
        Some(self.join(call, ledger, reason, fallback, patience))
    }

    /// B3: one flight behind the callers' backs. Who has one try only waits for it (B9), but not
    /// into the hard window: a server that hangs would keep it until there is no good token left.
    fn soft(self: &Arc<Self>, call: Call<'_>, ledger: &mut Ledger, token: Arc<Issued>) -> Decision {
        let is_due = ledger.ahead.is_due(call.now.monotonic) && self.may_go_ahead(call, ledger);
        if !ledger.is_in_flight() && !is_due {
            return self.checked(call, ledger, token);
        }
        let (reason, fallback) = (RefreshReason::Soft, Some(token.clone()));
        let patience = call.demand.within.min(token.plan.until_hard(call.now));
        let decision = self.join(call, ledger, reason, fallback, patience);
        if call.demand.only_try {
            decision
        } else {
            Decision::Use(Served::as_wanted(token))
        }
    }

    /// B4: a short wait, and never until the token is dead.
    fn hard(self: &Arc<Self>, call: Call<'_>, ledger: &mut Ledger, token: Arc<Issued>) -> Decision {
        let ahead = &ledger.ahead;
        let is_due = (ahead.is_due(call.now.monotonic) || !ahead.tried_in_hard_window)
            && self.may_go_ahead(call, ledger);
        if !ledger.is_in_flight() && !is_due {
            return self.checked(call, ledger, token);
        }
        let patience = if call.demand.only_try {
            call.demand.within
        } else {
            HARD_PATIENCE
        };
        let patience = patience.min(until_exit(&token, call.now));
        let fallback = Some(token);
        self.join(call, ledger, RefreshReason::Hard, fallback, patience)
    }

    /// A token that is good by its age, if nobody else has ended the session meanwhile: within the
    /// time that was promised, the store has been asked.
    fn checked(
        self: &Arc<Self>,
        call: Call<'_>,
        ledger: &mut Ledger,
        token: Arc<Issued>,
    ) -> Decision {
        let Some(recheck) = token.recheck.filter(|recheck| recheck.is_due(call.now)) else {
            return Decision::Use(Served::as_wanted(token));
        };
        let flight = match ledger.join() {
            Some(flight) => Ok(flight),
            None => self.start_check(call.slot, ledger),
        };
        match flight {
            Ok(flight) if recheck.is_overdue(call.now) => Decision::Join {
                flight,
                patience: call.demand.within.min(until_exit(&token, call.now)),
                // If the session lives on, its token may be due to be refreshed.
                ask_again: token.age(call.now) != Age::Fresh,
                fallback: Some(token),
            },
            Ok(_) => Decision::Use(Served::as_wanted(token)),
            Err(error) => Decision::Use(Served::instead(token, error)),
        }
    }

    /// Whether a token may be refreshed ahead of its expiry: not while the server asks us to wait,
    /// and not if that would risk the present token (E3).
    fn may_go_ahead(&self, call: Call<'_>, ledger: &Ledger) -> bool {
        ledger.told_to_wait(call.now).is_none() && !call.slot.account.record.is_answer_lost()
    }

    /// Whether a token request may be made although the present token would still do: not while a
    /// failed one is being waited out, and not if that would risk the present token (E3).
    fn may_spend(&self, call: Call<'_>, ledger: &Ledger) -> Result<(), Error> {
        may_ask(ledger, call.now)?;
        if call.slot.account.record.is_answer_lost() {
            return Err(Error::answer_lost());
        }
        Ok(())
    }

    /// Joins the flight under way, or starts one.
    fn join(
        self: &Arc<Self>,
        call: Call<'_>,
        ledger: &mut Ledger,
        reason: RefreshReason,
        fallback: Option<Arc<Issued>>,
        patience: Duration,
    ) -> Decision {
        let under_way = ledger.join();
        let ask_again = under_way.is_some() && ledger.is_check;
        let flight = match under_way {
            Some(flight) => runtime().map(|_| flight),
            None => self.start(call.slot, ledger, reason),
        };
        match (flight, fallback) {
            (Ok(flight), fallback) => Decision::Join {
                flight,
                fallback,
                patience,
                ask_again,
            },
            (Err(error), Some(token)) => Decision::Use(Served::instead(token, error)),
            (Err(error), None) => Decision::Fail(error),
        }
    }
}

/// How long a call may wait before it has to leave with this token.
fn until_exit(token: &Issued, now: Moment) -> Duration {
    let remaining = token.plan.remaining(now).unwrap_or(Duration::MAX);
    remaining.saturating_sub(LAST_EXIT)
}

/// Whether no failed token request is being waited out.
pub(crate) fn may_ask(ledger: &Ledger, now: Moment) -> Result<(), Error> {
    let known = ledger.urgent.standing(now);
    match known.or_else(|| ledger.told_to_wait(now)) {
        Some(error) => Err(error.clone()),
        None => Ok(()),
    }
}
