//! What becomes of a flight's outcome: published, and noted for the schedule.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderValue;

use crate::access_token::{AccessToken, Brought, Issued, Standing};
use crate::clock::{Due, Moment};
use crate::error::Error;
use crate::keeper::Keeper;
use crate::keeper::refresh::Arrival;
use crate::keeper::slot::{Ledger, Outcome, Slot};
use crate::schedule::{Age, Plan};
use crate::telemetry::RefreshReason;
use crate::token::{Lifetime, bearer_header};
use crate::token_set::TokenSet;

impl Keeper {
    /// Publishes what arrived, or notes the failure. The flight is over when this returns.
    pub(crate) fn land(
        &self,
        slot: &Slot,
        reason: RefreshReason,
        arrival: Result<Arrival, Error>,
    ) -> Outcome {
        let token = arrival.and_then(|arrival| self.issue(slot, arrival));
        let mut ledger = slot.ledger();
        let outcome = match token {
            Ok(mut token) => {
                if reason == RefreshReason::Refusal {
                    token.replaces_for = ledger.refusal.as_ref().map(|known| known.refuser.clone());
                }
                Ok(self.publish(slot, &mut ledger, token))
            }
            Err(error) => Err(self.note_failure(slot, &mut ledger, error)),
        };
        ledger.flight = None;
        outcome
    }

    /// Makes `set`, which the grant or the user brought along, the present token.
    pub(crate) fn adopt(&self, slot: &Slot, set: &TokenSet) -> Result<(), Error> {
        let Some(access_token) = set.access_token() else {
            return Ok(());
        };
        let header = bearer_header(access_token)?;
        let now = self.clock.now();
        let issued_at = set.issued_at().unwrap_or(now.system_time());
        let age = now
            .system_time()
            .duration_since(issued_at)
            .unwrap_or_default();
        let mut asked = now;
        asked.monotonic = asked.monotonic.saturating_sub(age);
        asked.wall = asked.wall.saturating_sub(age);
        let lifetime = match set.expires_at() {
            Some(at) => Lifetime::Stated(at.duration_since(issued_at).unwrap_or_default()),
            None => Lifetime::Unstated,
        };
        let draw = self.jitter.draw();
        let plan = Plan::new(lifetime, None, asked, now, &self.settings.margins, draw);
        let brought = Brought {
            scope: set.scope().map(ToOwned::to_owned),
            id_token: set.id_token().cloned(),
            members: set.members.clone(),
        };
        slot.publish(Arc::new(self.issued(slot, header, plan, brought)));
        Ok(())
    }

    fn issue(&self, slot: &Slot, arrival: Arrival) -> Result<Issued, Error> {
        let Arrival { response, asked } = arrival;
        let header = bearer_header(&response.access_token)?;
        let asked_scope = response.asked_scope.or(slot.parameters.scope_text());
        self.note_scope(asked_scope.as_deref(), response.scope.as_deref());
        let plan = Plan::new(
            response.lifetime,
            response.refresh_in,
            asked,
            self.clock.now(),
            &self.settings.margins,
            self.jitter.draw(),
        );
        let brought = Brought {
            scope: response.scope,
            id_token: response.id_token,
            members: response.members,
        };
        Ok(self.issued(slot, header, plan, brought))
    }

    /// A token that nobody has seen yet.
    fn issued(&self, slot: &Slot, header: HeaderValue, plan: Plan, brought: Brought) -> Issued {
        let fresh_until = plan.fresh_until();
        Issued {
            header,
            generation: next_generation(),
            fresh_until: fresh_until.map_or(Due::Never, |moment| self.clock.due(moment)),
            plan,
            parameters: slot.parameters.clone(),
            brought: Arc::new(brought),
            replaces_for: None,
            standing: Arc::new(Standing::default()),
        }
    }

    /// B7: what a refresh brought is kept in any case; the schedule counts it as failed if it is
    /// the same token, or one that ends no later, so that it never loops.
    fn publish(&self, slot: &Slot, ledger: &mut Ledger, mut token: Issued) -> AccessToken {
        let now = self.clock.now();
        let Some(present) = slot.present() else {
            ledger.forget_failures();
            return publish(slot, token);
        };
        let outlives = token.plan.outlives(&present.plan, now);
        let same = token.header == present.header;
        if same {
            // It goes on under its old name, or a refusal would be forgotten.
            token.generation = present.generation;
            token.standing = present.standing.clone();
        }
        // One that nobody could use any more is no yardstick.
        let present_counts = present.is_usable(now);
        let stays = same && !outlives && present_counts;
        if present_counts && (same || !outlives) {
            self.note_in_vain(ledger, if stays { &present } else { &token }, now);
        } else {
            ledger.forget_failures();
        }
        if same && present.standing.is_refused() {
            let again = Error::protocol("the authorization server issued the refused token again");
            ledger.urgent.fail(now, again);
        } else if !same {
            ledger.refusal = None;
        }
        if stays {
            return AccessToken::new(present);
        }
        publish(slot, token)
    }

    /// The schedule's side of a refresh that did not help: `token` goes on serving.
    fn note_in_vain(&self, ledger: &mut Ledger, token: &Issued, now: Moment) {
        let longest = token.plan.longest_soft_pause();
        ledger
            .ahead
            .fail(now.monotonic, longest, self.jitter.draw());
        ledger.ahead.tried_in_hard_window |= token.age(now) == Age::Hard;
    }

    fn note_scope(&self, asked: Option<&str>, granted: Option<&str>) {
        let (Some(asked), Some(granted)) = (asked, granted) else {
            return;
        };
        let mut asked_each = asked.split_ascii_whitespace();
        if asked_each.any(|scope| !granted.split_ascii_whitespace().any(|known| known == scope)) {
            self.telemetry.scope_narrowed(asked, granted);
        }
    }

    fn note_failure(&self, slot: &Slot, ledger: &mut Ledger, error: Error) -> Error {
        let now = self.clock.now();
        let floor = error.retry_after().map(|pause| now.monotonic + pause);
        let present = slot.present();
        let error = match &present {
            Some(token) if token.is_usable(now) => {
                self.note_in_vain(ledger, token, now);
                ledger.urgent.fail(now, error)
            }
            _ => ledger.dry.fail(now, error),
        };
        ledger.floor = floor.map(|until| (until, error.clone()));
        error
    }
}

/// Counted for the whole process: a token that is refused by hand may be another source's.
fn next_generation() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

fn publish(slot: &Slot, token: Issued) -> AccessToken {
    let token = Arc::new(token);
    slot.publish(token.clone());
    AccessToken::new(token)
}
