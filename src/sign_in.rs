//! A user's session at its two ends: signed in, and signed out (F10).

use std::sync::Arc;

use crate::cache::entry::Entry;
use crate::engine::{Engine, Task, runtime};
use crate::error::{Error, ErrorKind};
use crate::key::{TokenKey, Wanted};
use crate::parameters::TokenParameters;
use crate::refresh::adopt;
use crate::refresh::revocation::{self, SignOut};
use crate::session::record::{Origin, Record, RecordToken, since_epoch};
use crate::session::store::{Found, RecordStore, Saved};
use crate::store::{StoreKey, Version};
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

/// The record of a user, if there is one.
///
/// # Errors
/// If the store cannot be asked.
pub(crate) async fn record_of(engine: &Engine, subject: &Subject) -> Result<Option<Record>, Error> {
    let (store, key) = user_record(engine, subject)?;
    Ok(store.load(&key).await?.record)
}

async fn write(engine: &Engine, subject: &Subject, set: &TokenSet) -> Result<(), Error> {
    let (store, key) = user_record(engine, subject)?;
    if let Some(access_token) = set.access_token() {
        bearer_header(access_token)?;
    } else if set.refresh_token().is_none() {
        return Err(Error::settings(
            "the token set of a sign-in has neither an access token nor a refresh token",
        ));
    }
    let parameters = engine.setup.grant.parameters();
    let token = RecordToken::brought_along(set, parameters, store.now());
    let version = Version::random()?;
    let mut record = Record {
        origin: Origin::SignIn(version),
        refresh_token: set.refresh_token().cloned(),
        id_token: set.id_token().cloned(),
        tokens: token.into_iter().collect(),
        ends_at: set.refresh_token_expires_at().map(since_epoch),
        ..Record::default()
    };
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

async fn forget(engine: &Arc<Engine>, subject: &Subject) -> Result<SignOut, Error> {
    let (store, key) = user_record(engine, subject)?;
    let removed = store.remove(&key).await;
    let primary = primary(engine, subject);
    primary.owner.succession.hand_over();
    engine.withdraw(&primary);
    let stored = removed?.record;
    // What the store has not taken yet is the newer one.
    let unsaved = primary.owner.take_unsaved();
    if let Some(lease) = unsaved.as_ref().and_then(|unsaved| unsaved.lease.as_ref()) {
        lease.give_back().await;
    }
    let newest = unsaved.map(|unsaved| unsaved.record.clone());
    Ok(match newest.or(stored) {
        Some(record) => revocation::start(engine, record),
        None => SignOut::without_tokens(),
    })
}

/// Does `work` in a task of its own, whatever becomes of the caller: what it has begun in the
/// store is ended here. A shutdown waits for it.
async fn see_through<T: Send + 'static>(
    engine: &Arc<Engine>,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Error> {
    let task = Task::begin(engine);
    let task = runtime()?.spawn(async move {
        let outcome = work.await;
        drop(task);
        outcome
    });
    task.await.unwrap_or_else(|ended| {
        Err(if ended.is_panic() {
            Error::new(ErrorKind::Panicked, "a hook or a grant panicked")
        } else {
            Error::new(
                ErrorKind::Unavailable,
                "the runtime of this call is being shut down",
            )
        })
    })
}

fn user_record<'engine>(
    engine: &'engine Engine,
    subject: &Subject,
) -> Result<(&'engine Arc<RecordStore>, StoreKey), Error> {
    let setup = &engine.setup;
    match &setup.store {
        Some(store) if setup.for_users => {
            let key = setup.store_key(&TokenKey {
                subject: Some(subject.clone()),
                parameters: engine.entries.primary.key.parameters.clone(),
            });
            Ok((store, key))
        }
        _ => Err(Error::settings(
            "this token source is for the application itself; users sign in at `UserSessions`",
        )),
    }
}

/// The entry of the token that requests without options get, for this user.
fn primary(engine: &Engine, subject: &Subject) -> Arc<Entry> {
    let wanted = Wanted {
        subject: Some(subject),
        parameters: &TokenParameters::NONE,
    };
    engine.entry(wanted)
}
