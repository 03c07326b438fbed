//! A look into the store behind the calls: whether another process has changed or ended the session.

use std::sync::Arc;

use crate::cache::entry::Entry;
use crate::engine::Engine;
use crate::refresh::ending::{Ending, session_is_gone};
use crate::refresh::identity::{Beginning, Identity};
use crate::refresh::issue::newer_token;
use crate::session::record::{Origin, RecordToken};
use crate::session::state::RefreshTokenState;
use crate::session::store::{Found, RecordStore, Saved};
use crate::store::{StoreKey, Version};
use crate::telemetry::RefreshReason;

/// Looks whether the record of `entry` still is what it was when the look was asked for, in this `epoch`;
/// the answer is another token, if there is one. The look waits for no flight: one that hangs must not
/// keep calls that have a good token (A5). What a flight has read of the record is its own affair.
pub(crate) async fn check(
    engine: &Engine,
    store: &Arc<RecordStore>,
    entry: &Entry,
    epoch: u32,
) -> Result<Option<RecordToken>, Ending> {
    let owner = &entry.owner;
    let endpoint = engine.setup.endpoint_of(&entry.key.owner()).await;
    let endpoint = endpoint.map_err(Ending::Failed)?;
    let key = engine.setup.store_key(endpoint.as_ref(), &entry.key);
    owner.asks_at(endpoint.as_ref());
    let turn = owner.turn_if_free();
    let beginning = Beginning {
        epoch,
        ..Beginning::of(entry)
    };
    let look = owner.succession.look();
    let found = store.load(&key).await.map_err(Ending::Failed)?;
    let identity = Identity::of(engine, entry, beginning, &found, look);
    if entry.key.subject.is_some() && (identity.is_superseded || identity.is_another()) {
        return Err(gone(&identity));
    }
    let now = engine.setup.clock.now();
    // In place of a good token only a fresh one will do, in place of none any that is good.
    let reason = match entry.usable(now) {
        Some(_) => RefreshReason::Soft,
        None => RefreshReason::NoToken,
    };
    let newer = newer_token(engine, entry, &found, reason, now);
    if turn.is_some() {
        owner.note(&found);
        touch(store, entry, &key, found).await;
    }
    Ok(newer)
}

fn gone(identity: &Identity) -> Ending {
    match (identity.known, identity.origin) {
        (Some(Origin::SignIn(_)), None) if !identity.is_superseded => {
            Ending::Known(session_is_gone())
        }
        _ => Ending::Superseded,
    }
}

/// Writes a record anew that was not written for long, so that a session in use stays (F9).
pub(crate) async fn touch(store: &RecordStore, entry: &Entry, key: &StoreKey, found: Found) {
    let (Some(mut record), Some(version)) = (found.record, found.version) else {
        return;
    };
    // The process that has sent the refresh token expects this version when its successor comes.
    let is_away = !matches!(
        record.state,
        RefreshTokenState::Ready | RefreshTokenState::Dead
    );
    if is_away || !store.is_to_be_touched(&record) {
        return;
    }
    let Ok(touched) = Version::random() else {
        return;
    };
    // If it fails, or another process writes, there will be another occasion.
    if let Ok(Saved::Yes) = store.save(key, &mut record, Some(version), touched).await {
        entry.owner.wrote(touched, &record);
    }
}
