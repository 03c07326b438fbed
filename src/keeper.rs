//! What decides: use the kept token, join a flight, or start one.

pub(crate) mod account;
mod admission;
mod arrival;
pub(crate) mod cache;
mod custody;
mod decision;
mod doubt;
mod findings;
mod fleet;
pub(crate) mod guard;
pub(crate) mod landing;
pub(crate) mod looks;
pub(crate) mod record;
pub(crate) mod refresh;
pub(crate) mod refusal;
mod rescue;
pub(crate) mod revocation;
pub(crate) mod saver;
pub(crate) mod session;
pub(crate) mod slot;
mod takeoff;
mod tenancy;
mod transaction;
mod unsaved;
pub(crate) mod vault;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::access_token::Issued;
use crate::ambient::SourceId;
use crate::clock::{Clock, Moment};
use crate::error::{Delivery, Error, ErrorKind};
use crate::error_response::ErrorResponse;
use crate::grant::SharedGrant;
use crate::jitter::Jitter;
use crate::keeper::cache::Cache;
use crate::keeper::decision::Decision;
use crate::keeper::slot::Slot;
use crate::keeper::vault::Vault;
use crate::schedule::Margins;
use crate::telemetry::Telemetry;

/// How often a call looks anew: a runtime that is being shut down drops each flight that is started on
/// it, and what a flight brings may not be for every call that joined it.
const MOST_ROUNDS: u32 = 3;
const SHUTDOWN_PATIENCE: Duration = Duration::from_secs(10);

/// Keeps the tokens of one source.
#[derive(Debug)]
pub(crate) struct Keeper {
    pub(crate) id: SourceId,
    pub(crate) grant: SharedGrant,
    /// Whether the grant is; every call asks.
    pub(crate) for_users: bool,
    pub(crate) clock: Clock,
    pub(crate) jitter: Jitter,
    pub(crate) settings: Settings,
    pub(crate) telemetry: Telemetry,
    /// What of the authorization server's answers refuses a refresh token, besides what RFC 6749 says.
    pub(crate) refused_refresh: Option<RefusedRefresh>,
    /// Where the tokens outlive the process, if they do.
    pub(crate) vault: Option<Arc<Vault>>,
    /// The slot of the requests that ask for nothing in particular: found without a look-up.
    pub(crate) primary: Arc<Slot>,
    pub(crate) cache: Cache,
    pub(crate) flights: watch::Sender<usize>,
    pub(crate) closing: watch::Sender<bool>,
}

/// A rule of the user's: whether an answer to a refresh says that the refresh token is dead.
#[derive(Clone)]
pub(crate) struct RefusedRefresh(pub(crate) Arc<dyn Fn(&ErrorResponse) -> bool + Send + Sync>);

impl fmt::Debug for RefusedRefresh {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RefusedRefresh")
    }
}

/// What a user can set about refreshing.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) margins: Margins,
    pub(crate) attempt_timeout: Duration,
    pub(crate) refresh_timeout: Duration,
    pub(crate) wait_at_most: Duration,
    pub(crate) reuse_grace: Option<Duration>,
}

/// What one call wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Demand {
    /// A token that is asked for now.
    pub(crate) new: bool,
    pub(crate) minimum: Option<Duration>,
    /// There is no second try with this one, so it is worth a wait for the newer token (B9).
    pub(crate) only_try: bool,
    /// How long the caller waits.
    pub(crate) within: Duration,
}

/// A token for a call, with the reason if it is not the one that the call wanted.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    pub(crate) token: Arc<Issued>,
    pub(crate) second_best: Option<Error>,
}

impl Demand {
    /// Nothing but a token.
    pub(crate) fn within(within: Duration) -> Self {
        Self {
            new: false,
            minimum: None,
            only_try: false,
            within,
        }
    }

    fn is_plain(&self) -> bool {
        !self.new && self.minimum.is_none()
    }
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

impl Keeper {
    /// Calls `with` on the present token if it is fresh and nobody has a reason against it: the
    /// path of a warm call, without a lock, an allocation or a reference counted.
    pub(crate) fn ready<T>(&self, slot: &Slot, with: impl FnOnce(&Issued) -> T) -> Option<T> {
        let present = slot.peek();
        let token = present.as_ref()?;
        let ready = !token.standing.is_refused() && !self.clock.has_come(token.fresh_until);
        ready.then(|| with(token))
    }

    /// A token for a call, waited for if need be.
    pub(crate) async fn token(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        demand: &Demand,
    ) -> Result<Served, Error> {
        let began = self.clock.now();
        let began_at_look = slot.account.looks();
        let mut superseded = None;
        let mut asked_for_longer = false;
        let mut aborted = false;
        for _ in 0..MOST_ROUNDS {
            let waited = self.clock.now().waited_since(began);
            let left = demand.within.saturating_sub(waited);
            let (flight, fallback, patience, ask_again) = match self.decide(slot, demand) {
                Decision::Use(served) => return Ok(served),
                Decision::Fail(error) => return Err(error),
                Decision::Join {
                    flight,
                    fallback,
                    patience,
                    ask_again,
                } => (flight, fallback, patience.min(left), ask_again),
            };
            let outcome = tokio::select! {
                biased;
                outcome = flight.outcome() => outcome,
                () = self.clock.sleep(patience) => Some(Err(self.at_server(Error::new(
                    ErrorKind::Timeout,
                    "no token came in time; a token request is still under way",
                )))),
            };
            if slot.account.has_passed_since(began_at_look) {
                return Err(Error::outdated());
            }
            aborted = outcome.is_none();
            let now = self.clock.now();
            let fallback = fallback.filter(|token| !token.standing.is_withdrawn());
            match (outcome, fallback) {
                // It has only looked into the store; and what it has found may be what was wanted.
                (Some(Ok(_)), _) if ask_again => {}
                // The user signed in again while the flight was under way.
                (Some(Err(error)), None) if error.is_outdated() => superseded = Some(error),
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
                (Some(Err(error)), Some(token)) if token.is_usable(now) => {
                    return Ok(Served::instead(token, error));
                }
                // It was to leave with the present token while that one was good, and was woken
                // too late: it waits on, as any call that finds an expired one (B4).
                (Some(Err(_)), Some(_)) if patience < left => {}
                (Some(Err(error)), _) => return Err(error),
                // Its runtime is gone: start another one on ours (A4).
                (None, _) => {}
            }
        }
        Err(superseded.unwrap_or_else(|| nothing_after_all(aborted)))
    }

    /// Whether a rule of the user's takes this answer for the end of a refresh token. A rule that panics
    /// decides nothing, and a server that fails has not judged.
    pub(crate) fn is_refused_refresh(&self, error: &Error) -> bool {
        let (Some(rule), Some(response)) = (&self.refused_refresh, error.error_response()) else {
            return false;
        };
        let is_judged = error.how_far() == Delivery::Answered;
        is_judged && catch_unwind(AssertUnwindSafe(|| (rule.0)(response))).unwrap_or(false)
    }

    /// Starts no more flights; returns when those under way have landed, the tokens of those who have
    /// signed out are revoked, and the newest refresh token is safe, or after 10 s. Looks into the
    /// store, which calls with good tokens begin all the time, are not waited for.
    pub(crate) async fn shut_down(&self) -> Result<(), Error> {
        self.closing.send_replace(true);
        let landed = async {
            let _ = self.flights.subscribe().wait_for(|count| *count == 0).await;
            let record = &self.primary.account.record;
            record.until_saved(&self.clock, &self.telemetry).await;
        };
        tokio::select! {
            biased;
            () = landed => Ok(()),
            () = self.clock.sleep(SHUTDOWN_PATIENCE) => Err(Error::new(
                ErrorKind::Timeout,
                "a token request, a revocation or the saving of a refresh token was still under way \
                 after 10 s",
            )),
        }
    }
}

impl Keeper {
    /// Whether no more flights are to start.
    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Returns after `pause`, or sooner if the source is being shut down: then there is no time to
    /// lose.
    pub(crate) async fn pause_or_closing(&self, pause: Duration) {
        if self.is_closing() {
            return self.clock.sleep(pause).await;
        }
        let mut closing = self.closing.subscribe();
        tokio::select! {
            biased;
            _ = closing.wait_for(|closing| *closing) => {}
            () = self.clock.sleep(pause) => {}
        }
    }
}

/// Why a call that has looked [`MOST_ROUNDS`] times has no token, where no flight has said so; `aborted`
/// if the last one was dropped with its runtime.
fn nothing_after_all(aborted: bool) -> Error {
    let message = if aborted {
        "the runtime that should get the token is being shut down"
    } else {
        "this call waited for a token three times, and each time things had changed meanwhile; call again"
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
    use super::nothing_after_all;

    #[test]
    fn a_call_that_has_looked_too_often_speaks_of_a_runtime_only_if_one_was_shut_down() {
        // A4, E8
        for (aborted, speaks_of_it) in [(true, true), (false, false)] {
            let error = nothing_after_all(aborted);
            assert_eq!(error.to_string().contains("runtime"), speaks_of_it);
            assert!(error.is_transient());
        }
    }
}
