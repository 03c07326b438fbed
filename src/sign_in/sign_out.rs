//! The end of one user's session, or of all that go back to one user or one sign-in.

use std::sync::Arc;

use crate::cache::entry::Entry;
use crate::engine::Engine;
use crate::error::Error;
use crate::refresh::revocation::{self, SignOut};
use crate::session::record::Record;
use crate::session::store::RecordStore;
use crate::sign_in::index::{self, Claim, claims_of};
use crate::sign_in::place::{Place, primary, see_through, store_of};
use crate::store::{StoreKey, Version};
use crate::subject::Subject;
use crate::token_owner::TokenOwner;

/// Forgets the tokens of a user, and has them revoked behind the caller's back. Once begun, it is carried
/// through.
///
/// # Errors
/// If the store cannot be told.
pub(crate) async fn sign_out(engine: &Arc<Engine>, subject: &Subject) -> Result<SignOut, Error> {
    let work = {
        let (engine, subject) = (engine.clone(), subject.clone());
        async move { forget(&engine, &subject).await }
    };
    see_through(engine, work).await
}

/// The same for all sessions with this claim (F13).
///
/// # Errors
/// If no index is kept, or the store cannot be told; then some of the sessions may have ended.
pub(crate) async fn end_all(engine: &Arc<Engine>, claim: Claim) -> Result<Vec<SignOut>, Error> {
    if !engine.setup.keeps_index {
        return Err(Error::settings(
            "no index of the sessions is kept; set `index_sessions` before the users sign in",
        ));
    }
    let work = {
        let engine = engine.clone();
        async move { forget_all(&engine, &claim).await }
    };
    see_through(engine, work).await
}

async fn forget(engine: &Arc<Engine>, subject: &Subject) -> Result<SignOut, Error> {
    let place = Place::of(engine, subject).await?;
    let removed = place.store.remove(&place.key).await;
    let primary = primary(engine, subject);
    primary.owner.succession.hand_over();
    engine.withdraw(&primary);
    let stored = removed?.record;
    let newest = newest(&primary, stored).await;
    let id_token = newest.as_ref().and_then(|record| record.id_token.as_ref());
    index::remove(place.store, &place.index_keys(id_token), &place.key).await;
    Ok(revoked(engine, primary.key.owner(), newest))
}

async fn forget_all(engine: &Arc<Engine>, claim: &Claim) -> Result<Vec<SignOut>, Error> {
    let store = store_of(engine)?;
    let setup = &engine.setup;
    let endpoint = setup.endpoint_of(&TokenOwner::Application).await?;
    let identity = endpoint
        .as_ref()
        .map(|endpoint| endpoint.identity())
        .unwrap_or_default();
    let index_key = claim.key(&identity, setup.grant.name());
    let mut ended = Vec::new();
    for session in index::sessions(store, &index_key).await? {
        let removed = remove_if_meant(store, &session, claim).await?;
        index::remove(store, &[index_key], &session).await;
        let Some(record) = removed else {
            continue;
        };
        // In this process the calls hear of it now, in others within the time that was promised.
        let here = engine
            .entries
            .users()
            .into_iter()
            .find(|entry| setup.store_key(endpoint.as_ref(), &entry.key) == session);
        let newest = match &here {
            Some(entry) => {
                entry.owner.succession.hand_over();
                engine.withdraw(entry);
                newest(entry, Some(record)).await
            }
            None => Some(record),
        };
        let owner = here.map_or(TokenOwner::Application, |entry| entry.key.owner());
        ended.push(revoked(engine, owner, newest));
    }
    Ok(ended)
}

/// Removes the session, if it still is one of those that are meant: another user may have signed in under
/// its subject since.
async fn remove_if_meant(
    store: &RecordStore,
    session: &StoreKey,
    claim: &Claim,
) -> Result<Option<Record>, Error> {
    let found = store.load(session).await?;
    if !found
        .record
        .as_ref()
        .is_some_and(|record| is_meant(record, claim))
    {
        return Ok(None);
    }
    let Some(mut record) = store.remove(session).await?.record else {
        return Ok(None);
    };
    if is_meant(&record, claim) {
        return Ok(Some(record));
    }
    // Another user has signed in at this very moment: back to where it was.
    let version = Version::random()?;
    store.save(session, &mut record, None, version).await?;
    Ok(None)
}

fn is_meant(record: &Record, claim: &Claim) -> bool {
    let claims = claims_of(record.id_token.as_ref());
    claims.is_some_and(|claims| match claim {
        Claim::Sub(sub) => claims.sub == *sub,
        Claim::Sid(sid) => claims.sid.as_ref() == Some(sid),
    })
}

/// The newest record of a session that has ended: what the store has not taken yet is newer than what it
/// had.
async fn newest(entry: &Entry, stored: Option<Record>) -> Option<Record> {
    let unsaved = entry.owner.take_unsaved();
    if let Some(lease) = unsaved.as_ref().and_then(|unsaved| unsaved.lease.as_ref()) {
        lease.give_back().await;
    }
    unsaved.map(|unsaved| unsaved.record.clone()).or(stored)
}

fn revoked(engine: &Arc<Engine>, owner: TokenOwner, record: Option<Record>) -> SignOut {
    match record {
        Some(record) => revocation::start(engine, owner, record),
        None => SignOut::without_tokens(),
    }
}
