//! When a flight may ask the authorization server, and what its answer shows of that one (A7, A8, F5).

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use http::StatusCode;

use crate::cache::entry::Entry;
use crate::clock::Moment;
use crate::endpoint::TokenEndpoint;
use crate::endpoint::breaker::{Outcome, Risk};
use crate::endpoint::queue::{Applicant, Place};
use crate::engine::{Setup, at_server};
use crate::error::{Error, ErrorKind, HowFar};
use crate::refresh::ending::Ending;
use crate::session::state::RefreshTokenState;
use crate::token::TokenResponse;

/// The time that a flight may still take, queues not counted (E2).
#[derive(Debug)]
pub(crate) struct Budget(Duration);

impl Budget {
    pub(crate) fn new(time: Duration) -> Self {
        Self(time)
    }

    /// What is left of it.
    pub(crate) fn left(&self) -> Duration {
        self.0
    }

    /// Takes `time` off; says whether any is left.
    pub(crate) fn spend(&mut self, time: Duration) -> bool {
        self.0 = self.0.saturating_sub(time);
        !self.0.is_zero()
    }
}

/// How a flight asks for a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asks {
    pub(crate) risk: Risk,
    /// It has had one already, and gave it back.
    pub(crate) returns: bool,
}

/// What a request would risk that spends a refresh token in this state, or none.
pub(crate) fn risk_of(spends: bool, state: RefreshTokenState) -> Risk {
    match state {
        _ if !spends => Risk::Nothing,
        RefreshTokenState::Sent { .. } | RefreshTokenState::AnswerLost { .. } => Risk::LostAlready,
        RefreshTokenState::Ready | RefreshTokenState::Dead => Risk::RefreshToken,
    }
}

/// A place in the queue of the authorization server, when it is known where that is; `None` if the
/// grant asks none. Waiting in this queue is no fault of the flight's, and is not counted (A5).
///
/// # Errors
/// If the server cannot be found, or is left alone because it fails for others (A8).
pub(crate) async fn enter(
    setup: &Setup,
    endpoint: Option<&TokenEndpoint>,
    entry: &Entry,
    asks: Asks,
    budget: &mut Budget,
) -> Result<Option<Place>, Ending> {
    let Asks { risk, returns } = asks;
    let Some(endpoint) = endpoint else {
        return Ok(None);
    };
    locate(setup, endpoint, budget)
        .await
        .map_err(Ending::Failed)?;
    let applicant = Applicant {
        client: endpoint.client(),
        owner: owner_of(setup, entry, risk != Risk::Nothing),
        risk,
        returns,
    };
    let entered = endpoint.queue().enter(applicant, setup.clock.now()).await;
    entered.map(Some).map_err(|closed| {
        let pause = closed.until.soonest_after(setup.clock.now());
        let error = Error::new(
            closed.kind,
            "the authorization server is left alone for a moment, since it fails for others",
        );
        Ending::Barred(
            at_server(Some(endpoint), error)
                .got(HowFar::NotSent)
                .with_retry_after(pause),
        )
    })
}

async fn locate(setup: &Setup, endpoint: &TokenEndpoint, budget: &mut Budget) -> Result<(), Error> {
    let began = setup.clock.now();
    let limit = setup.settings.timeouts.attempt.min(budget.left());
    let located = tokio::select! {
        biased;
        located = endpoint.locate() => located,
        () = setup.clock.sleep(limit) => {
            let message = "the discovery document did not come in time";
            let late = Error::new(ErrorKind::Timeout, message);
            Err(at_server(Some(endpoint), late).got(HowFar::NotSent))
        }
    };
    budget.spend(setup.clock.now().waited_since(began));
    located
}

/// Tells the queue what an attempt has shown of the authorization server.
pub(crate) fn report(
    setup: &Setup,
    entry: &Entry,
    place: &mut Place,
    spends: bool,
    answer: &Result<TokenResponse, Error>,
) {
    let outcome = match answer {
        Ok(_) => Outcome::Answered,
        Err(error) if error.is_unanswered() => Outcome::Nothing { kind: error.kind() },
        Err(error) => match outcome_of(error) {
            Some(outcome) => outcome,
            None => return,
        },
    };
    let owner = owner_of(setup, entry, spends);
    place.report(owner, outcome, setup.clock.now(), &setup.telemetry);
}

/// The authorization server has renewed the tokens of the owner of `entry`.
pub(crate) fn note_renewal(setup: &Setup, endpoint: Option<&TokenEndpoint>, entry: &Entry) {
    if let Some(endpoint) = endpoint {
        let now = setup.clock.now().monotonic;
        endpoint.successes().note(owner_of(setup, entry, true), now);
    }
}

/// Whether the authorization server has renewed the tokens of another owner since then, for the
/// same client (F5).
pub(crate) fn others_are_renewed(
    setup: &Setup,
    endpoint: Option<&TokenEndpoint>,
    entry: &Entry,
    since: Moment,
) -> bool {
    endpoint.is_some_and(|endpoint| {
        let owner = owner_of(setup, entry, true);
        endpoint
            .successes()
            .of_another_since(owner, since.monotonic)
    })
}

/// Whose request it is, to the breaker: the grant key's where a refresh token is spent, else each token's
/// own.
fn owner_of(setup: &Setup, entry: &Entry, spends: bool) -> u64 {
    let mut hasher = DefaultHasher::new();
    setup.id.hash(&mut hasher);
    if spends {
        entry.key.subject.hash(&mut hasher);
    } else {
        entry.key.hash(&mut hasher);
    }
    hasher.finish()
}

/// What an error of an answer says of the server; `None` if it is of no answer.
fn outcome_of(error: &Error) -> Option<Outcome> {
    let status = error.error_response()?.status();
    let retry_after = error.retry_after();
    let turned_away = status.is_server_error()
        || status == StatusCode::TOO_MANY_REQUESTS
        || (status == StatusCode::FORBIDDEN && retry_after.is_some());
    Some(match error.kind() {
        _ if turned_away => Outcome::TurnedAway {
            retry_after: retry_after.unwrap_or_default(),
        },
        ErrorKind::Rejected | ErrorKind::SignInRequired | ErrorKind::InvalidSubjectToken => {
            Outcome::Answered
        }
        _ => Outcome::SomeAnswer,
    })
}
