//! A session that goes on under another id, as web frameworks renew theirs at a sign-in (F12).

use std::sync::Arc;

use crate::engine::Engine;
use crate::error::Error;
use crate::refresh::offer_unsaved;
use crate::schedule::lease_poll_pause;
use crate::session::lease::{HeldLease, held_by_another};
use crate::session::store::Found;
use crate::sign_in::index;
use crate::sign_in::place::{Place, primary, see_through};
use crate::store::Version;
use crate::subject::Subject;

/// Moves the session of `old` to `new`. Once begun, it is carried through.
///
/// # Errors
/// If no user is signed in under the old subject or one is under the new one, or the store cannot be told:
/// then nothing has changed.
pub(crate) async fn rename(
    engine: &Arc<Engine>,
    old: &Subject,
    new: &Subject,
) -> Result<(), Error> {
    if old == new {
        return Ok(());
    }
    let work = {
        let (engine, old, new) = (engine.clone(), old.clone(), new.clone());
        async move { carry_out(&engine, &old, &new).await }
    };
    see_through(engine, work).await
}

async fn carry_out(engine: &Arc<Engine>, old: &Subject, new: &Subject) -> Result<(), Error> {
    let (from, to) = (Place::of(engine, old).await?, Place::of(engine, new).await?);
    let before = primary(engine, old);
    // Under the turn and the lease no flight has the refresh token out whose successor would find no
    // record.
    let turn = before.owner.turn().await;
    if !offer_unsaved(engine, &before).await {
        return Err(Error::store(
            "the newest refresh token is not in the store yet, so the session cannot be moved",
        ));
    }
    let (lease, found) = lease(engine, &from).await?;
    let outcome = move_record(&from, &to, &lease, found).await;
    lease.give_back().await;
    let (record, version) = outcome?;
    let index_keys = from.index_keys(
        record
            .record
            .as_ref()
            .and_then(|record| record.id_token.as_ref()),
    );
    drop(turn);
    before.owner.succession.hand_over();
    engine.withdraw(&before);
    let after = primary(engine, new);
    engine.withdraw(&after);
    let look = after.owner.succession.look();
    after.owner.note(&Found {
        version: Some(version),
        ..record
    });
    after.owner.succession.confirm(look);
    index::remove(from.store, &index_keys, &from.key).await;
    index::add(to.store, &index_keys, &to.key).await
}

async fn move_record(
    from: &Place<'_>,
    to: &Place<'_>,
    lease: &HeldLease,
    found: Found,
) -> Result<(Found, Version), Error> {
    let (Some(mut record), Some(expected)) = (found.record, found.version) else {
        return Err(Error::sign_in_required(
            "no user is signed in under the subject that was to be renamed",
        ));
    };
    let version = Version::random()?;
    if !lease.is_ours() {
        return Err(Error::store(
            "the store took too long, and the session may be in use by now",
        ));
    }
    let renamed = from
        .store
        .rename(&from.key, expected, &to.key, &mut record, version);
    if renamed.await? {
        let moved = Found {
            record: Some(record),
            version: None,
        };
        return Ok((moved, version));
    }
    Err(if to.store.load(&to.key).await?.version.is_some() {
        Error::settings("a user is signed in under the new subject already; sign out there first")
    } else {
        Error::store("another process has changed the session meanwhile; try again")
    })
}

/// Waits for the lease as a flight does.
async fn lease(engine: &Engine, place: &Place<'_>) -> Result<(Arc<HeldLease>, Found), Error> {
    let setup = &engine.setup;
    let began = setup.clock.now();
    loop {
        if let Some(leased) = HeldLease::take(place.store, place.key).await? {
            return Ok(leased);
        }
        if setup.clock.now().waited_since(began) > setup.settings.timeouts.refresh {
            return Err(held_by_another());
        }
        let pause = lease_poll_pause(setup.jitter.draw());
        setup.clock.sleep(pause).await;
    }
}
