//! What a record that was found in the store means for a flight.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Moment;
use crate::error::Error;
use crate::flight::Landing;
use crate::keeper::Keeper;
use crate::keeper::arrival::Arrival;
use crate::keeper::slot::{Outcome, Slot};
use crate::keeper::vault::Found;
use crate::kept::{Kept, KeptToken, Origin};
use crate::schedule::Age;
use crate::store::StoreKey;
use crate::telemetry::RefreshReason;
use crate::token::bearer_header;

/// A process whose answer the store did not take has saved it this long after the store is back,
/// although it has lost its lease: it asks every 3 s, and each question may take 2 s (F2).
const RESCUED_WITHIN: Duration = Duration::from_secs(6);

/// Looks that are further apart miss what a store that comes back shows for a moment: each look may
/// take 2 s.
const LONGEST_GAP: Duration = Duration::from_secs(3);

/// What one flight is to bring.
#[derive(Clone, Copy)]
pub(crate) struct Errand<'flight> {
    pub(crate) slot: &'flight Arc<Slot>,
    pub(crate) key: StoreKey,
    pub(crate) reason: RefreshReason,
    pub(crate) began: Moment,
    /// When its turn came (A6).
    pub(crate) at_work_since: Moment,
    /// The next look of the account at the start.
    pub(crate) began_at_look: u32,
    /// The epoch of the account at the start.
    pub(crate) epoch: u32,
    /// Tells whether anybody still waits for it.
    pub(crate) landing: &'flight Landing<Outcome>,
}

/// For how long a flight has been looking at a record without a gap. In a queue it sees nothing.
#[derive(Debug, Default)]
pub(crate) struct Watch(Option<(Moment, Moment)>);

impl Watch {
    /// The store has answered a look at the record.
    pub(crate) fn look(&mut self, now: Moment) {
        let since = match self.0 {
            Some((since, last)) if now.waited_since(last) < LONGEST_GAP => since,
            _ => now,
        };
        self.0 = Some((since, now));
    }

    /// How long ago the first look was, if no gap came after it.
    fn lasted(&self) -> Duration {
        self.0
            .map_or(Duration::ZERO, |(since, last)| last.waited_since(since))
    }
}

impl Keeper {
    /// What the record alone decides: there is a token that nobody here has used, the user is gone,
    /// or the refresh token is known to be dead.
    pub(crate) fn settled(
        &self,
        found: &Found,
        errand: Errand<'_>,
    ) -> Option<Result<Arrival, Error>> {
        let Errand {
            slot,
            reason,
            began,
            began_at_look,
            epoch,
            ..
        } = errand;
        if let Err(gone) = self.still_there(slot, found, epoch, began_at_look) {
            return Some(Err(gone));
        }
        if let Some(token) = self.newer_token(found, slot, reason, began) {
            slot.account.record.resume(found);
            return Some(Ok(Arrival::Kept(token)));
        }
        let record = &slot.account.record;
        record.resume(found);
        let has_refresh_token = found
            .kept
            .as_ref()
            .is_some_and(|kept| kept.refresh_token.is_some());
        if self.grant.needs_refresh_token() && !has_refresh_token {
            let error = Error::sign_in_required("nobody is signed in, or without a refresh token");
            return Some(Err(error.without_asking()));
        }
        let known = record.death().or_else(|| record.doubt(self.clock.now()));
        known.map(Err)
    }

    /// Takes the tokens of this process away if the store has others in their place, or none. The
    /// flight that asks began in `epoch`, at the look `began_at_look`.
    ///
    /// # Errors
    /// If it does, or this process has done so since `epoch`: the user signed out, or in again, or
    /// the session ended.
    pub(crate) fn still_there(
        &self,
        slot: &Slot,
        found: &Found,
        epoch: u32,
        began_at_look: u32,
    ) -> Result<(), Error> {
        if slot.key.subject.is_none() {
            return Ok(());
        }
        let account = &slot.account;
        // What was found may be older than what did that.
        if account.epoch() != epoch {
            return Err(Error::outdated());
        }
        let now = found.kept.as_ref().map(|kept| kept.origin);
        match account.record.origin() {
            Some(before) if now != Some(before) => {
                // A session that is gone leaves nothing by which the next one could be told to be the
                // same user's; and two sessions are the same user's only if both id tokens say so.
                let id_token = found.kept.as_ref().and_then(|kept| kept.id_token.as_ref());
                let was_signed_in = !matches!((before, now), (Origin::Grant, None));
                if was_signed_in && account.record.is_about_same_user(id_token) != Some(true) {
                    account.has_been_handed_over(began_at_look, found.look);
                }
                self.withdraw_since(epoch, slot);
                Err(match (before, now) {
                    (Origin::SignIn(_), None) => Error::sign_in_required(
                        "the session is gone: the user signed out, or did not use it for long",
                    )
                    .without_asking(),
                    // Another look finds the other session, or asks a grant that needs none.
                    _ => Error::outdated(),
                })
            }
            _ => {
                account.confirm(found.look);
                Ok(())
            }
        }
    }

    /// The store's token, if it is another and a later one than the present one, and does what the
    /// flight is for.
    pub(crate) fn newer_token(
        &self,
        found: &Found,
        slot: &Slot,
        reason: RefreshReason,
        began: Moment,
    ) -> Option<KeptToken> {
        let now = self.clock.now();
        let kept = found.kept.as_ref()?;
        let token = kept.token(&self.shared_parameters(&slot.key))?;
        // One that cannot be sent is nobody's newer token (D7).
        bearer_header(&token.access_token).ok()?;
        if let Some(present) = slot.present() {
            let same = present.is_text(&token.access_token);
            if same || token.issued_at < present.plan.asked.wall {
                return None;
            }
        }
        let age = self.plan_of(&token, now).age(now);
        let serves = match reason {
            RefreshReason::Caller => token.issued_at > began.wall && age != Age::Expired,
            RefreshReason::Soft | RefreshReason::Hard => age == Age::Fresh,
            RefreshReason::None | RefreshReason::Expired | RefreshReason::Refusal => {
                age != Age::Expired
            }
        };
        serves.then_some(token)
    }

    /// The refresh token was sent by somebody who has written nothing yet, and who may have lost
    /// the lease because the store was down. Who has been asking the store for a while without an
    /// error, such as a process that has waited for the lease, knows that nothing more comes.
    pub(crate) fn may_be_rescued(&self, found: &Found, watch: &Watch) -> bool {
        let Some(kept) = &found.kept else {
            return false;
        };
        let is_away = kept.away_since.is_some() && !kept.answer_lost;
        is_away && !self.is_forgiven(kept) && watch.lasted() < RESCUED_WITHIN
    }

    /// Whether the server would take the refresh token a second time.
    fn is_forgiven(&self, kept: &Kept) -> bool {
        let now = self.clock.now().wall;
        // Of what was sent in the future, by the clock of another machine, nobody knows how long ago
        // that was.
        let away = kept.away_since.and_then(|since| now.checked_sub(since));
        let grace = self.settings.reuse_grace;
        away.zip(grace).is_some_and(|(away, grace)| away < grace)
    }

    /// The refresh token was sent by somebody who wrote nothing of what came of it: another use
    /// might end the access tokens that are still good (E3). Once an API has refused one of them,
    /// there is nothing left to protect.
    pub(crate) fn held_back(&self, kept: &Kept, errand: Errand<'_>) -> Option<Error> {
        kept.away_since?;
        let now = self.clock.now().wall;
        let protects = kept.tokens.iter().any(|token| token.is_alive(now));
        if self.is_forgiven(kept) || !protects || errand.reason == RefreshReason::Refusal {
            return None;
        }
        Some(Error::answer_lost())
    }
}
