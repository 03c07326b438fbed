//! Refresh tokens that a store did not take: in memory, and offered to it again and again (F2).

use std::sync::Arc;

use crate::cache::entry::Entry;
use crate::engine::{Engine, Task};
use crate::refresh::revocation;
use crate::session::lease::HeldLease;
use crate::session::retries::Retries;
use crate::session::store::Saved;

/// Brings what is unsaved to safety from a task of its own, which keeps the lease meanwhile; a
/// shutdown waits for it. It is tried as long as there is a token source, and some ten minutes
/// longer: or each source that was dropped while its store was away would live on in its tasks.
pub(crate) fn start(engine: &Arc<Engine>, entry: &Arc<Entry>, lease: Option<Arc<HeldLease>>) {
    let telemetry = &engine.setup.telemetry;
    telemetry.refresh_token_unsaved(None);
    if let Some(unsaved) = entry.owner.unsaved() {
        unsaved.count(telemetry);
    }
    let task = Task::begin(engine);
    let entry = entry.clone();
    tokio::spawn(async move {
        let engine = task.engine();
        let clock = &engine.setup.clock;
        let mut retries = Retries::new();
        loop {
            let pause = engine.work.pause_or_closing(clock, retries.pause());
            match &lease {
                // A process that takes the lease now waits a few seconds for what we have.
                Some(lease) => tokio::select! {
                    biased;
                    () = pause => {}
                    () = lease.until_store_is_back() => {}
                },
                None => pause.await,
            }
            if engine.work.is_closing() {
                retries.hurry();
            }
            let saving = async {
                let _turn = entry.owner.turn().await;
                offer(engine, &entry).await
            };
            let is_saved = match &lease {
                Some(lease) => lease.while_renewing(saving).await,
                None => saving.await,
            };
            if is_saved || !retries.go_on(task.is_abandoned()) {
                break;
            }
        }
        // Another flight may have saved it, and left the lease to this task.
        if let Some(lease) = lease {
            lease.give_back().await;
        }
    });
}

/// Offers what is unsaved to the store once more; the caller has the turn. Returns whether there is
/// nothing left to be saved.
pub(crate) async fn offer(engine: &Arc<Engine>, entry: &Entry) -> bool {
    let (Some(store), Some(unsaved)) = (&engine.setup.store, entry.owner.unsaved()) else {
        return true;
    };
    let (expected, version) = (unsaved.expected, unsaved.version);
    let mut record = unsaved.record.clone();
    let Ok(saved) = store
        .save(&unsaved.key, &mut record, expected, version)
        .await
    else {
        return false;
    };
    let was_ours = entry.owner.take_unsaved().is_some();
    // If another process has refreshed the same session, its record is used. A sign-out in this
    // process has taken what is unsaved along, and revokes it itself (F10).
    if let Saved::Conflict(found) = saved
        && was_ours
        && entry.key.subject.is_some()
        && found.is_another_session_than(&record)
    {
        revocation::start(engine, entry.key.owner(), record);
    }
    if let Some(lease) = &unsaved.lease {
        lease.give_back().await;
    }
    // First, so that whoever hears of it finds it counted no more.
    drop(unsaved);
    engine.setup.telemetry.refresh_token_saved();
    true
}
