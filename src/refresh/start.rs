//! How a flight starts: as a task of its own, whatever becomes of the caller.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;

use crate::ambient::Ambient;
use crate::cache::entry::Entry;
use crate::cache::history::History;
use crate::cache::outcome::{NoToken, Outcome};
use crate::engine::{Engine, Task, runtime};
use crate::error::{Error, ErrorKind};
use crate::flight::{self, Landing, Waiter};
use crate::refresh::check::check;
use crate::refresh::ending::Ending;
use crate::refresh::flight::Flight;
use crate::refresh::identity::Beginning;
use crate::refresh::landing::{land, land_check};
use crate::refresh::run::run;
use crate::telemetry::RefreshReason;

/// A flight is a task of its own: the refresh token that a server has just rotated must not be
/// lost because a caller went away (A2).
///
/// # Errors
/// If the source is being shut down, or the caller is not inside a runtime.
pub(crate) fn refresh(
    engine: &Arc<Engine>,
    entry: &Arc<Entry>,
    history: &mut History,
    reason: RefreshReason,
) -> Result<Waiter<Outcome>, Error> {
    begin(engine, entry, history, reason, None)
}

/// The same with claims that an API demands (K28).
///
/// # Errors
/// As above.
pub(crate) fn refresh_with(
    engine: &Arc<Engine>,
    entry: &Arc<Entry>,
    history: &mut History,
    claims: Arc<str>,
) -> Result<Waiter<Outcome>, Error> {
    let reason = RefreshReason::Claims;
    begin(engine, entry, history, reason, Some(claims))
}

fn begin(
    engine: &Arc<Engine>,
    entry: &Arc<Entry>,
    history: &mut History,
    reason: RefreshReason,
    claims: Option<Arc<str>>,
) -> Result<Waiter<Outcome>, Error> {
    // Counted before it looks, so that of a shutdown and this flight one sees the other.
    let task = Task::begin(engine);
    if engine.work.is_closing() {
        return Err(Error::new(
            ErrorKind::ShutDown,
            "the token source has been shut down",
        ));
    }
    let runtime = runtime()?;
    let (landing, flight, waiter) = flight::begin();
    history.begin(flight, false);
    let beginning = Beginning::of(entry);
    let work = fly(task, entry.clone(), reason, claims, beginning, landing);
    runtime.spawn(marks(engine, entry).scope(work));
    Ok(waiter)
}

/// A flight that only looks whether the store still has what this process has. A shutdown does not
/// wait for it: calls begin such looks all the time, and nothing is lost with one.
///
/// # Errors
/// If the caller is not inside a runtime.
pub(crate) fn look(
    engine: &Arc<Engine>,
    entry: &Arc<Entry>,
    history: &mut History,
) -> Result<Waiter<Outcome>, Error> {
    let runtime = runtime()?;
    let (landing, flight, waiter) = flight::begin();
    history.begin(flight, true);
    let epoch = entry.owner.succession.epoch();
    let (engine, entry) = (engine.clone(), entry.clone());
    runtime.spawn(async move {
        let newer = match &engine.setup.store {
            Some(store) => check(&engine, store, &entry, epoch).await,
            None => Ok(None),
        };
        let newer = newer.map_err(|ending| named(&engine, ending));
        landing.land(land_check(&engine.setup, &entry, epoch, newer));
    });
    Ok(waiter)
}

async fn fly(
    task: Task,
    entry: Arc<Entry>,
    reason: RefreshReason,
    claims: Option<Arc<str>>,
    beginning: Beginning,
    landing: Landing<Outcome>,
) {
    let engine = task.engine();
    let work = async {
        let endpoint = engine.setup.endpoint_of(&entry.key.owner()).await;
        let endpoint = endpoint.map_err(Ending::Failed)?;
        entry.owner.asks_at(endpoint.as_ref());
        run(&Flight {
            engine,
            entry: &entry,
            endpoint: endpoint.as_ref(),
            reason,
            claims: claims.as_deref(),
            beginning,
            landing: &landing,
        })
        .await
    };
    // Made here and not at the start, where a lock is held that a subscriber might ask for.
    #[cfg(feature = "tracing")]
    let work = tracing::Instrument::instrument(work, engine.setup.telemetry.flight_span(reason));
    let arrival = AssertUnwindSafe(work)
        .catch_unwind()
        .await
        .unwrap_or_else(|_| {
            Err(Ending::Failed(Error::new(
                ErrorKind::Panicked,
                "the grant panicked while it got a token",
            )))
        });
    // A caller who joins in this very instant starts another one.
    if matches!(arrival, Err(Ending::Abandoned)) {
        return;
    }
    // Here, so that all who waited share the one that has the name.
    let arrival = arrival.map_err(|ending| named(engine, ending));
    let setup = &engine.setup;
    let outcome = land(setup, &entry, reason, beginning.epoch, arrival);
    if let Err(NoToken::Failed(error)) = &outcome {
        setup.telemetry.refresh_failed(reason, error.kind());
    }
    landing.land(outcome);
}

fn named(engine: &Engine, ending: Ending) -> Ending {
    let named = |error| engine.setup.named(error);
    match ending {
        Ending::Failed(error) => Ending::Failed(named(error)),
        Ending::Barred(error) => Ending::Barred(named(error)),
        Ending::Known(error) => Ending::Known(named(error)),
        Ending::Superseded | Ending::Abandoned => ending,
    }
}

/// What the task of a flight carries: nothing of the caller who happened to start it but the
/// flights that are waiting for this one.
fn marks(engine: &Engine, entry: &Entry) -> Ambient {
    let caller = entry.owner.subject_token.clone();
    // Of a caller it is the digest of that token, and no user.
    let subject = match caller {
        Some(_) => None,
        None => entry.key.subject.clone(),
    };
    Ambient::current()
        .refreshing(engine.setup.id)
        .only_for(subject, caller)
}
