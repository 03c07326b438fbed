//! A claims challenge of an API, answered by a token request that carries the claims (K28).
//!
//! The token that lacks them is not refused: for other calls, and at other APIs, it is as good as before.

use std::sync::Arc;
use std::time::Duration;

use crate::access_token::Issued;
use crate::cache::entry::Entry;
use crate::cache::outcome::{Outcome, superseded};
use crate::clock::system_time;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::flight::Waiter;
use crate::refresh::start;
use crate::refuser::Refuser;

/// How often a call looks anew, because a flight that was under way has come to nothing.
const MOST_ROUNDS: u32 = 3;

/// A token that lacks claims, and what it was sent for.
pub(crate) struct Lacking<'call> {
    pub(crate) generation: u64,
    /// How often the token's subject had passed to somebody else.
    pub(crate) handovers: u32,
    pub(crate) claims: Arc<str>,
    pub(crate) demanded_by: &'call Refuser,
}

enum Next {
    Use(Arc<Issued>),
    /// For a flight, which carries the claims or does not.
    Wait(Waiter<Outcome>, Carries),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Carries {
    These,
    Others,
}

/// A token that was got with the claims, or that took the present one's place meanwhile.
///
/// # Errors
/// The reason why there is none: the caller then gets the API's own answer (C8).
pub(crate) async fn token_with(
    engine: &Arc<Engine>,
    entry: &Arc<Entry>,
    lacking: &Lacking<'_>,
    within: Duration,
) -> Result<Arc<Issued>, Error> {
    let clock = &engine.setup.clock;
    let began = clock.now();
    for _ in 0..MOST_ROUNDS {
        let (flight, carries) = match next(engine, entry, lacking)? {
            Next::Use(token) => return Ok(token),
            Next::Wait(flight, carries) => (flight, carries),
        };
        let left = within.saturating_sub(clock.now().waited_since(began));
        let outcome = tokio::select! {
            biased;
            outcome = flight.outcome() => outcome,
            () = clock.sleep(left) => return Err(Error::new(
                ErrorKind::Timeout,
                "no token with the claims that the API demands came in time",
            )),
        };
        if carries == Carries::These
            && let Some(Err(missed)) = outcome
        {
            return Err(missed.into_error());
        }
    }
    Err(superseded())
}

/// Begins to ask for the claims, if nothing speaks against it, for the calls to come.
pub(crate) fn ask_for(engine: &Arc<Engine>, entry: &Arc<Entry>, lacking: &Lacking<'_>) {
    // Why not is no matter of this call: it has the API's answer.
    let _ = next(engine, entry, lacking);
}

fn next(engine: &Arc<Engine>, entry: &Arc<Entry>, lacking: &Lacking<'_>) -> Result<Next, Error> {
    let Lacking {
        generation,
        handovers,
        ref claims,
        demanded_by,
    } = *lacking;
    let now = engine.setup.clock.now();
    let mut history = entry.history();
    let present = entry.present().ok_or_else(superseded)?;
    if present.handovers != handovers {
        return Err(superseded());
    }
    if present.generation != generation {
        return Ok(Next::Use(present));
    }
    let are_asked = history.claims.are(generation, claims);
    if let Some(flight) = history.join() {
        let carries = if are_asked {
            Carries::These
        } else {
            Carries::Others
        };
        return Ok(Next::Wait(flight, carries));
    }
    if let Some(why) = history.claims.in_vain().filter(|_| are_asked) {
        return Err(why.clone());
    }
    if let Some(why) = history.cooldowns.reason_to_wait(now) {
        return Err(why.clone());
    }
    if let Err(until) = history.limiter.permits(now.monotonic, demanded_by, false) {
        let pause = until.saturating_sub(now.monotonic);
        let why = Error::new(
            ErrorKind::Unavailable,
            "the API demands claims time and again, so they are asked for later",
        );
        return Err(why.with_retry_at(system_time(now.wall.saturating_add(pause))));
    }
    let flight = start::refresh_with(engine, entry, &mut history, claims.clone())?;
    history.limiter.begin(now.monotonic, demanded_by, false);
    history.claims.begin(generation, claims);
    Ok(Next::Wait(flight, Carries::These))
}
