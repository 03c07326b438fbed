//! Who may send a request to the token endpoint, and when: so many at once, the others in a queue (A7).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::clock::Moment;
use crate::endpoint::breaker::{Breaker, Closed, Outcome, Risk};
use crate::endpoint::lines::Lines;
use crate::endpoint::open_breakers::{Change, OpenBreakers};
use crate::telemetry::Telemetry;

/// The queue before one token endpoint, and the breaker that empties it.
#[derive(Debug)]
pub(crate) struct Queue(Mutex<State>);

#[derive(Debug)]
struct State {
    /// How many token requests may be under way.
    places: usize,
    taken: usize,
    /// Those of the taken places whose request got no answer, while others are still out that may show
    /// whether the server answers at all: until then they are given to nobody, or each failure of a
    /// server that hangs would send one more after it.
    withheld: usize,
    revoking: usize,
    waiting: Lines<Waiter>,
    revocations: VecDeque<(u64, oneshot::Sender<Place>)>,
    breaker: Breaker,
    open: OpenBreakers,
}

#[derive(Debug)]
struct Waiter {
    client: u64,
    door: oneshot::Sender<Result<Place, Closed>>,
    /// Who leaves the queue when the breaker opens; `None` for one that stays.
    applicant: Option<Applicant>,
}

/// Who asks for a place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Applicant {
    /// Who asks the server: the client, as a hash.
    pub(crate) client: u64,
    /// Whose tokens the request is for, as a hash.
    pub(crate) owner: u64,
    pub(crate) risk: Risk,
    /// Whether it has had a place in this flight already, and gave it back to wait for something.
    pub(crate) returns: bool,
}

/// Leave to send one request. Whoever has it waits for nothing but its own answer and the store
/// calls around it.
#[derive(Debug)]
pub(crate) struct Place {
    queue: Arc<Queue>,
    client: u64,
    kind: Kind,
    /// Whether its request got no answer.
    unanswered: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Token,
    /// On the one place that revocations always have.
    Revocation,
    /// On a place that no token request wants.
    SpareRevocation,
}

impl Queue {
    pub(crate) fn new(places: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            places,
            taken: 0,
            withheld: 0,
            revoking: 0,
            waiting: Lines::default(),
            revocations: VecDeque::new(),
            breaker: Breaker::default(),
            open: OpenBreakers::default(),
        })))
    }

    /// Waits for a place, at the head of the queue if the applicant `returns`.
    ///
    /// # Errors
    /// If the breaker is open, or opens meanwhile.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        applicant: Applicant,
        now: Moment,
    ) -> Result<Place, Closed> {
        let waits = {
            let mut state = self.state();
            let Applicant {
                client,
                owner,
                risk,
                ..
            } = applicant;
            if !state.breaker.is_closed(client) {
                state.breaker.admit(client, owner, risk, now)?;
                // A probe does not wait for the requests that hang.
                return Ok(state.take(self, client, Kind::Token));
            }
            state.wait(self, client, Some(applicant))
        };
        match waits {
            Ok(place) => Ok(place),
            Err(door) => door
                .await
                .unwrap_or_else(|_| Ok(self.beside(applicant.client))),
        }
    }

    /// Waits for a place whatever the breaker says: for what cannot be tried a second time, such as a
    /// code.
    pub(crate) async fn enter_anyway(self: &Arc<Self>, client: u64) -> Place {
        let waits = self.state().wait(self, client, None);
        match waits {
            Ok(place) => place,
            Err(door) => match door.await {
                Ok(Ok(place)) => place,
                Ok(Err(_)) | Err(_) => self.beside(client),
            },
        }
    }

    /// Waits for a place to revoke a token: there is always one, and more where no token request
    /// waits.
    pub(crate) async fn enter_to_revoke(self: &Arc<Self>, client: u64) -> Place {
        let door = {
            let mut state = self.state();
            if let Some(kind) = state.revocation() {
                return state.take(self, client, kind);
            }
            let (door, waits) = oneshot::channel();
            state.revocations.push_back((client, door));
            waits
        };
        door.await.unwrap_or_else(|_| self.beside(client))
    }

    /// Takes note of what an attempt of `owner` has met, which was one of the source `by`. If that opens the
    /// breaker, those who wait are told so.
    fn note(
        self: &Arc<Self>,
        client: u64,
        owner: u64,
        outcome: Outcome,
        now: Moment,
        by: &Telemetry,
    ) {
        let mut state = self.state();
        let was_closed = state.breaker.is_closed(client);
        state.breaker.note(client, owner, outcome, now);
        let State { open, breaker, .. } = &mut *state;
        let changes = open.compare(breaker, client, by);
        if changes.iter().any(Option::is_some) {
            drop(state);
            changes.iter().flatten().for_each(Change::tell);
            state = self.state();
        }
        if !matches!(outcome, Outcome::Nothing { .. }) {
            let gone = state.release_withheld(self);
            drop(state);
            drop(gone);
            state = self.state();
        }
        if !was_closed || state.breaker.is_closed(client) {
            return;
        }
        let State {
            breaker, waiting, ..
        } = &mut *state;
        let told = waiting.take_out(|client, waiter| {
            let Applicant { owner, risk, .. } = waiter.applicant?;
            breaker.closed_to(client, owner, risk)
        });
        for (waiter, closed) in told {
            // A caller who has gone away meanwhile need not hear it.
            drop(waiter.door.send(Err(closed)));
        }
    }

    /// A place beside the limit, if the queue is gone that would have given one: never, as long as it
    /// is held by whoever waits.
    fn beside(self: &Arc<Self>, client: u64) -> Place {
        self.state().take(self, client, Kind::Token)
    }

    fn leave(self: &Arc<Self>, client: u64, kind: Kind, unanswered: bool) {
        let gone = {
            let mut state = self.state();
            match kind {
                Kind::Token => state.taken -= 1,
                Kind::Revocation => state.revoking -= 1,
                Kind::SpareRevocation => {
                    state.revoking -= 1;
                    state.taken -= 1;
                }
            }
            if unanswered && state.breaker.is_closed(client) && state.taken > state.withheld {
                state.taken += 1;
                state.withheld += 1;
                Vec::new()
            } else if state.taken == state.withheld {
                state.release_withheld(self)
            } else {
                state.let_in(self)
            }
        };
        // Those who went away in this very instant. Outside of the lock: a place that goes lets the
        // next one in.
        drop(gone);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics under it, so a poisoned lock holds no half-done change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn take(&mut self, queue: &Arc<Queue>, client: u64, kind: Kind) -> Place {
        match kind {
            Kind::Token => self.taken += 1,
            Kind::Revocation => self.revoking += 1,
            Kind::SpareRevocation => {
                self.revoking += 1;
                self.taken += 1;
            }
        }
        Place {
            queue: queue.clone(),
            client,
            kind,
            unanswered: false,
        }
    }

    /// Gives the free places to those who wait, and returns what came to those who went away.
    #[must_use]
    fn let_in(&mut self, queue: &Arc<Queue>) -> Vec<Result<Place, Closed>> {
        let mut gone = Vec::new();
        while self.taken < self.places
            && let Some(waiter) = self.waiting.pop()
        {
            if waiter.door.is_closed() {
                continue;
            }
            let place = self.take(queue, waiter.client, Kind::Token);
            gone.extend(waiter.door.send(Ok(place)).err());
        }
        while let Some(kind) = self.revocation()
            && let Some((client, door)) = self.revocations.pop_front()
        {
            if door.is_closed() {
                continue;
            }
            let place = self.take(queue, client, kind);
            gone.extend(door.send(place).err().map(Ok));
        }
        gone
    }

    /// The server answers, or nobody is left to show whether it does.
    #[must_use]
    fn release_withheld(&mut self, queue: &Arc<Queue>) -> Vec<Result<Place, Closed>> {
        self.taken -= std::mem::take(&mut self.withheld);
        self.let_in(queue)
    }

    /// A place, or a door to wait at.
    fn wait(
        &mut self,
        queue: &Arc<Queue>,
        client: u64,
        applicant: Option<Applicant>,
    ) -> Result<Place, oneshot::Receiver<Result<Place, Closed>>> {
        if self.taken < self.places {
            return Ok(self.take(queue, client, Kind::Token));
        }
        let (door, waits) = oneshot::channel();
        let waiter = Waiter {
            client,
            door,
            applicant,
        };
        if applicant.is_some_and(|applicant| applicant.returns) {
            self.waiting.push_front(client, waiter);
        } else {
            self.waiting.push_back(client, waiter);
        }
        Err(waits)
    }

    /// What place a revocation may have now.
    fn revocation(&self) -> Option<Kind> {
        if self.revoking == 0 {
            return Some(Kind::Revocation);
        }
        let spare = self.waiting.is_empty() && self.taken < self.places;
        spare.then_some(Kind::SpareRevocation)
    }
}

impl Place {
    /// Takes note of what the request of `owner` has met, which was one of the source `by`.
    pub(crate) fn report(&mut self, owner: u64, outcome: Outcome, now: Moment, by: &Telemetry) {
        self.unanswered = matches!(outcome, Outcome::Nothing { .. });
        self.queue.note(self.client, owner, outcome, now, by);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.queue.leave(self.client, self.kind, self.unanswered);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use futures_util::{FutureExt, poll};
    use std::pin::pin;

    use super::{Applicant, Place, Queue};
    use crate::clock::Moment;
    use crate::endpoint::breaker::{Closed, Outcome, Risk};
    use crate::error::ErrorKind;
    use crate::telemetry::Telemetry;

    const CLIENT: u64 = 1;

    fn at(seconds: u64) -> Moment {
        Moment {
            monotonic: Duration::from_secs(seconds),
            wall: Duration::from_secs(seconds),
        }
    }

    fn applicant(owner: u64) -> Applicant {
        Applicant {
            client: CLIENT,
            owner,
            risk: Risk::RefreshToken,
            returns: false,
        }
    }

    /// A place that is to be had at once.
    fn enter(queue: &Arc<Queue>, owner: u64) -> Place {
        let entered = queue.enter(applicant(owner), at(0)).now_or_never();
        entered.expect("there is a place").unwrap()
    }

    /// A source that nobody listens to.
    fn nobody() -> Telemetry {
        Telemetry {
            source: "source".into(),
            grant: "grant".into(),
            hook: None,
        }
    }

    fn fail(queue: &Arc<Queue>, owners: std::ops::Range<u64>) {
        let kind = ErrorKind::Timeout;
        for owner in owners {
            queue.note(CLIENT, owner, Outcome::Nothing { kind }, at(0), &nobody());
        }
    }

    #[tokio::test]
    async fn as_many_as_there_are_places_enter_and_the_others_in_the_order_they_came() {
        // A7
        let queue = Queue::new(2);
        let (first, second) = (enter(&queue, 1), enter(&queue, 2));
        let mut third = pin!(queue.enter(applicant(3), at(0)));
        let mut fourth = pin!(queue.enter(applicant(4), at(0)));
        assert!(poll!(third.as_mut()).is_pending());
        assert!(poll!(fourth.as_mut()).is_pending());
        drop(first);
        assert!(poll!(fourth.as_mut()).is_pending());
        let third = third.now_or_never().unwrap().unwrap();
        drop((second, third));
        assert!(fourth.now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn who_gave_a_place_back_comes_to_the_head_of_the_queue() {
        // A7
        let queue = Queue::new(1);
        let place = enter(&queue, 1);
        let mut newcomer = pin!(queue.enter(applicant(2), at(0)));
        assert!(poll!(newcomer.as_mut()).is_pending());
        let returning = Applicant {
            returns: true,
            ..applicant(3)
        };
        let mut returns = pin!(queue.enter(returning, at(0)));
        assert!(poll!(returns.as_mut()).is_pending());
        drop(place);
        assert!(poll!(newcomer.as_mut()).is_pending());
        assert!(returns.now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn whoever_goes_away_keeps_nobody_from_a_place() {
        // A7
        let queue = Queue::new(1);
        let place = enter(&queue, 1);
        for owner in 0..100_000 {
            let mut waits = Box::pin(queue.enter(applicant(owner), at(0)));
            assert!(poll!(waits.as_mut()).is_pending());
        }
        let mut last = pin!(queue.enter(applicant(7), at(0)));
        assert!(poll!(last.as_mut()).is_pending());
        // And one who goes away with a place at the door.
        let mut given = Box::pin(queue.enter(applicant(8), at(0)));
        assert!(poll!(given.as_mut()).is_pending());
        drop(place);
        let last = last.now_or_never().unwrap();
        drop(last);
        drop(given);
        enter(&queue, 9);
    }

    #[tokio::test]
    async fn an_open_breaker_empties_the_queue_and_lets_one_probe_in_beside_those_that_hang() {
        // A8
        let queue = Queue::new(1);
        let hangs = enter(&queue, 1);
        let mut waits = pin!(queue.enter(applicant(2), at(0)));
        assert!(poll!(waits.as_mut()).is_pending());
        let mut code = pin!(queue.enter_anyway(CLIENT));
        assert!(poll!(code.as_mut()).is_pending());
        fail(&queue, 1..4);
        let closed = waits.now_or_never().unwrap().unwrap_err();
        let expected = Closed {
            kind: ErrorKind::Timeout,
            until: Moment {
                monotonic: Duration::from_millis(1_250),
                wall: Duration::from_millis(1_250),
            },
        };
        assert_eq!(closed, expected);
        assert!(poll!(code.as_mut()).is_pending(), "a code is not given up");
        let probe = queue.enter(applicant(5), at(2)).now_or_never().unwrap();
        let refused = queue.enter(applicant(6), at(2)).now_or_never().unwrap();
        assert!(probe.is_ok() && refused.is_err());
        queue.note(CLIENT, 5, Outcome::Answered, at(2), &nobody());
        drop((hangs, probe));
        assert!(code.now_or_never().is_some());
        enter(&queue, 7);
    }

    #[tokio::test]
    async fn the_place_of_a_request_that_got_no_answer_waits_for_what_the_others_show() {
        // A8: a server that hangs sees as many requests as there are places, and no more.
        let nothing = Outcome::Nothing {
            kind: ErrorKind::Timeout,
        };
        for answers in [true, false] {
            let queue = Queue::new(3);
            let mut places: Vec<_> = (0..3).map(|owner| enter(&queue, owner)).collect();
            let mut waits = pin!(queue.enter(applicant(9), at(0)));
            assert!(poll!(waits.as_mut()).is_pending());
            for owner in 0..2 {
                let mut place = places.remove(0);
                place.report(owner, nothing, at(0), &nobody());
                drop(place);
                assert!(poll!(waits.as_mut()).is_pending());
            }
            let mut last = places.remove(0);
            last.report(
                2,
                if answers {
                    Outcome::SomeAnswer
                } else {
                    nothing
                },
                at(0),
                &nobody(),
            );
            let outcome = waits.now_or_never().unwrap();
            assert_eq!(outcome.is_ok(), answers);
            drop((last, outcome));
        }
        // Where no other is out, there is nothing to wait for.
        let queue = Queue::new(1);
        let mut place = enter(&queue, 1);
        let mut waits = pin!(queue.enter(applicant(9), at(0)));
        assert!(poll!(waits.as_mut()).is_pending());
        place.report(1, nothing, at(0), &nobody());
        drop(place);
        assert!(waits.now_or_never().unwrap().is_ok());
    }

    #[tokio::test]
    async fn revocations_have_one_place_of_their_own_and_what_token_requests_leave() {
        // A7
        let queue = Queue::new(2);
        let (first, second) = (enter(&queue, 1), enter(&queue, 2));
        let own = queue.enter_to_revoke(CLIENT).now_or_never();
        assert!(own.is_some());
        let mut other = pin!(queue.enter_to_revoke(CLIENT));
        assert!(poll!(other.as_mut()).is_pending());
        let mut token = pin!(queue.enter(applicant(3), at(0)));
        assert!(poll!(token.as_mut()).is_pending());
        drop(first);
        assert!(poll!(other.as_mut()).is_pending(), "a token request waits");
        let third = token.now_or_never().unwrap();
        drop(second);
        let spare = other.now_or_never();
        assert!(spare.is_some());
        drop((spare, own, third));
        // All places are back.
        let _both = (enter(&queue, 1), enter(&queue, 2));
        assert!(queue.enter_to_revoke(CLIENT).now_or_never().is_some());
    }
}
