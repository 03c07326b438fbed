//! A user's session from its beginning to its end: signed in, renamed, signed out (F10, F12, F13).

mod index;
mod place;
mod rename;
mod sign_out;

use std::sync::Arc;

pub(crate) use crate::sign_in::index::Claim;
pub(crate) use crate::sign_in::rename::rename;
pub(crate) use crate::sign_in::sign_out::{end_all, sign_out};

use crate::dpop::SessionKey;
use crate::engine::Engine;
use crate::error::Error;
use crate::refresh::adopt;
use crate::session::record::{Origin, Record, RecordToken, since_epoch};
use crate::session::store::{Found, Saved};
use crate::sign_in::place::{Place, primary, see_through};
use crate::store::Version;
use crate::subject::Subject;
use crate::token::bearer_header;
use crate::token_set::TokenSet;

/// How often a sign-in is written anew because another process was just writing.
const MOST_CONFLICTS: u32 = 5;

/// Writes what a sign-in brought in place of what was there before. Once begun, it is carried through.
///
/// # Errors
/// If the store cannot be told, or there is nothing in the token set that could be used.
pub(crate) async fn sign_in(
    engine: &Arc<Engine>,
    subject: &Subject,
    set: TokenSet,
) -> Result<(), Error> {
    let work = {
        let (engine, subject) = (engine.clone(), subject.clone());
        async move { write(&engine, &subject, &set).await }
    };
    see_through(engine, work).await
}

/// The record of a user, if there is one.
///
/// # Errors
/// If the store cannot be asked.
pub(crate) async fn record_of(engine: &Engine, subject: &Subject) -> Result<Option<Record>, Error> {
    let place = Place::of(engine, subject).await?;
    Ok(place.store.load(&place.key).await?.record)
}

async fn write(engine: &Engine, subject: &Subject, set: &TokenSet) -> Result<(), Error> {
    let place = Place::of(engine, subject).await?;
    let (store, key) = (place.store, place.key);
    if let Some(access_token) = set.access_token() {
        bearer_header(access_token)?;
    } else if set.refresh_token().is_none() {
        return Err(Error::settings(
            "the token set of a sign-in has neither an access token nor a refresh token",
        ));
    }
    let dpop_key = session_key(engine, set)?;
    let parameters = engine.setup.grant.parameters();
    let token = RecordToken::brought_along(set, parameters, store.now());
    let version = Version::random()?;
    let mut record = Record {
        origin: Origin::SignIn(version),
        refresh_token: set.refresh_token().cloned(),
        id_token: set.id_token().cloned(),
        dpop_key,
        tokens: token.into_iter().collect(),
        ends_at: set.refresh_token_expires_at().map(since_epoch),
        ..Record::default()
    };
    // Before the session: one that the index does not know could not be ended with the others.
    let index_keys = place.index_keys(set.id_token());
    index::add(store, &index_keys, &key).await?;
    for _ in 0..MOST_CONFLICTS {
        let expected = store.load(&key).await?.version;
        let saved = store.save_or_look(&key, &mut record, expected, version);
        if matches!(saved.await?, Saved::Yes) {
            // Looked up now: while the store was at it, the entry may have left the cache.
            let primary = primary(engine, subject);
            let owner = &primary.owner;
            if owner.is_about_same_user(record.id_token.as_ref()) != Some(true) {
                owner.succession.hand_over();
            }
            let lease = owner.lease();
            engine.withdraw(&primary);
            // A flight of the session before can write nothing any more.
            if let Some(lease) = lease {
                lease.give_back().await;
            }
            let epoch = owner.succession.epoch();
            let look = owner.succession.look();
            owner.note(&Found {
                record: Some(record),
                version: Some(version),
            });
            owner.succession.confirm(look);
            // Its nonces are those of the token that was brought along.
            owner.asks_at(place.endpoint.as_ref());
            // Another sign-in or sign-out may have been at the store after this one, and here before it.
            // Nothing is published before it is known that none was, and if the store does not say, the
            // first call looks.
            if let Ok(found) = store.load(&key).await {
                if found.version == Some(version) && owner.succession.epoch() == epoch {
                    adopt(&engine.setup, &primary, set)?;
                } else if found.version != Some(version) {
                    engine.withdraw_since(epoch, &primary);
                }
            }
            return Ok(());
        }
    }
    Err(Error::store(
        "other processes keep changing the record of this user",
    ))
}

/// The key that the session is bound to, as its record keeps it.
///
/// # Errors
/// If there is one and the sessions are bearer ones, or none where there has to be one; or if it cannot be
/// kept.
fn session_key(engine: &Engine, set: &TokenSet) -> Result<Option<SessionKey>, Error> {
    set.check_key()?;
    match (&engine.setup.dpop, set.bound_to()) {
        (None, Some(_)) => Err(Error::settings(
            "the token set is bound to a DPoP key, and the sessions are not; say `dpop` or `offer_dpop` \
             when building them",
        )),
        (Some(dpop), None) if dpop.is_required => Err(Error::settings(
            "the token set of the sign-in is bound to no DPoP key, or has a bearer token, and bound tokens are \
             required; ask for it with `AuthorizationCode::dpop`, or say which key it is with `TokenSet::with_dpop_key`",
        )),
        (_, None) => Ok(None),
        (Some(_), Some(key)) => SessionKey::of(key).map(Some),
    }
}
