//! What a flight does until it has an answer: the queue, the attempts, the pauses between them.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use crate::access_token::Issued;
use crate::clock::Moment;
use crate::endpoint::queue::Place;
use crate::error::{Delivery, Error, ErrorKind};
use crate::flight::Landing;
use crate::grant::GrantRequest;
use crate::keeper::Keeper;
use crate::keeper::arrival::{Answer, Arrival};
use crate::keeper::custody::Custody;
use crate::keeper::slot::{Outcome as Landed, Slot};
use crate::schedule::attempt_pause;
use crate::secret::Secret;
use crate::telemetry::RefreshReason;

/// Repetitions within one flight (E3).
const MOST_REPETITIONS: u32 = 2;
/// A longer `Retry-After` ends the flight, so that callers with short deadlines get an answer.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(1);

impl Keeper {
    /// Gets a token for `slot`, and keeps its refresh token.
    pub(crate) async fn refresh(
        self: &Arc<Self>,
        slot: &Arc<Slot>,
        reason: RefreshReason,
        epoch: u32,
        landing: &Landing<Landed>,
    ) -> Result<Arrival, Error> {
        match &self.vault {
            Some(vault) => {
                let refresh = self.refresh_for_all(vault, slot, reason, epoch, landing);
                refresh.await
            }
            None => self.ask_alone(slot, reason, landing).await,
        }
    }

    /// The time that a flight may take.
    pub(crate) fn budget(&self) -> Budget {
        Budget(self.settings.refresh_timeout)
    }

    /// Asks the authorization server with what this process alone has.
    pub(crate) async fn ask_alone(
        &self,
        slot: &Slot,
        reason: RefreshReason,
        landing: &Landing<Landed>,
    ) -> Result<Arrival, Error> {
        let account = &slot.account;
        let mut turn = None;
        let spends = account.record.to_spend(&mut turn).await?.is_some();
        if let Some(error) = account.record.doubt(self.clock.now()) {
            return Err(error);
        }
        // Looked at when it is this flight's turn: the one before may have lost the answer.
        let risks = spends && account.record.is_answer_lost() && reason != RefreshReason::Refusal;
        if risks && account.has_good_token(self.primary.clone(), self.clock.now()) {
            return Err(Error::answer_lost());
        }
        let place = self
            .enter_if_wanted(slot, reason, false, &mut self.budget(), landing)
            .await?;
        self.ask(slot, reason, Custody::Own { turn }, place).await
    }

    /// Asks the authorization server, and brings what comes to where it is safe. A flight that has a
    /// `place` in the server's queue already brings it along.
    pub(crate) async fn ask<'flight>(
        &self,
        slot: &'flight Slot,
        reason: RefreshReason,
        mut custody: Custody<'flight>,
        mut place: Option<Place>,
    ) -> Result<Arrival, Error> {
        let mut budget = self.budget();
        let mut first: Option<Answer> = None;
        loop {
            let attempts = self.attempts(slot, reason, &mut custody, &mut budget, place.take());
            let mut answer = match attempts.await {
                Ok(answer) => answer,
                Err(error) => return instead(first, error),
            };
            // Refused while this request was under way: what it brought may be dead as well, since
            // servers revoke whole grants (C2). Once is enough, or an API that refuses everything
            // would keep the flight in the air.
            let asked = answer.asked;
            let is_last = || {
                let present = slot.peek();
                let refused = |token: &Arc<Issued>| token.standing.is_refused_since(asked);
                first.is_some() || !present.as_ref().is_some_and(refused)
            };
            let kept = custody.keep(self, slot, &mut answer.response, asked, is_last());
            kept.await?;
            // Asked again: the store may have taken a while.
            if is_last() {
                return Ok(Arrival::Issued(answer));
            }
            first = Some(answer);
        }
    }

    /// One attempt, and repetitions where they are safe.
    async fn attempts<'flight>(
        &self,
        slot: &'flight Slot,
        reason: RefreshReason,
        custody: &mut Custody<'flight>,
        budget: &mut Budget,
        mut place: Option<Place>,
    ) -> Result<Answer, Error> {
        let mut first_asked = None;
        let mut lost = None;
        let mut repetitions = 0;
        let mut before: Option<Error> = None;
        loop {
            let refresh_token = custody.refresh_token(slot).await?;
            let entered = match place.take() {
                Some(place) => Ok(Some(place)),
                None => self.enter(slot, repetitions > 0, budget).await,
            };
            let mut place = match (entered, before.take()) {
                (Ok(place), _) => place,
                (Err(error), None) => return Err(error),
                // What was met before says what became of the refresh token.
                (Err(error), Some(before)) => {
                    let pause = error.retry_after().unwrap_or_default();
                    let error = before.with_retry_after(pause);
                    let refresh_token = refresh_token.as_ref();
                    return Err(custody.failed(self, slot, refresh_token, error).await);
                }
            };
            let first_asked = *first_asked.get_or_insert_with(|| self.clock.now());
            let errand = Attempt {
                slot,
                reason,
                refresh_token: refresh_token.as_ref(),
                lost,
            };
            let attempt = self.attempt(errand, custody, budget, &mut place).await;
            // The pause before the next one is not spent in the others' way.
            drop(place);
            let error = match attempt {
                Ok(answer) => {
                    if refresh_token.is_some() {
                        self.note_renewal(slot);
                    }
                    return Ok(answer);
                }
                Err(error) => error,
            };
            let pause = attempt_pause(repetitions, self.jitter.draw())
                .max(error.retry_after().unwrap_or_default());
            let spent = refresh_token.is_some();
            if spent && error.how_far().is_loss() {
                lost = Some(first_asked);
            }
            let safe = may_repeat(&error, spent, self.is_in_grace(first_asked, pause))
                && error.retry_after().unwrap_or_default() <= LONGEST_RETRY_AFTER
                && repetitions < MOST_REPETITIONS
                && budget.spend(pause);
            if !safe {
                return Err(custody
                    .failed(self, slot, refresh_token.as_ref(), error)
                    .await);
            }
            repetitions += 1;
            before = Some(error);
            self.clock.sleep(pause).await;
        }
    }

    async fn attempt(
        &self,
        attempt: Attempt<'_>,
        custody: &mut Custody<'_>,
        budget: &mut Budget,
        place: &mut Option<Place>,
    ) -> Result<Answer, Error> {
        let Attempt {
            slot,
            reason,
            refresh_token,
            lost,
        } = attempt;
        let limit = self.settings.attempt_timeout.min(budget.0);
        // The queue, or a server that was busy in between, may have taken longer than the server
        // forgives (E3).
        if lost.is_some_and(|asked| !self.is_in_grace(asked, Duration::ZERO)) {
            return Err(Error::new(
                ErrorKind::Unavailable,
                "the answer to the refresh token was lost, and it is too late to send it again at once",
            )
            .delivery(Delivery::Lost));
        }
        custody.before_sending(refresh_token.is_some()).await?;
        let mut request = GrantRequest::new((*slot.key.parameters).clone(), refresh_token.cloned());
        if let Some(subject) = &slot.key.subject {
            request = request.for_subject(subject.clone());
        }
        let asked = self.clock.now();
        let away = slot.account.record.away(refresh_token);
        // Caught here, so that the flight ends as after any lost answer: the store hears of it, and
        // the lease is given back.
        let obtained = AssertUnwindSafe(self.grant.obtain(request)).catch_unwind();
        let answer = tokio::select! {
            biased;
            answer = obtained => answer.unwrap_or_else(|_| Err(panicked())),
            () = self.clock.sleep(limit) => Err(self.at_server(Error::new(
                ErrorKind::Timeout,
                "the authorization server did not answer in time",
            ))
            .delivery(Delivery::Lost)
            .unanswered()),
        };
        let answer = answer.map_err(|error| error.of_token_source(&self.telemetry.source));
        away.returned(&answer);
        if let Some(place) = place {
            self.report(place, slot, refresh_token.is_some(), &answer);
        }
        let duration = self.clock.now().waited_since(asked);
        budget.spend(duration);
        let outcome = answer.as_ref().map(|_| ()).map_err(Clone::clone);
        if !matches!(&outcome, Err(error) if error.asked_nobody()) {
            self.telemetry.token_request(reason, outcome, duration);
        }
        answer.map(|response| Answer {
            response,
            asked,
            in_vain: None,
        })
    }

    /// Names the server that a time-out of our own is about.
    pub(crate) fn at_server(&self, error: Error) -> Error {
        match self.grant.endpoint() {
            Some(endpoint) => error.at_server(&endpoint.server()),
            None => error,
        }
    }

    /// Whether a refresh token that was sent at `asked` may be sent again after `pause` (E3).
    fn is_in_grace(&self, asked: Moment, pause: Duration) -> bool {
        let since = self.clock.now().since(asked) + pause;
        let grace = self.settings.reuse_grace;
        grace.is_some_and(|grace| since < grace)
    }
}

/// One token request.
struct Attempt<'attempt> {
    slot: &'attempt Slot,
    reason: RefreshReason,
    refresh_token: Option<&'attempt Secret>,
    /// When a request was sent with this very refresh token, whose answer did not come.
    lost: Option<Moment>,
}

/// The time that a flight may still take, queues not counted (E2).
pub(crate) struct Budget(Duration);

impl Budget {
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

/// What a flight brings whose last request failed with `error`: the answer to the one before may be
/// good all the same, and nobody else has it (B7).
fn instead(before: Option<Answer>, error: Error) -> Result<Arrival, Error> {
    let is_end = error.is_outdated() || error.kind() == ErrorKind::SignInRequired;
    match before.filter(|_| !is_end) {
        Some(answer) => Ok(Arrival::Issued(Answer {
            in_vain: Some(error),
            ..answer
        })),
        None => Err(error),
    }
}

/// What becomes of a panic in a grant: nobody knows how far its request got.
fn panicked() -> Error {
    Error::new(
        ErrorKind::Panicked,
        "the grant panicked while it got a token",
    )
    .delivery(Delivery::Lost)
}

/// Whether an attempt that ended like this may be made again at once (E3).
fn may_repeat(error: &Error, refresh_token_spent: bool, in_grace: bool) -> bool {
    match error.how_far() {
        // No setting mends itself within a second, such as a reqwest that was built without TLS.
        // A store that is down is waited for between flights.
        // Nor does a grant that panics.
        _ if matches!(
            error.kind(),
            ErrorKind::Settings | ErrorKind::Store | ErrorKind::Panicked
        ) =>
        {
            false
        }
        Delivery::NotSent | Delivery::TurnedAway => true,
        Delivery::Failed => !refresh_token_spent,
        // The server may have rotated already; a second use of the old one would look like theft.
        Delivery::Lost => !refresh_token_spent || in_grace,
        Delivery::Unusable | Delivery::Answered => false,
    }
}

#[cfg(test)]
mod tests {
    use super::may_repeat;
    use crate::error::{Delivery, Error, ErrorKind};

    #[test]
    fn what_may_be_repeated_depends_on_how_far_it_got_and_on_what_it_spent() {
        // E3
        for (delivery, without, with, in_grace) in [
            (Delivery::NotSent, true, true, true),
            (Delivery::TurnedAway, true, true, true),
            (Delivery::Failed, true, false, false),
            (Delivery::Lost, true, false, true),
            (Delivery::Unusable, false, false, false),
            (Delivery::Answered, false, false, false),
        ] {
            let error = Error::new(ErrorKind::Unavailable, "").delivery(delivery);
            assert_eq!(may_repeat(&error, false, false), without, "{delivery:?}");
            assert_eq!(may_repeat(&error, true, false), with, "{delivery:?}");
            assert_eq!(may_repeat(&error, true, true), in_grace, "{delivery:?}");
        }
        let setting = Error::settings("").delivery(Delivery::NotSent);
        assert!(!may_repeat(&setting, false, false));
    }
}
