//! Keeps one token fresh for those who make no calls (K31): does what a call would do, at each moment at
//! which a call would find something to do.
//!
//! It starts no refresh by a rule of its own. Ages, pauses and limits are those of all calls, so that a
//! thousand watches of one token cost its server what one call does.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::access_token::{AccessToken, Issued};
use crate::cache::entry::Entry;
use crate::cache::outcome::{Outcome, superseded};
use crate::cache::policy::Demand;
use crate::call;
use crate::clock::Moment;
use crate::engine::{Engine, runtime};
use crate::error::{Error, ErrorKind};
use crate::flight::Waiter;
use crate::schedule::dry_pause;

/// What a watch is told. The default: nothing is known yet.
#[derive(Debug, Default)]
pub(super) struct State {
    /// The newest token.
    pub(super) token: Option<AccessToken>,
    /// Why there is no usable one.
    pub(super) error: Option<Error>,
    /// Nothing will ever change again.
    pub(super) has_ended: bool,
}

/// Begins to keep the token of this entry fresh, in a task that ends when no receiver is left.
///
/// # Errors
/// Outside a runtime.
pub(super) fn start(
    engine: &Arc<Engine>,
    entry: &Arc<Entry>,
) -> Result<watch::Receiver<State>, Error> {
    let (states, receiver) = watch::channel(State::default());
    let mut keeper = Keeper {
        changes: entry.changes(),
        began: entry.owner.succession.next_look(),
        entry: entry.clone(),
        engine: engine.clone(),
        handovers: None,
        failures: 0,
    };
    runtime()?.spawn(async move {
        tokio::select! {
            biased;
            () = states.closed() => {}
            () = keeper.keep(&states) => {}
        }
    });
    Ok(receiver)
}

/// The work behind one watch and its clones.
struct Keeper {
    engine: Arc<Engine>,
    entry: Arc<Entry>,
    /// Holds the entry in the cache.
    changes: watch::Receiver<()>,
    /// The next look into the store when the watch was opened.
    began: u32,
    /// How often the subject had passed to another user when the first token came. Not when the watch was
    /// opened: what this process knew of the subject then may have been of the user before.
    handovers: Option<u32>,
    /// How many looks in a row have found no token.
    failures: u32,
}

impl Keeper {
    async fn keep(&mut self, states: &watch::Sender<State>) {
        let engine = self.engine.clone();
        let clock = &engine.setup.clock;
        loop {
            // Both before the look: what happens during it, and a moment that comes during it, is a
            // reason for another one.
            self.changes.mark_unchanged();
            let now = clock.now();
            let found = self.look().await;
            if let Err(error) = &found
                && is_final(error)
            {
                return end(states, error.clone());
            }
            let pause = self.pause(now, found.as_ref().err());
            tell(states, found);
            let flight = self.entry.history().join();
            tokio::select! {
                biased;
                () = engine.work.closed() => return end(states, engine.setup.named(shut_down())),
                _ = self.changes.changed() => {}
                () = landing(flight) => {}
                () = until(now, pause, &engine) => {}
            }
        }
    }

    /// What a call gets now.
    async fn look(&mut self) -> Result<Arc<Issued>, Error> {
        let engine = self.engine.clone();
        // The walk that drops entries may have chosen this one before it was kept fresh.
        let entry = engine.entry(self.entry.key.as_wanted());
        if !Arc::ptr_eq(&entry, &self.entry) {
            self.changes = entry.changes();
            self.entry = entry;
        }
        let named = |error| engine.setup.named(error);
        // Without a question to the server: a grant of the user's own may have a token for anybody.
        self.is_of_same_user(self.entry.owner.succession.handovers())
            .map_err(named)?;
        let demand = Demand::within(engine.setup.settings.timeouts.wait);
        let served = call::token(&engine, &self.entry, &demand, None).await;
        let token = match served {
            Ok(served) => served.token,
            Err(error) => {
                self.failures = self.failures.saturating_add(1);
                return Err(named(error));
            }
        };
        self.failures = 0;
        self.is_of_same_user(token.handovers).map_err(named)?;
        self.handovers = Some(token.handovers);
        Ok(token)
    }

    /// # Errors
    /// If the subject has passed to another user: what was opened for one is not given the token of the
    /// next (F10).
    fn is_of_same_user(&self, handovers: u32) -> Result<(), Error> {
        let has_passed = match self.handovers {
            Some(known) => known != handovers,
            None => self.entry.owner.succession.has_passed_since(self.began),
        };
        if has_passed {
            Err(superseded())
        } else {
            Ok(())
        }
    }

    /// How long after `now` a call would find something to do, if nothing happens before; `None` if it
    /// never would.
    fn pause(&self, now: Moment, failure: Option<&Error>) -> Option<Duration> {
        let history = self.entry.history();
        let token = self.entry.present();
        let by_token = token.as_ref().and_then(|token| token.until_next_look(now));
        let is_refused = token.is_some_and(|token| token.standing.is_refused());
        let refusal = history.pending_refusal();
        let permit = history
            .limiter
            .permits(now.monotonic, &refusal.refuser, refusal.exempt);
        let by_limit = permit
            .err()
            .filter(|_| is_refused)
            .map(|until| until.saturating_sub(now.monotonic));
        // A failure may leave no pause behind, such as one that no request was made for.
        let of_its_own = || failure.map(|error| dry_pause(self.failures.saturating_sub(1), error));
        let by_pauses = history.cooldowns.until_next_end(now).or_else(of_its_own);
        [by_token, by_limit, by_pauses].into_iter().flatten().min()
    }
}

/// Tells the watch what was found. News is another token, or that there is none any more.
fn tell(states: &watch::Sender<State>, found: Result<Arc<Issued>, Error>) {
    states.send_if_modified(|state| match found {
        Ok(token) => {
            let known = state.token.as_ref();
            let is_new = known.is_none_or(|known| known.issued().generation != token.generation);
            // The same token may have a later expiry.
            state.token = Some(AccessToken::new(token));
            state.error = None;
            is_new
        }
        Err(error) => {
            let is_news = state.error.is_none();
            state.token = None;
            state.error = Some(error);
            is_news
        }
    });
}

/// Tells the watch that nothing more will come.
fn end(states: &watch::Sender<State>, error: Error) {
    states.send_modify(|state| {
        // Tokens that are still good are used on after a shutdown, and not after a sign-out.
        if error.kind() == ErrorKind::SignInRequired {
            state.token = None;
        }
        state.error = Some(error);
        state.has_ended = true;
    });
}

/// Whether no attempt of ours will mend it. Refusals that do not say why may be over by themselves (F5),
/// and those about one API with the user's next sign-in (K12).
fn is_final(error: &Error) -> bool {
    match error.kind() {
        ErrorKind::SignInRequired => !error.is_doubtful() && !error.is_about_one_api(),
        // Another token is another caller's, with a watch of its own.
        ErrorKind::InvalidSubjectToken | ErrorKind::ShutDown => true,
        _ => false,
    }
}

fn shut_down() -> Error {
    Error::new(
        ErrorKind::ShutDown,
        "the token source has been shut down, so the token is not kept fresh any more",
    )
}

/// Returns when the flight has landed, if there is one.
async fn landing(flight: Option<Waiter<Outcome>>) {
    match flight {
        Some(flight) => drop(flight.outcome().await),
        None => std::future::pending().await,
    }
}

async fn until(now: Moment, pause: Option<Duration>, engine: &Engine) {
    match pause {
        Some(pause) => engine.setup.clock.sleep_until(now.later(pause)).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::is_final;
    use crate::error::Error;

    #[test]
    fn an_error_is_final_if_no_attempt_can_mend_it() {
        // K31, F5, K12
        let over = || Error::sign_in_required("over");
        for (error, expected) in [
            (over(), true),
            (super::shut_down(), true),
            (over().doubtful(), false),
            (over().about_one_api(None), false),
            (Error::rejected("wrong secret"), false),
            (Error::unavailable("down"), false),
        ] {
            assert_eq!(is_final(&error), expected, "{error}");
        }
    }
}
