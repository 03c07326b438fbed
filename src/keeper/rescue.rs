//! Refresh tokens that a store did not take: in memory, and offered to it again and again (F2).

use std::sync::Arc;
use std::time::Duration;

use crate::keeper::Keeper;
use crate::keeper::slot::Slot;
use crate::keeper::takeoff::Airborne;
use crate::keeper::tenancy::Tenancy;
use crate::keeper::vault::{Found, Saved};
use crate::kept::Kept;
use crate::store::Version;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// A record that is newer than the store's.
#[derive(Debug)]
pub(crate) struct Unsaved {
    pub(crate) kept: Kept,
    pub(crate) expected: Option<Version>,
    pub(crate) version: Version,
    /// Kept alive, so that nobody else spends the refresh token that the store still has.
    pub(crate) tenancy: Arc<Tenancy>,
}

impl Keeper {
    /// Brings `unsaved` to safety from a task of its own; a shutdown waits for it.
    pub(crate) fn save_behind(self: &Arc<Self>, slot: &Arc<Slot>, unsaved: Unsaved) {
        self.telemetry.refresh_token_unsaved();
        let tenancy = unsaved.tenancy.clone();
        slot.account.record.put_unsaved(Box::new(unsaved));
        let airborne = Airborne::start(self.clone());
        let slot = slot.clone();
        tokio::spawn(async move {
            let keeper = airborne.keeper();
            let mut pause = FIRST_PAUSE;
            loop {
                // Whoever takes the lease now waits a few seconds for what we have.
                tokio::select! {
                    biased;
                    () = keeper.pause_or_closing(pause) => {}
                    () = tenancy.until_store_is_back() => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                if keeper.is_closing() {
                    pause = FIRST_PAUSE;
                }
                let _turn = slot.account.record.turn().await;
                if tenancy.while_renewing(keeper.save_unsaved(&slot)).await {
                    break;
                }
            }
        });
    }

    /// Offers what is unsaved to the store once more; whoever calls it has the turn. Returns
    /// whether there is nothing left to be saved.
    pub(crate) async fn save_unsaved(self: &Arc<Self>, slot: &Slot) -> bool {
        let record = &slot.account.record;
        let (Some(vault), Some(key)) = (&self.vault, slot.account.store_key) else {
            return true;
        };
        let Some(mut unsaved) = record.take_unsaved() else {
            return true;
        };
        let (expected, version) = (unsaved.expected, unsaved.version);
        let saved = vault.save(&key, &mut unsaved.kept, expected, version).await;
        match saved {
            // Somebody else was faster, or signed in again: theirs is used.
            Ok(
                Saved::Yes
                | Saved::Conflict(Found {
                    version: Some(_), ..
                }),
            ) => {}
            // The user has signed out meanwhile (F10).
            Ok(Saved::Conflict(_)) => self.revoke_behind(unsaved.kept.clone()),
            Err(_) => {
                record.put_unsaved(unsaved);
                return false;
            }
        }
        unsaved.tenancy.give_back().await;
        self.telemetry.refresh_token_saved();
        true
    }
}
