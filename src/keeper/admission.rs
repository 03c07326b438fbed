//! When a flight may ask the authorization server, and what its answer shows of that one (A7, A8, F5).

use std::hash::{DefaultHasher, Hash, Hasher};

use http::StatusCode;

use crate::clock::Moment;
use crate::endpoint::TokenEndpoint;
use crate::endpoint::breaker::{Outcome, Risk};
use crate::endpoint::queue::{Applicant, Place};
use crate::error::{Delivery, Error, ErrorKind};
use crate::flight::Landing;
use crate::keeper::Keeper;
use crate::keeper::refresh::Budget;
use crate::keeper::slot::{Outcome as Landed, Slot};
use crate::telemetry::RefreshReason;
use crate::token::TokenResponse;

impl Keeper {
    /// A place in the queue of the authorization server, when it is known where that is; `None` if the
    /// grant asks none. Waiting in this queue is no fault of the flight's, and is not counted (A5).
    ///
    /// # Errors
    /// If the server cannot be found, or is left alone because it fails for others (A8).
    pub(crate) async fn enter(
        &self,
        slot: &Slot,
        returns: bool,
        budget: &mut Budget,
    ) -> Result<Option<Place>, Error> {
        let Some(endpoint) = self.grant.endpoint() else {
            return Ok(None);
        };
        self.locate(endpoint, budget).await?;
        let record = &slot.account.record;
        let risk = match record.refresh_token() {
            Ok(Some(_)) if record.is_answer_lost() => Risk::LostAlready,
            Ok(Some(_)) => Risk::RefreshToken,
            Ok(None) | Err(_) => Risk::Nothing,
        };
        let owner = match risk {
            Risk::Nothing => self.owner_of_token(slot),
            Risk::LostAlready | Risk::RefreshToken => self.owner_of(slot),
        };
        let applicant = Applicant {
            owner,
            risk,
            returns,
        };
        let entered = endpoint.queue().enter(applicant, self.clock.now()).await;
        entered.map(Some).map_err(|closed| {
            let pause = closed.until.soonest_after(self.clock.now());
            self.at_server(Error::new(
                closed.kind,
                "the authorization server is left alone for a moment, since it fails for others",
            ))
            .delivery(Delivery::NotSent)
            .left_alone()
            .with_retry_after(pause)
        })
    }

    async fn locate(&self, endpoint: &TokenEndpoint, budget: &mut Budget) -> Result<(), Error> {
        let began = self.clock.now();
        let limit = self.settings.attempt_timeout.min(budget.left());
        let late = || {
            let message = "the discovery document did not come in time";
            let error = Error::new(ErrorKind::Timeout, message);
            self.at_server(error).delivery(Delivery::NotSent)
        };
        let located = tokio::select! {
            biased;
            located = endpoint.locate() => located,
            () = self.clock.sleep(limit) => Err(late()),
        };
        budget.spend(self.clock.now().waited_since(began));
        located
    }

    /// The same for a flight that has sent nothing yet. What was started for callers who wait is worth
    /// nothing when all of them have given up; a refresh ahead of the expiry is for those to come.
    ///
    /// # Errors
    /// The same, or if nobody wants it any more.
    pub(crate) async fn enter_if_wanted(
        &self,
        slot: &Slot,
        reason: RefreshReason,
        returns: bool,
        budget: &mut Budget,
        landing: &Landing<Landed>,
    ) -> Result<Option<Place>, Error> {
        let enters = self.enter(slot, returns, budget);
        if matches!(reason, RefreshReason::Soft | RefreshReason::Hard) {
            return enters.await;
        }
        tokio::select! {
            biased;
            place = enters => place,
            () = landing.abandoned() => Err(Error::unwanted()),
        }
    }

    /// Tells the queue what an attempt has shown of the authorization server.
    pub(crate) fn report(
        &self,
        place: &mut Place,
        slot: &Slot,
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
        let owner = if spends {
            self.owner_of(slot)
        } else {
            self.owner_of_token(slot)
        };
        place.report(owner, outcome, self.clock.now());
    }

    /// The authorization server has renewed the tokens of the owner of `slot`.
    pub(crate) fn note_renewal(&self, slot: &Slot) {
        if let Some(endpoint) = self.grant.endpoint() {
            let now = self.clock.now().monotonic;
            endpoint.successes().note(self.owner_of(slot), now);
        }
    }

    /// Whether the authorization server has renewed the tokens of another owner since then, for the
    /// same client (F5).
    pub(crate) fn others_are_renewed(&self, slot: &Slot, since: Moment) -> bool {
        let owner = self.owner_of(slot);
        let endpoint = self.grant.endpoint();
        endpoint.is_some_and(|endpoint| {
            endpoint
                .successes()
                .of_another_since(owner, since.monotonic)
        })
    }

    /// Whoever has the refresh token of `slot`, as a hash.
    fn owner_of(&self, slot: &Slot) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.id, &slot.key.subject).hash(&mut hasher);
        hasher.finish()
    }

    /// The same where no refresh token is spent: each token is for itself.
    fn owner_of_token(&self, slot: &Slot) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.id, &slot.key).hash(&mut hasher);
        hasher.finish()
    }
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
        ErrorKind::Rejected | ErrorKind::SignInRequired => Outcome::Answered,
        _ => Outcome::SomeAnswer,
    })
}
