//! Refresh tokens that a store did not take: in memory, and offered to it again and again (F2).

use std::sync::Arc;
use std::time::Duration;

use crate::keeper::Keeper;
use crate::keeper::saver::TRIES_WITHOUT_SOURCE;
use crate::keeper::slot::Slot;
use crate::keeper::takeoff::Airborne;
use crate::keeper::tenancy::Tenancy;
use crate::keeper::vault::Saved;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl Keeper {
    /// Brings what is unsaved to safety from a task of its own, which keeps the lease meanwhile; a
    /// shutdown waits for it. It is tried as long as there is a token source, and some ten minutes
    /// longer: or each source that was dropped while its store was away would live on in its tasks.
    pub(crate) fn save_behind(self: &Arc<Self>, slot: &Arc<Slot>, tenancy: Arc<Tenancy>) {
        self.telemetry.refresh_token_unsaved(None);
        let airborne = Airborne::start(self.clone());
        let slot = slot.clone();
        tokio::spawn(async move {
            let keeper = airborne.keeper();
            let mut pause = FIRST_PAUSE;
            let mut left = TRIES_WITHOUT_SOURCE;
            while left > 0 {
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
                let saving = async {
                    let _turn = slot.account.record.turn().await;
                    keeper.save_unsaved(&slot).await
                };
                if tenancy.while_renewing(saving).await {
                    break;
                }
                if keeper.is_abandoned() {
                    left -= 1;
                }
            }
            // Somebody else may have saved it, and left the lease to this task.
            tenancy.give_back().await;
        });
    }

    /// Offers what is unsaved to the store once more; whoever calls it has the turn. Returns
    /// whether there is nothing left to be saved.
    pub(crate) async fn save_unsaved(self: &Arc<Self>, slot: &Slot) -> bool {
        let record = &slot.account.record;
        let key = self.store_key(&slot.key);
        let (Some(vault), Some(key)) = (&self.vault, key) else {
            return true;
        };
        let Some(unsaved) = record.unsaved() else {
            return true;
        };
        let (expected, version) = (unsaved.expected, unsaved.version);
        let mut kept = unsaved.kept.clone();
        let Ok(saved) = vault.save(&key, &mut kept, expected, version).await else {
            return false;
        };
        let was_ours = record.take_unsaved().is_some();
        // If another process has refreshed the same session, its record is used. A sign-out in this
        // process has taken what is unsaved along, and revokes it itself (F10).
        if let Saved::Conflict(found) = saved
            && was_ours
            && found.is_another_session_than(&kept)
        {
            self.revoke_behind(kept);
        }
        unsaved.tenancy.give_back().await;
        self.telemetry.refresh_token_saved();
        true
    }
}
