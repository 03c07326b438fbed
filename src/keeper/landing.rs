//! What becomes of a flight's outcome: published, and noted for the schedule.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use http::HeaderValue;

use crate::access_token::{AccessToken, Brought, Issued, Recheck, Standing};
use crate::clock::{Due, Moment};
use crate::error::{Error, ErrorKind};
use crate::keeper::Keeper;
use crate::keeper::arrival::{Answer, Arrival};
use crate::keeper::session::since_epoch;
use crate::keeper::slot::{Ledger, Outcome, Slot};
use crate::kept::KeptToken;
use crate::parameters::TokenParameters;
use crate::schedule::{Age, Plan};
use crate::scope;
use crate::telemetry::RefreshReason;
use crate::token::{Lifetime, bearer_header};
use crate::token_set::TokenSet;

/// How long a store that could not be asked is not asked whether a failure still stands (B6).
const BLIND_FOR: Duration = Duration::from_secs(5);

/// What one API wants of the user is not asked again for so long, unless somebody signs in (K12).
const ONE_API_RESTS: Duration = Duration::from_secs(10 * 60);

impl Keeper {
    /// Publishes what arrived, or notes the failure. The flight is over when this returns. What was
    /// asked for in another `epoch` is nobody's any more.
    pub(crate) fn land(
        &self,
        slot: &Slot,
        reason: RefreshReason,
        epoch: u32,
        arrival: Result<Arrival, Error>,
    ) -> Outcome {
        let mut in_vain = None;
        let token = arrival.and_then(|arrival| match arrival {
            Arrival::Issued(mut answer) => {
                in_vain = answer.in_vain.take();
                self.issue(slot, answer)
            }
            Arrival::Kept(kept) => self.issue_kept(slot, &kept),
        });
        let mut ledger = slot.ledger();
        let outcome = match token {
            token if slot.account.epoch() != epoch => Err(of_another_epoch(token)),
            Ok(mut token) => {
                if reason == RefreshReason::Refusal {
                    token.replaces_for = ledger.refusal.as_ref().map(|known| known.refuser.clone());
                }
                let token = self.publish(slot, &mut ledger, token);
                if let Some(error) = in_vain {
                    self.note_failure(slot, &mut ledger, error);
                }
                Ok(token)
            }
            Err(error) => Err(self.note_failure(slot, &mut ledger, error)),
        };
        ledger.flight = None;
        outcome
    }

    /// Publishes what the store says of the present token: another one, or that it is still the
    /// same.
    pub(crate) fn land_check(
        &self,
        slot: &Slot,
        epoch: u32,
        newer: Result<Option<KeptToken>, Error>,
    ) -> Outcome {
        let newer = newer.and_then(|newer| {
            let issued = newer.map(|kept| self.issue_kept(slot, &kept));
            issued.transpose()
        });
        let mut ledger = slot.ledger();
        ledger.is_check = false;
        ledger.flight = None;
        if slot.account.epoch() != epoch {
            return Err(of_another_epoch(newer));
        }
        let now = self.clock.now();
        match newer {
            Ok(Some(token)) => return Ok(self.publish(slot, &mut ledger, token)),
            Err(error) if error.kind() == ErrorKind::SignInRequired => return Err(error),
            Err(_) => ledger.blind_until = now.monotonic + BLIND_FOR,
            Ok(None) => {}
        }
        let blind_for = ledger.blind_until.saturating_sub(now.monotonic);
        // A store that is down is no reason to take a good token away (F4).
        let Some(present) = slot.present().filter(|token| token.is_usable(now)) else {
            let known = ledger.known_failure(now).cloned();
            return Err(known.unwrap_or_else(Error::outdated));
        };
        let mut token = (*present).clone();
        if blind_for.is_zero() {
            self.recheck_in_time(&mut token);
        } else {
            self.recheck_after(&mut token, blind_for);
        }
        Ok(publish(slot, token))
    }

    /// Makes `set`, which the grant or the user brought along, the present token.
    pub(crate) fn adopt(&self, slot: &Slot, set: &TokenSet) -> Result<(), Error> {
        let Some(access_token) = set.access_token() else {
            return Ok(());
        };
        let now = self.clock.now();
        let issued_at = set.issued_at().map_or(now.wall, since_epoch);
        let kept = KeptToken {
            parameters: TokenParameters::new(),
            access_token: access_token.clone(),
            issued_at,
            expires_at: set.expires_at().map(since_epoch),
            refresh_at: None,
            scope: set.scope().map(ToOwned::to_owned),
            members: set.members.clone(),
            id_token: set.id_token().cloned(),
        };
        let token = self.issue_kept(slot, &kept)?;
        slot.publish(Arc::new(token));
        Ok(())
    }

    /// The plan of a token that another process, or an earlier life of this one, had got.
    pub(crate) fn plan_of(&self, kept: &KeptToken, now: Moment) -> Plan {
        let age = now.wall.saturating_sub(kept.issued_at);
        let asked = Moment {
            monotonic: now.monotonic.saturating_sub(age),
            wall: now.wall.saturating_sub(age),
        };
        let lifetime = match kept.expires_at {
            Some(at) => Lifetime::Stated(at.saturating_sub(kept.issued_at)),
            None => Lifetime::Unstated,
        };
        let refresh_in = kept.refresh_at.map(|at| at.saturating_sub(kept.issued_at));
        let draw = self.jitter.draw();
        Plan::new(
            lifetime,
            refresh_in,
            asked,
            now,
            &self.settings.margins,
            draw,
        )
    }

    fn issue_kept(&self, slot: &Slot, kept: &KeptToken) -> Result<Issued, Error> {
        let header = bearer_header(&kept.access_token)?;
        let plan = self.plan_of(kept, self.clock.now());
        let brought = Brought {
            scope: kept.scope.clone(),
            id_token: kept.id_token.clone(),
            members: kept.members.clone(),
        };
        Ok(self.issued(slot, header, plan, brought))
    }

    fn issue(&self, slot: &Slot, answer: Answer) -> Result<Issued, Error> {
        let Answer {
            response, asked, ..
        } = answer;
        let header = bearer_header(&response.access_token)?;
        let asked_scope = response.asked_scope.or(slot.key.parameters.scope_text());
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
        let mut token = Issued {
            header,
            generation: next_generation(),
            handovers: slot.account.handovers(),
            fresh_until: Due::Never,
            recheck: None,
            plan,
            key: slot.key.clone(),
            brought: Arc::new(brought),
            replaces_for: None,
            standing: Arc::new(Standing::default()),
        };
        self.recheck_in_time(&mut token);
        token
    }

    /// The store has been asked about the token just now, and is asked again soon enough.
    fn recheck_in_time(&self, token: &mut Issued) {
        let vault = self.vault.as_ref();
        let notice_within = vault.and_then(|vault| vault.notice_within);
        let halfway = notice_within.map_or(Duration::MAX, |time| time / 2);
        self.recheck_after(token, halfway);
    }

    /// Calls take the token as it is until its plan, or after `pause` the store, has to be asked.
    fn recheck_after(&self, token: &mut Issued, pause: Duration) {
        let now = self.clock.now();
        let vault = self.vault.as_ref().filter(|_| token.key.subject.is_some());
        let notice_within = vault.and_then(|vault| vault.notice_within);
        token.recheck = notice_within.map(|time| Recheck {
            overdue: now.later(time),
            lead: time.saturating_sub(pause),
        });
        let behind = token.recheck.map(Recheck::behind);
        let until = match (token.plan.fresh_until(), behind) {
            (Some(soft), Some(behind)) => Some(soft.earlier_of(behind)),
            (soft, behind) => soft.or(behind),
        };
        token.fresh_until = until.map_or(Due::Never, |moment| self.clock.due(moment));
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
        if !scope::missing(asked, granted).is_empty() {
            self.telemetry.scope_narrowed(asked, granted);
        }
    }

    fn note_failure(&self, slot: &Slot, ledger: &mut Ledger, error: Error) -> Error {
        let now = self.clock.now();
        let present = slot.present().filter(|token| token.is_usable(now));
        if let Some(token) = &present {
            self.note_in_vain(ledger, token, now);
        }
        // Nobody has to be spared who was not asked; and a user may sign in at any moment, through
        // another process. Only ahead of the expiry the pauses hold: what the store says of a good
        // token, it is asked often enough.
        if error.asked_nobody() && self.vault.is_some() {
            return error;
        }
        // `interaction_required` and its like may be over as soon as the user has been there; what Entra
        // says of one API stands until the next sign-in.
        let stands = error.is_about_one_api() && error.oauth_code() == Some("invalid_grant");
        let error = if stands {
            error.with_retry_after(ONE_API_RESTS)
        } else {
            error
        };
        let floor = error.retry_after().map(|pause| now.later(pause));
        let error = match present {
            Some(_) => ledger.urgent.fail(now, error),
            None => ledger.dry.fail(now, error),
        };
        ledger.floor = floor.map(|until| Box::new((until, error.clone())));
        error
    }
}

/// What a flight ends with that began before the user signed in again or out: whatever it met is
/// about tokens that are nobody's any more, unless it found out itself that they are.
fn of_another_epoch<T>(arrival: Result<T, Error>) -> Error {
    match arrival {
        Err(gone) if gone.asked_nobody() => gone,
        _ => Error::outdated(),
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
