//! One call's token: decided upon, and waited for if need be.

use std::sync::Arc;
use std::time::Duration;

use crate::access_token::Issued;
use crate::cache::entry::Entry;
use crate::cache::history::History;
use crate::cache::outcome::{NoToken, Outcome, superseded};
use crate::cache::policy::{
    Action, Demand, Pauses, Present, Recheck, Start, UnderWay, View, Why, decide,
};
use crate::cache::rejection::Sending;
use crate::clock::{Lead, Moment, PAUSED, system_time};
use crate::engine::{Engine, at_server, runtime};
use crate::error::{Error, ErrorKind};
use crate::flight::Waiter;
use crate::refresh::start;
use crate::refuser::Refuser;
use crate::schedule::Age;
use crate::telemetry::{Awaited, RefreshReason, Wait};

/// How often a call looks anew: a runtime that is being shut down drops each flight that is started on
/// it, and what a flight brings may not be for every call that joined it.
const MOST_ROUNDS: u32 = 3;

/// A token for a call, with the reason if it is not the one that the call wanted.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) token: Arc<Issued>,
    pub(crate) second_best: Option<Error>,
}

/// What a call does next.
enum Next {
    Use(Served),
    Fail(Error),
    Wait {
        flight: Waiter<Outcome>,
        /// What serves if the flight fails or takes longer than `patience`.
        fallback: Option<Arc<Issued>>,
        patience: Duration,
        /// The flight only looks into the store, and the call wants more than that.
        asks_again: bool,
    },
}

/// Calls `with` on the present token if it is fresh and nothing speaks against it: the
/// path of a warm call, without a lock, an allocation or a reference counted. A token that is bound to a
/// key is none for it, since its proof has to be waited for.
pub(crate) fn ready<T>(
    engine: &Engine,
    entry: &Entry,
    with: impl FnOnce(&Issued) -> T,
) -> Option<T> {
    let present = entry.peek();
    let token = present.as_ref()?;
    (token.binding.is_none() && is_ready(engine, token)).then(|| with(token))
}

/// The same for a token that is bound to a key, which is kept while its proof is made.
pub(crate) fn ready_bound(engine: &Engine, entry: &Entry) -> Option<Arc<Issued>> {
    let present = entry.peek();
    let token = present.as_ref()?;
    (token.binding.is_some() && is_ready(engine, token)).then(|| token.clone())
}

#[inline]
fn is_ready(engine: &Engine, token: &Issued) -> bool {
    !token.standing.is_refused() && !engine.setup.clock.has_come(token.fresh_until)
}

/// A token for a call, waited for if need be: a call of the named `client`, if it is one's.
///
/// # Errors
/// If there is none to be had in time.
pub(crate) async fn token(
    engine: &Arc<Engine>,
    entry: &Arc<Entry>,
    demand: &Demand,
    client: Option<&Arc<str>>,
) -> Result<Served, Error> {
    let mut wait = None;
    let served = token_after(engine, entry, demand, client, &mut wait).await;
    if let Some(wait) = wait {
        wait.end(served.as_ref().err().map(Error::kind));
    }
    served
}

/// The same. If the call has to wait, `wait` has begun when this returns.
async fn token_after<'call>(
    engine: &'call Arc<Engine>,
    entry: &Arc<Entry>,
    demand: &Demand,
    client: Option<&'call Arc<str>>,
    wait: &mut Option<Wait<'call>>,
) -> Result<Served, Error> {
    let setup = &engine.setup;
    let began = setup.clock.now();
    let succession = &entry.owner.succession;
    let began_at_look = succession.next_look();
    let mut asked_for_longer = false;
    let mut last = Last::Nothing;
    for _ in 0..MOST_ROUNDS {
        let waited = setup.clock.now().waited_since(began);
        let left = demand.within.saturating_sub(waited);
        let (flight, fallback, patience, asks_again) = match next(engine, entry, demand) {
            Next::Use(served) => return Ok(served),
            Next::Fail(error) => return Err(error),
            Next::Wait {
                flight,
                fallback,
                patience,
                asks_again,
            } => (flight, fallback, patience.min(left), asks_again),
        };
        wait.get_or_insert_with(|| {
            Wait::begin(&setup.telemetry, &setup.clock, Awaited::Token { client })
        });
        let lead = Lead::watch();
        let outcome = tokio::select! {
            biased;
            outcome = flight.outcome() => outcome,
            () = setup.clock.sleep(patience) => {
                let message = match lead.is_seen() {
                    true => PAUSED,
                    false => "no token came in time; a token request is still under way",
                };
                let late = Error::new(ErrorKind::Timeout, message);
                let endpoint = entry.owner.endpoint();
                Some(Err(NoToken::Failed(at_server(endpoint.as_ref(), late))))
            }
        };
        if succession.has_passed_since(began_at_look) {
            return Err(superseded());
        }
        let now = setup.clock.now();
        let fallback = fallback.filter(|token| !token.standing.is_withdrawn());
        last = match (outcome, fallback) {
            // It has only looked into the store; and what it has found may be what was wanted.
            (Some(Ok(_)), _) if asks_again => Last::Nothing,
            (Some(Ok(token)), present) => {
                let token = token.issued().clone();
                if is_too_short(&token, demand, now) {
                    let is_new = present.is_none_or(|old| old.generation != token.generation);
                    // It was asked for before this call came, by another process for instance,
                    // and a new one may live longer. Not if this one never lived for long enough
                    // either: then each of a thousand calls that joined the flight would ask.
                    let may_last = lasted_once(&token, demand);
                    let is_earlier = token.plan.asked.wall < began.wall;
                    if is_new && is_earlier && may_last && !asked_for_longer {
                        asked_for_longer = true;
                        continue;
                    }
                    note_too_short(&token, demand);
                }
                return Ok(Served::as_wanted(token));
            }
            // The user signed in again while the flight was under way.
            (Some(Err(NoToken::Superseded)), None) => Last::Superseded,
            (Some(Err(missed)), Some(token)) if token.is_usable(now) => {
                return Ok(Served::instead(token, missed.into_error()));
            }
            // The call was to leave with the present token while that one was good, and was woken
            // too late: it waits on, as any call that finds an expired one (B4).
            (Some(Err(_)), Some(_)) if patience < left => Last::Nothing,
            (Some(Err(missed)), _) => return Err(missed.into_error()),
            // Its runtime is gone: the call starts another one on its own (A4).
            (None, _) => Last::Aborted,
        };
    }
    Err(nothing_after_all(last))
}

/// A token that takes the place of the refused one of `generation`. A request that went out
/// after so many `handovers` is not sent again with what came after more of them.
///
/// # Errors
/// The reason why there is none: the caller then gets the API's own answer (C8).
pub(crate) async fn renewed(
    engine: &Arc<Engine>,
    entry: &Arc<Entry>,
    generation: u64,
    handovers: u32,
    within: Duration,
    client: Option<&Arc<str>>,
) -> Result<Arc<Issued>, Error> {
    let served = token(engine, entry, &Demand::within(within), client).await?;
    if served.token.handovers != handovers {
        return Err(superseded());
    }
    let is_refused = served.token.generation == generation || served.token.standing.is_refused();
    match served.second_best {
        _ if !is_refused => Ok(served.token),
        Some(reason) => Err(reason),
        // By its age the token would do, so nothing was asked for; what a failed attempt left
        // behind is why.
        None => {
            let history = entry.history();
            let reason = history.cooldowns.reason_to_wait(engine.setup.clock.now());
            Err(reason.cloned().unwrap_or_else(|| {
                Error::protocol("there is no newer token than the one that was refused")
            }))
        }
    }
}

/// An API, or the user by hand, refuses the token of this generation (C1).
pub(crate) fn refuse(
    engine: &Engine,
    entry: &Entry,
    generation: u64,
    refuser: &Refuser,
    sending: Sending,
    client: Option<&Arc<str>>,
) {
    let now = engine.setup.clock.now();
    if entry.refuse(generation, refuser, sending, now) {
        engine.setup.telemetry.token_refused(client);
    }
}

/// What the last look of a call has met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Last {
    Nothing,
    Superseded,
    /// The flight was dropped with its runtime.
    Aborted,
}

impl Served {
    fn as_wanted(token: Arc<Issued>) -> Self {
        Self {
            token,
            second_best: None,
        }
    }

    fn instead(token: Arc<Issued>, reason: Error) -> Self {
        Self {
            token,
            second_best: Some(reason),
        }
    }
}

/// Asks the policy, and starts the flight that it wants.
fn next(engine: &Arc<Engine>, entry: &Arc<Entry>, demand: &Demand) -> Next {
    let now = engine.setup.clock.now();
    // B3: a call that any token will do for does not wait for the history; the call that has it is
    // deciding just what this one would decide.
    let mut history = match content(entry, demand, now) {
        Some((token, true)) => return Next::Use(Served::as_wanted(token)),
        Some((token, false)) => match entry.history_if_free() {
            Some(history) => history,
            None => return Next::Use(Served::as_wanted(token)),
        },
        None => entry.history(),
    };
    // Read under the lock that flights land under: a token that landed a moment ago is seen,
    // and not asked for again.
    let present = entry.present();
    let under_way = history.join();
    let view = view(
        engine,
        entry,
        &history,
        present.as_deref(),
        under_way.is_some(),
        demand,
        now,
    );
    let token = present.filter(|token| token.is_usable(now));
    match (decide(&view, demand), token) {
        (Action::Use { for_want_of }, Some(token)) => Next::Use(Served {
            token,
            second_best: for_want_of.map(|why| reason(&history, why, now)),
        }),
        (Action::UseAndStart(wanted), Some(token)) => {
            // What is wanted behind the call's back and cannot be started is no matter of the call.
            let _ = begin(engine, entry, &mut history, wanted, now);
            Next::Use(Served::as_wanted(token))
        }
        (Action::Fail(why), _) => Next::Fail(reason(&history, why, now)),
        (
            Action::Wait {
                start,
                falls_back,
                patience,
                asks_again,
            },
            token,
        ) => {
            let fallback = token.filter(|_| falls_back);
            let flight = match (start, under_way) {
                (Some(wanted), _) => begin(engine, entry, &mut history, wanted, now),
                (None, Some(flight)) => runtime().map(|_| flight),
                (None, None) => Err(nothing_after_all(Last::Nothing)),
            };
            match (flight, fallback) {
                (Ok(flight), fallback) => Next::Wait {
                    flight,
                    fallback,
                    patience,
                    asks_again,
                },
                (Err(error), Some(token)) => Next::Use(Served::instead(token, error)),
                (Err(error), None) => {
                    // A look that cannot be taken: what was known stands.
                    let known = history.cooldowns.known_failure(now).cloned();
                    Next::Fail(known.unwrap_or(error))
                }
            }
        }
        (Action::Use { .. } | Action::UseAndStart(_), None) => {
            Next::Fail(nothing_after_all(Last::Nothing))
        }
    }
}

/// The present token if any will do for the call; and whether there is nothing else to do.
fn content(entry: &Entry, demand: &Demand, now: Moment) -> Option<(Arc<Issued>, bool)> {
    let token = entry.present()?;
    let will_do = demand.is_plain() && !token.standing.is_refused();
    let age = token.age(now);
    let is_ready = age == Age::Fresh || (age == Age::Soft && !demand.only_try);
    let is_overdue = token.recheck.is_some_and(|recheck| recheck.is_overdue(now));
    let is_all = age == Age::Fresh && !token.is_to_be_checked(now);
    (will_do && is_ready && !is_overdue).then_some((token, is_all))
}

fn view(
    engine: &Engine,
    entry: &Entry,
    history: &History,
    present: Option<&Issued>,
    is_in_flight: bool,
    demand: &Demand,
    now: Moment,
) -> View {
    let cooldowns = &history.cooldowns;
    let is_refused = present.is_some_and(|token| token.standing.is_refused());
    let limited_for = || {
        let refusal = history.pending_refusal();
        let permit = history
            .limiter
            .permits(now.monotonic, &refusal.refuser, refusal.exempt);
        permit
            .err()
            .map(|until| until.saturating_sub(now.monotonic))
    };
    let known = cooldowns.known_failure(now);
    let store = engine.setup.store.as_ref();
    View {
        token: present.map(|token| Present {
            age: token.age(now),
            is_refused,
            remaining: token.plan.remaining(now),
            until_hard: token.plan.until_hard(now),
            can_last: demand
                .minimum
                .is_none_or(|minimum| token.standing.can_last(minimum)),
            recheck: match token.recheck {
                Some(recheck) if recheck.is_overdue(now) => Recheck::Overdue,
                Some(recheck) if recheck.is_due(now) => Recheck::Due,
                _ => Recheck::NotYet,
            },
        }),
        flight: is_in_flight.then_some(if history.is_check {
            UnderWay::Check
        } else {
            UnderWay::Refresh
        }),
        pauses: Pauses {
            ahead: cooldowns.ahead.is_on(now),
            tried_in_hard_window: cooldowns.tried_in_hard_window,
            dry: cooldowns.dry.is_on(now),
            urgent: cooldowns.urgent.is_on(now),
            told: cooldowns.told.is_on(now),
            store: cooldowns.store.is_on(now),
            is_of_store: known.is_some_and(|error| error.kind() == ErrorKind::Store),
        },
        limited_for: if is_refused { limited_for() } else { None },
        is_held_back: entry.owner.is_held_back(),
        is_shared: store.is_some_and(|store| store.is_shared()),
    }
}

fn begin(
    engine: &Arc<Engine>,
    entry: &Arc<Entry>,
    history: &mut History,
    wanted: Start,
    now: Moment,
) -> Result<Waiter<Outcome>, Error> {
    match wanted {
        Start::Check => start::look(engine, entry, history),
        Start::Refresh(reason) => {
            if reason == RefreshReason::Refusal {
                history.begin_refusal(now);
            }
            start::refresh(engine, entry, history, reason)
        }
    }
}

/// The error that says why a call does not get what it wants.
fn reason(history: &History, why: Why, now: Moment) -> Error {
    let known = match why {
        Why::KnownFailure => history.cooldowns.known_failure(now).cloned(),
        Why::Waits => history.cooldowns.reason_to_wait(now).cloned(),
        Why::AnswerLost => Some(Error::answer_lost()),
        Why::Limited(pause) => Some(
            Error::new(
                ErrorKind::Unavailable,
                "the API refuses new tokens too, so the next one is asked for later",
            )
            .with_retry_at(system_time(now.wall.saturating_add(pause))),
        ),
    };
    known.unwrap_or_else(|| nothing_after_all(Last::Nothing))
}

/// Why a call that has looked [`MOST_ROUNDS`] times has no token.
fn nothing_after_all(last: Last) -> Error {
    let message = match last {
        Last::Superseded => return superseded(),
        Last::Aborted => "the runtime that should get the token is being shut down",
        Last::Nothing => {
            "this call waited for a token three times, and each time things had changed meanwhile; \
             call again"
        }
    };
    Error::new(ErrorKind::Unavailable, message)
}

fn is_too_short(token: &Issued, demand: &Demand, now: Moment) -> bool {
    let remaining = token.plan.remaining(now);
    let (Some(minimum), Some(remaining)) = (demand.minimum, remaining) else {
        return false;
    };
    remaining < minimum
}

/// Whether the token would have done when it was issued.
fn lasted_once(token: &Issued, demand: &Demand) -> bool {
    let lifetime = token.plan.lifetime();
    lifetime.is_none_or(|lifetime| demand.minimum.is_none_or(|minimum| lifetime >= minimum))
}

/// One refresh is made for a token that is too short-lived; what comes then is what the server has
/// to give (B9).
fn note_too_short(token: &Issued, demand: &Demand) {
    if let Some(minimum) = demand.minimum {
        token.standing.cannot_last(minimum);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::{Demand, token};
    use crate::access_token::AccessToken;
    use crate::cache::outcome::{NoToken, Outcome};
    use crate::engine::Engine;
    use crate::error::Error;
    use crate::flight::{self, Landing};
    use crate::grant::ConstantToken;
    use crate::refresh::adopt;
    use crate::source::TokenSource;
    use crate::token_set::TokenSet;
    use std::pin::pin;
    use std::time::Duration;

    /// What a call meets in one round.
    #[derive(Clone, Copy, Debug)]
    enum Round {
        /// A look into the store that brings a token, and not the new one that the call wants.
        Looked,
        /// The user signed in again.
        SignedIn,
        /// The runtime of the flight was shut down.
        Dropped,
    }

    /// Puts a flight in the call's way.
    fn under_way(engine: &Engine) -> Landing<Outcome> {
        let (landing, flight, _) = flight::begin();
        let mut history = engine.entries.primary.history();
        history.flight = Some(flight);
        history.is_check = true;
        landing
    }

    /// The error of a call that meets these, one after the other.
    async fn error_after(rounds: [Round; 3]) -> Error {
        let grant = ConstantToken::new("t").unwrap();
        let source = TokenSource::builder(grant).build().unwrap();
        let engine = source.handle().engine();
        let entry = &engine.entries.primary;
        adopt(&engine.setup, entry, &TokenSet::new("t")).unwrap();
        let present = entry.present().unwrap();
        let demand = Demand {
            new: true,
            ..Demand::within(Duration::from_secs(30))
        };
        let mut landing = under_way(engine);
        let mut call = pin!(token(engine, entry, &demand, None));
        for round in rounds {
            assert!(poll!(call.as_mut()).is_pending());
            let before = std::mem::replace(&mut landing, under_way(engine));
            match round {
                Round::Looked => before.land(Ok(AccessToken::new(present.clone()))),
                Round::SignedIn => before.land(Err(NoToken::Superseded)),
                Round::Dropped => drop(before),
            }
        }
        call.await.unwrap_err()
    }

    #[tokio::test]
    async fn a_call_that_has_looked_too_often_speaks_of_a_runtime_only_if_one_was_shut_down() {
        // A4, E8
        use Round::{Dropped, Looked, SignedIn};
        for (rounds, speaks_of_it) in [
            ([Looked, Looked, Looked], false),
            ([Dropped, Dropped, Looked], false),
            ([Dropped, Looked, SignedIn], false),
            ([Looked, SignedIn, Dropped], true),
        ] {
            let error = error_after(rounds).await;
            let message = error.to_string();
            assert_eq!(message.contains("runtime"), speaks_of_it, "{rounds:?}");
            let is_over = message.contains("signed");
            assert_eq!(is_over, matches!(rounds[2], SignedIn), "{rounds:?}");
            assert_eq!(error.is_transient(), !is_over, "{rounds:?}");
        }
    }
}
