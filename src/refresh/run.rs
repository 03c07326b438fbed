//! Carries out what the protocol of a flight commands, and tells it what came of it.

use std::sync::Arc;
use std::time::Duration;

use crate::access_token::Issued;
use crate::clock::Moment;
use crate::endpoint::queue::Place;
use crate::error::{Error, ErrorKind, HowFar};
use crate::refresh::admission::{self, Asks, Budget};
use crate::refresh::attempt::Attempt;
use crate::refresh::backend::Backend;
use crate::refresh::ending::{Answer, Arrival, Committed, Ending, Saving, session_is_gone};
use crate::refresh::failure::{self, Circumstances};
use crate::refresh::flight::Flight;
use crate::refresh::local::Local;
use crate::refresh::protocol::{Command, End, Event, Fate, Nap, Protocol, Rules};
use crate::refresh::shared::Shared;
use crate::refresh::write_back;
use crate::schedule::{attempt_pause, lease_poll_pause};
use crate::secret::Secret;
use crate::session::lease::held_by_another;
use crate::session::owner::are_of_two_users;
use crate::store::Version;
use crate::telemetry::{Awaited, RefreshReason, Wait};

/// Repetitions within one flight (E3).
const MOST_REPETITIONS: u32 = 2;
/// How much longer than one refresh another process is waited for: a lease that it does not renew.
const LEASE_GRACE: Duration = Duration::from_secs(10);

/// A flight on its way.
struct Run<'flight> {
    flight: &'flight Flight<'flight>,
    backend: Backend<'flight>,
    place: Option<Place>,
    budget: Budget,
    has_sent: bool,
    repetitions: u32,
    /// What came last.
    answer: Option<Answer>,
    /// What came before that: an API has refused the token while it was asked for (C2).
    first: Option<Answer>,
    /// What the last attempt, or the last call of the store, met.
    error: Option<Error>,
    /// Why there is no place in the queue.
    barred: Option<Ending>,
    /// Another process has the lease.
    wait: Option<Wait<'flight>>,
}

/// Gets a token from the store, or from the authorization server for all who share the store.
pub(crate) async fn run(flight: &Flight<'_>) -> Result<Arrival, Ending> {
    let Flight {
        engine,
        entry,
        reason,
        ..
    } = *flight;
    let setup = &engine.setup;
    let began = setup.clock.now();
    let _turn = match setup.store {
        Some(_) => Some(entry.owner.turn().await),
        None => None,
    };
    let rules = Rules {
        for_user: setup.store.is_some() && entry.key.subject.is_some(),
        needs_refresh_token: setup.grant.needs_refresh_token(),
        by_refusal: reason == RefreshReason::Refusal,
        grace: setup.settings.reuse_grace,
        patience: setup.settings.timeouts.refresh.saturating_add(LEASE_GRACE),
        in_memory: setup.store.is_none(),
        reloads: entry.owner.reload.is_some(),
        mark: Version::random().map_err(Ending::Failed)?,
    };
    let backend = match &setup.store {
        Some(store) => Backend::Shared(Box::new(Shared::new(flight, store, began))),
        None => Backend::Local(Local::new(flight)),
    };
    let run = Run {
        flight,
        backend,
        place: None,
        budget: Budget::new(setup.settings.timeouts.refresh),
        has_sent: false,
        repetitions: 0,
        answer: None,
        first: None,
        error: None,
        barred: None,
        wait: None,
    };
    run.follow(rules).await
}

impl Run<'_> {
    async fn follow(mut self, rules: Rules) -> Result<Arrival, Ending> {
        let has_unsaved = self.flight.entry.owner.unsaved().is_some();
        let (mut protocol, mut command) = Protocol::begin(rules, has_unsaved);
        loop {
            if let Command::Done(end) = command {
                if end == End::FoundInStore {
                    self.backend.touch().await;
                }
                let wait = self.wait.take();
                let arrival = self.arrive(end);
                if let Some(wait) = wait {
                    end_wait(wait, &arrival);
                }
                return arrival;
            }
            let held = self.backend.held();
            let work = self.carry_out(command, &protocol);
            let event = match held {
                Some(lease) => lease.while_renewing(work).await,
                None => work.await,
            };
            command = protocol.step(event, self.now());
        }
    }

    async fn carry_out(&mut self, command: Command, protocol: &Protocol) -> Event {
        let Flight { engine, entry, .. } = *self.flight;
        let setup = &engine.setup;
        match command {
            Command::SaveUnsaved => {
                if write_back::offer(engine, entry).await {
                    Event::Written
                } else {
                    Event::NotAnswered
                }
            }
            Command::Look => match self.backend.look().await {
                Ok(seen) => Event::Seen(seen),
                Err(error) => self.not_answered(error),
            },
            Command::Enter { returns } => self.enter(protocol, returns).await,
            Command::Lease => match self.backend.lease().await {
                Ok(Some(seen)) => {
                    if let Some(wait) = self.wait.take() {
                        wait.end(None);
                    }
                    Event::Seen(seen)
                }
                Ok(None) => {
                    let (telemetry, clock) = (&setup.telemetry, &setup.clock);
                    self.wait
                        .get_or_insert_with(|| Wait::begin(telemetry, clock, Awaited::Lease));
                    Event::Taken
                }
                Err(error) => self.not_answered(error),
            },
            Command::Sleep(nap) => {
                // The place is not slept in: that would be in the others' way.
                self.place = None;
                let pause = match nap {
                    Nap::Poll => lease_poll_pause(setup.jitter.draw()),
                    Nap::For(pause) => pause,
                };
                setup.clock.sleep(pause).await;
                Event::Slept
            }
            Command::Mark(state) => {
                let marked = self.backend.mark(state, protocol.own_mark()).await;
                self.written(marked)
            }
            Command::Write(state) => {
                self.place = None;
                let written = self.backend.write(state).await;
                self.written(written)
            }
            Command::Send => self.send(protocol).await,
            Command::Commit => self.commit(protocol).await,
            Command::Release => {
                self.place = None;
                self.backend.release().await;
                Event::Released
            }
            Command::Reload => match self.backend.reload().await {
                Ok(true) => Event::Reloaded,
                Ok(false) => Event::NothingNewer,
                Err(error) => self.not_answered(error),
            },
            Command::Done(_) => Event::Released,
        }
    }

    async fn enter(&mut self, protocol: &Protocol, returns: bool) -> Event {
        let Flight {
            engine,
            entry,
            endpoint,
            reason,
            landing,
            ..
        } = *self.flight;
        let risk = admission::risk_of(protocol.spends(), protocol.state());
        let asks = Asks { risk, returns };
        let setup = &engine.setup;
        let enters = admission::enter(setup, endpoint, entry, asks, &mut self.budget);
        // What was started for callers who wait is worth nothing when all of them have given up; a
        // refresh ahead of the expiry is for those to come.
        let is_ahead = matches!(reason, RefreshReason::Soft | RefreshReason::Hard);
        let entered = if is_ahead || self.has_sent {
            enters.await
        } else {
            tokio::select! {
                biased;
                entered = enters => entered,
                () = landing.abandoned() => Err(Ending::Abandoned),
            }
        };
        match entered {
            Ok(place) => {
                self.place = place;
                Event::Entered
            }
            Err(ending) => {
                self.barred = Some(ending);
                Event::Barred
            }
        }
    }

    async fn send(&mut self, protocol: &Protocol) -> Event {
        let Flight {
            engine,
            entry,
            endpoint,
            reason,
            claims,
            beginning,
            ..
        } = *self.flight;
        let setup = &engine.setup;
        let refresh_token = if protocol.spends() {
            self.backend.refresh_token().cloned()
        } else {
            None
        };
        // The last look before the request goes out: this process may have been stopped, or the user have
        // signed in again or out.
        let is_same_user =
            entry.key.subject.is_none() || entry.owner.succession.epoch() == beginning.epoch;
        if !self.backend.is_ours() || !is_same_user {
            return Event::NotOurs;
        }
        let of_session = self.backend.record().dpop_key.as_ref();
        let of_session = of_session.map(|session| session.key().clone());
        let dpop_key = match &setup.dpop {
            Some(dpop) => dpop.key(of_session.as_ref()),
            None => Ok(None),
        };
        let dpop_key = match dpop_key {
            Ok(key) => key,
            Err(error) => {
                // Another attempt would find the same session.
                self.error = Some(error);
                return Event::Failed {
                    fate: Fate::NotTaken,
                    repeatable: false,
                    pause: Duration::ZERO,
                };
            }
        };
        self.has_sent = true;
        let out = refresh_token
            .is_some()
            .then(|| entry.owner.sends(protocol.own_mark()));
        let spent = refresh_token.clone();
        let attempt = Attempt {
            setup,
            endpoint,
            entry,
            reason,
            claims,
            refresh_token,
            dpop_key,
        };
        let sent = attempt.send(out, &mut self.place, &mut self.budget);
        let (asked, answer) = sent.await;
        // The pause before the next attempt, and the save, are not spent in the others' way.
        if answer.is_err() {
            self.place = None;
        }
        match answer {
            Ok(response) => {
                let id_token = self.backend.record().id_token.as_ref();
                if are_of_two_users(id_token, response.id_token.as_ref()) {
                    let error = Error::protocol(
                        "the id token of a refresh is about another user than the one who signed in",
                    );
                    self.error = Some(error.got(HowFar::Unusable));
                    return Event::Failed {
                        fate: Fate::Unusable,
                        repeatable: false,
                        pause: Duration::ZERO,
                    };
                }
                self.error = None;
                self.answer = Some(Answer {
                    response,
                    asked,
                    in_vain: None,
                });
                Event::Answered
            }
            Err(error) => self.failed(error, spent.as_ref()),
        }
    }

    fn failed(&mut self, error: Error, spent: Option<&Secret>) -> Event {
        let Flight {
            engine,
            entry,
            endpoint,
            beginning,
            claims,
            ..
        } = *self.flight;
        let setup = &engine.setup;
        // What is said of the refresh token of a user who has gone meanwhile says nothing of the next one.
        let is_same_session = entry.owner.succession.epoch() == beginning.epoch;
        let is_of_repetition = error.is_of_repetition();
        let (error, fate) = match spent.filter(|_| is_same_session) {
            Some(refresh_token) => {
                let circumstances = Circumstances {
                    now: setup.clock.now(),
                    is_plain: entry.key.parameters.is_empty() && claims.is_none(),
                    is_refused_by_rule: setup.is_refused_refresh(&error),
                    others_succeed: &|since| {
                        admission::others_are_renewed(setup, endpoint, entry, since)
                    },
                };
                failure::judge(&entry.owner, refresh_token, error, &circumstances)
            }
            None => {
                let fate = failure::fate_of(&error);
                (error, fate)
            }
        };
        if fate == Fate::Dead && is_of_repetition {
            setup.telemetry.refresh_token_refused_with_nonce(&error);
        }
        let asked = error.retry_after().unwrap_or_default();
        let pause = attempt_pause(self.repetitions, setup.jitter.draw()).max(asked);
        let repeatable = failure::is_repeatable(&error)
            && self.repetitions < MOST_REPETITIONS
            && self.budget.spend(pause);
        self.repetitions += 1;
        self.error = Some(error);
        Event::Failed {
            fate,
            repeatable,
            pause,
        }
    }

    async fn commit(&mut self, protocol: &Protocol) -> Event {
        let Some(mut answer) = self.answer.take() else {
            return Event::Overtaken;
        };
        // Refused while this request was under way: what it brought may be dead as well, since servers
        // revoke whole grants (C2). Once is enough, or an API that refuses everything would keep the
        // flight in the air.
        let is_last = self.first.is_some() || !self.is_refused_since(answer.asked);
        let saving = if !protocol.is_stored() {
            Saving::Later
        } else if is_last {
            Saving::AndRelease
        } else {
            Saving::Only
        };
        let committed = self.backend.commit(&mut answer, saving).await;
        // Asked again: the store may have taken a while.
        let is_refused = self.first.is_none() && self.is_refused_since(answer.asked);
        self.answer = Some(answer);
        self.place = None;
        match committed {
            Committed::Safe if is_refused => {
                self.first = self.answer.take();
                self.repetitions = 0;
                self.error = None;
                Event::Committed { again: true }
            }
            Committed::Safe => Event::Committed { again: false },
            Committed::Unsaved => Event::Unsaved,
            Committed::Overtaken => {
                self.answer = None;
                Event::Overtaken
            }
        }
    }

    fn is_refused_since(&self, asked: Moment) -> bool {
        let present = self.flight.entry.peek();
        let is_refused = |token: &Arc<Issued>| token.standing.is_refused_since(asked);
        present.as_ref().is_some_and(is_refused)
    }

    /// What the end of the protocol is to the callers.
    fn arrive(mut self, end: End) -> Result<Arrival, Ending> {
        let owner = &self.flight.entry.owner;
        let failed =
            |error: Option<Error>| Err(Ending::Failed(error.unwrap_or_else(without_reason)));
        let outcome = match end {
            End::Issued => {
                let issued = self.answer.take().map(Arrival::Issued);
                issued.ok_or_else(|| Ending::Failed(without_reason()))
            }
            End::FoundInStore => match &mut self.backend {
                Backend::Shared(shared) => {
                    let found = shared.newer.take().map(Arrival::Found);
                    found.ok_or_else(|| Ending::Failed(without_reason()))
                }
                Backend::Local(_) => failed(None),
            },
            End::Failed | End::StoreDown => failed(self.error.take()),
            End::Barred => match (self.error.take(), self.barred.take()) {
                // What was met before says what became of the refresh token.
                (Some(before), Some(Ending::Barred(error) | Ending::Failed(error))) => {
                    let pause = error.retry_after().unwrap_or_default();
                    failed(Some(before.with_retry_after(pause)))
                }
                (_, Some(ending)) => Err(ending),
                (before, None) => failed(before),
            },
            End::AnswerLost => failed(Some(Error::answer_lost())),
            End::TooLate => failed(Some(too_late())),
            End::SessionChanged { is_gone: true } => Err(Ending::Known(session_is_gone())),
            End::SessionChanged { is_gone: false } => Err(Ending::Superseded),
            End::NobodySignedIn => Err(Ending::Known(Error::sign_in_required(
                "no user is signed in, or without a refresh token",
            ))),
            End::Dead => Err(Ending::Known(owner.death())),
            End::InDoubt => {
                let doubt = owner.doubt(self.backend.refresh_token(), self.now());
                Err(Ending::Known(doubt.unwrap_or_else(without_reason)))
            }
            End::StillUnsaved => failed(Some(Error::store(
                "the newest refresh token is not in the store yet, so it is not spent",
            ))),
            End::OtherTooSlow => failed(Some(held_by_another())),
            // Nothing that the user could mend by a sign-in.
            End::TooManyConflicts => failed(Some(Error::store(
                "the record is changed time and again, or its lease cannot be kept",
            ))),
        };
        instead(self.first.take(), outcome)
    }

    fn not_answered(&mut self, error: Error) -> Event {
        self.error = Some(error);
        Event::NotAnswered
    }

    /// What came of a write that is not the last: `false` if another version was there.
    fn written(&mut self, written: Result<bool, Error>) -> Event {
        match written {
            Ok(true) => Event::Written,
            Ok(false) => Event::Overtaken,
            Err(error) => {
                // What the attempt before has met says more.
                self.error.get_or_insert(error);
                Event::NotAnswered
            }
        }
    }

    fn now(&self) -> Moment {
        self.flight.engine.setup.clock.now()
    }
}

/// The flight that waited for another process's lease has ended without one: with what that process has
/// brought, or with nothing.
fn end_wait(wait: Wait<'_>, arrival: &Result<Arrival, Ending>) {
    match arrival {
        Ok(_) => wait.end(None),
        Err(Ending::Failed(error) | Ending::Barred(error) | Ending::Known(error)) => {
            wait.end(Some(error.kind()));
        }
        // The flight has given up, since it is of no use any more.
        Err(Ending::Superseded | Ending::Abandoned) => drop(wait),
    }
}

/// What a flight brings whose last request failed: the answer to the one before may be good all the same,
/// and no other flight has it (B7).
fn instead(before: Option<Answer>, outcome: Result<Arrival, Ending>) -> Result<Arrival, Ending> {
    let ending = match outcome {
        Err(ending) => ending,
        Ok(arrival) => return Ok(arrival),
    };
    let is_end = match &ending {
        Ending::Superseded | Ending::Abandoned => true,
        Ending::Failed(error) | Ending::Barred(error) | Ending::Known(error) => {
            error.kind() == ErrorKind::SignInRequired
        }
    };
    match before.filter(|_| !is_end) {
        Some(answer) => Ok(Arrival::Issued(Answer {
            in_vain: Some(ending),
            ..answer
        })),
        None => Err(ending),
    }
}

fn too_late() -> Error {
    Error::new(
        ErrorKind::Unavailable,
        "the answer to the refresh token was lost, and it is too late to send it again at once",
    )
    .got(HowFar::Lost)
}

/// Of an end that says more than it can: the protocol has no such one.
fn without_reason() -> Error {
    Error::new(ErrorKind::Unavailable, "the refresh came to no end")
}
