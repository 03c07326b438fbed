//! One refresh for all the processes that share a store: look, take the lease, look again, ask (F3).

use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::queue::Place;
use crate::error::{Error, ErrorKind};
use crate::flight::Landing;
use crate::keeper::Keeper;
use crate::keeper::arrival::Arrival;
use crate::keeper::custody::Custody;
use crate::keeper::findings::{Errand, Watch};
use crate::keeper::refresh::Budget;
use crate::keeper::slot::{Outcome, Slot};
use crate::keeper::tenancy::Tenancy;
use crate::keeper::transaction::Transaction;
use crate::keeper::vault::{Found, Saved, Vault};
use crate::kept::KeptToken;
use crate::key::TokenKey;
use crate::parameters::TokenParameters;
use crate::schedule::lease_poll_pause;
use crate::store::{StoreKey, Version};
use crate::telemetry::RefreshReason;

/// How often a flight begins anew because the record was changed under its hands.
const MOST_CONFLICTS: u32 = 5;
/// How much longer than one refresh the others are waited for: a lease that nobody renews.
const LEASE_GRACE: Duration = Duration::from_secs(10);

impl Keeper {
    /// Gets a token for `slot` from the store, or from the authorization server for all who share
    /// the store.
    pub(crate) async fn refresh_for_all(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        slot: &Arc<Slot>,
        reason: RefreshReason,
        epoch: u32,
        landing: &Landing<Outcome>,
    ) -> Result<Arrival, Error> {
        let Some(key) = self.store_key(&slot.key) else {
            return self.ask_alone(slot, reason, landing).await;
        };
        let (began, began_at_look) = (self.clock.now(), slot.account.looks());
        let _turn = slot.account.record.turn().await;
        let errand = Errand {
            slot,
            key,
            reason,
            began,
            at_work_since: self.clock.now(),
            began_at_look,
            epoch,
            landing,
        };
        let outcome = self.go(vault, errand).await;
        slot.account.record.rest();
        outcome
    }

    /// Looks whether the record of `slot` still is what it was; the answer is another token, if
    /// there is one. Waits for nobody: a flight that hangs must not keep calls that have a good
    /// token (A5). What such a flight has read of the record, and whether it lives on, is its care.
    pub(crate) async fn check(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        slot: &Arc<Slot>,
        epoch: u32,
    ) -> Result<Option<KeptToken>, Error> {
        let Some(key) = self.store_key(&slot.key) else {
            return Ok(None);
        };
        let turn = slot.account.record.turn_if_free();
        let began_at_look = slot.account.looks();
        let found = look(vault, slot, &key).await?;
        self.still_there(slot, &found, epoch, began_at_look)?;
        let now = self.clock.now();
        // In place of a good token only a fresh one will do, in place of none any that is good.
        let has_token = slot
            .peek()
            .as_ref()
            .is_some_and(|token| token.is_usable(now));
        let reason = if has_token {
            RefreshReason::Soft
        } else {
            RefreshReason::None
        };
        let newer = self.newer_token(&found, slot, reason, now);
        if turn.is_none() {
            return Ok(newer);
        }
        slot.account.record.resume(&found);
        slot.account.record.rest();
        if let (Some(mut kept), Some(version)) = (found.kept, found.version)
            && vault.is_to_be_touched(&kept)
            // Whoever has sent the refresh token expects this version when its successor comes.
            && kept.away_since.is_none()
        {
            let touched = Version::random()?;
            // If it fails, or somebody else writes, there will be another occasion.
            if let Ok(Saved::Yes) = vault.save(&key, &mut kept, Some(version), touched).await {
                slot.account.record.wrote(touched, kept.origin);
            }
        }
        Ok(newer)
    }

    /// What shapes a token of this key, whatever source it came through: the grant's own settings
    /// included.
    pub(crate) fn shared_parameters(&self, key: &TokenKey) -> TokenParameters {
        key.parameters.or(&self.grant.parameters())
    }

    async fn go(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        errand: Errand<'_>,
    ) -> Result<Arrival, Error> {
        if !self.save_unsaved(errand.slot).await {
            return Err(Error::store(
                "the newest refresh token is not in the store yet, so it is not spent",
            ));
        }
        let mut conflicts = 0;
        let mut budget = self.budget();
        let mut returns = false;
        let mut watch = Watch::default();
        loop {
            let found = match look(vault, errand.slot, &errand.key).await {
                Ok(found) => found,
                Err(error) => return self.without_store(errand, error).await,
            };
            watch.look(self.clock.now());
            if let Some(outcome) = self.settled(&found, errand) {
                return outcome;
            }
            // The place before the lease: of those who queue none keeps another process from a
            // refresh token, nor the store busy with renewals (A7).
            let Errand {
                slot,
                reason,
                landing,
                ..
            } = errand;
            let entered = self.enter_if_wanted(slot, reason, returns, &mut budget, landing);
            let place = entered.await?;
            returns = true;
            let look = slot.account.look();
            let (tenancy, found) = match Tenancy::take(vault, errand.key).await {
                Ok(Some((tenancy, found))) => {
                    let found = slot.account.record.without_own_mark(found);
                    (tenancy, Found { look, ..found })
                }
                Ok(None) => {
                    drop(place);
                    self.wait_for_the_other(errand).await?;
                    continue;
                }
                Err(error) => {
                    drop(place);
                    return self.without_store(errand, error).await;
                }
            };
            watch.look(self.clock.now());
            let held = Held {
                tenancy: tenancy.clone(),
                place,
                found,
            };
            let work = self.go_with_lease(vault, errand, held, &mut watch, &mut budget);
            let outcome = tenancy.while_renewing(work).await;
            tenancy.end().await;
            match outcome {
                Err(error) if error.is_outdated() && conflicts < MOST_CONFLICTS => conflicts += 1,
                // Nothing that the user could mend by a sign-in.
                Err(error) if error.is_outdated() => {
                    return Err(Error::store(
                        "the record is changed time and again, or its lease cannot be kept",
                    ));
                }
                outcome => return outcome,
            }
        }
    }

    async fn go_with_lease(
        self: &Arc<Self>,
        vault: &Arc<Vault>,
        errand: Errand<'_>,
        held: Held,
        watch: &mut Watch,
        budget: &mut Budget,
    ) -> Result<Arrival, Error> {
        let Held {
            tenancy,
            mut place,
            mut found,
        } = held;
        let mut has_watched = false;
        loop {
            if let Some(outcome) = self.settled(&found, errand) {
                return outcome;
            }
            if !self.may_be_rescued(&found, watch) {
                break;
            }
            place = None;
            has_watched = true;
            self.clock.sleep(lease_poll_pause(self.jitter.draw())).await;
            found = match look(vault, errand.slot, &errand.key).await {
                Ok(found) => found,
                Err(error) => return self.without_store(errand, error).await,
            };
            watch.look(self.clock.now());
        }
        let held_back = found
            .kept
            .as_ref()
            .and_then(|kept| self.held_back(kept, errand));
        let mut transaction = Transaction::new(self, vault, errand, tenancy, found);
        if let Some(error) = held_back {
            transaction.conclude_lost().await;
            return Err(error);
        }
        if has_watched {
            let Errand {
                slot,
                reason,
                landing,
                ..
            } = errand;
            let entered = self.enter_if_wanted(slot, reason, true, budget, landing);
            place = entered.await?;
        }
        let custody = Custody::Stored(Box::new(transaction));
        self.ask(errand.slot, errand.reason, custody, place).await
    }

    /// Another process has the lease: its token is taken as soon as it is there.
    async fn wait_for_the_other(&self, errand: Errand<'_>) -> Result<(), Error> {
        let waited = self.clock.now().waited_since(errand.at_work_since);
        if waited > self.settings.refresh_timeout.saturating_add(LEASE_GRACE) {
            return Err(Error::new(
                ErrorKind::Timeout,
                "another process is refreshing the token, and has not come to an end",
            ));
        }
        let pause = lease_poll_pause(self.jitter.draw());
        self.clock.sleep(pause).await;
        Ok(())
    }

    /// F4: a second request for an application's own token does no harm; a refresh token that the
    /// store cannot hear of is not spent.
    async fn without_store(
        self: &Arc<Self>,
        errand: Errand<'_>,
        error: Error,
    ) -> Result<Arrival, Error> {
        if self.for_users {
            return Err(error);
        }
        errand.slot.account.record.rest();
        self.ask(errand.slot, errand.reason, Custody::Unstored, None)
            .await
    }
}

/// What a flight has when it has the lease.
struct Held {
    tenancy: Arc<Tenancy>,
    place: Option<Place>,
    /// The record as it is under the lease.
    found: Found,
}

/// What the store has, as this process understands it.
async fn look(vault: &Vault, slot: &Slot, key: &StoreKey) -> Result<Found, Error> {
    let account = &slot.account;
    let look = account.look();
    let found = vault.load(key).await?;
    Ok(Found {
        look,
        ..account.record.without_own_mark(found)
    })
}

#[cfg(test)]
mod tests {
    use crate::clock::TestClock;
    use crate::grant::GrantFn;
    use crate::key::Wanted;
    use crate::parameters::TokenParameters;
    use crate::source::TokenSource;
    use crate::subject::Subject;
    use crate::token::TokenResponse;
    use crate::token_set::TokenSet;
    use std::time::Duration;

    #[tokio::test]
    async fn a_refresh_token_is_in_the_process_no_longer_than_a_flight_lasts() {
        // D6
        let clock = TestClock::new();
        let grant = GrantFn::for_users("rotates", |request| async move {
            let spent = request.refresh_token().cloned().unwrap();
            let token = TokenResponse::bearer("new").expires_in(Duration::from_secs(600));
            Ok(token.refresh_token(format!("{}+", spent.expose())))
        });
        let source = TokenSource::builder(grant).clock(&clock).build().unwrap();
        let subject = Subject::new("s").unwrap();
        let tokens = TokenSet::from_refresh_token("r").with_id_token("i");
        source.sign_in(&subject, tokens).await.unwrap();
        let slot = source.keeper().slot(Wanted {
            subject: Some(&subject),
            parameters: &TokenParameters::new(),
        });
        let of_subject = source.for_subject(&subject);
        for _ in 0..2 {
            of_subject.token().await.unwrap();
            let known = slot.account.record.refresh_token().unwrap();
            assert!(known.is_none());
            clock.advance(Duration::from_secs(601));
        }
    }
}
