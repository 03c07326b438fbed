//! Carries out what flights command, as the crate does, with the outcome that the search wants to see.

use super::flight::{Copied, Flight};
use super::outcomes::Outcome;
use super::process::{OwnMark, Process};
use super::scenario::Scenario;
use super::store::{Hold, Record};
use super::time::{TICK, moment};
use super::world::{Deed, World, origin};
use crate::refresh::protocol::{Command, End, Event, Seen};
use crate::session::state::RefreshTokenState;

/// One process at work.
pub(super) struct Work<'step> {
    pub(super) scenario: &'step Scenario,
    pub(super) world: &'step mut World,
    pub(super) deeds: &'step mut Vec<Deed>,
    /// Which process.
    pub(super) at: usize,
}

impl<'step> Work<'step> {
    pub(super) fn of(
        scenario: &'step Scenario,
        world: &'step mut World,
        at: usize,
        deeds: &'step mut Vec<Deed>,
    ) -> Self {
        Self {
            scenario,
            world,
            deeds,
            at,
        }
    }

    /// A flight that begins looks at once, if it has nothing else to do first.
    pub(super) fn look(&mut self) {
        if self.flight().command == Command::Look {
            self.step(Outcome::Fine);
        }
    }

    /// Takes one step of the flight.
    pub(super) fn step(&mut self, mut outcome: Outcome) {
        loop {
            let command = self.flight().command;
            let Some(event) = self.carry_out(command, outcome) else {
                return;
            };
            let (now, is_crowd) = (moment(self.world.now), self.scenario.is_crowd());
            let flight = self.flight();
            flight.command = flight.protocol.step(event, now);
            match flight.command {
                Command::Done(end) => return self.end(end),
                // What no other process can tell from one step is one step.
                Command::Release if !flight.has_lease() => outcome = Outcome::Fine,
                Command::Lease if is_crowd => {}
                Command::Look if is_crowd => outcome = Outcome::Fine,
                _ => return,
            }
        }
    }

    /// `None` if the request is under way, and no answer is there yet.
    fn carry_out(&mut self, command: Command, outcome: Outcome) -> Option<Event> {
        Some(match command {
            Command::SaveUnsaved if self.offer(outcome) => Event::Written,
            Command::Look if outcome == Outcome::Fine => Event::Seen(self.understood()),
            Command::Enter { .. } if outcome != Outcome::Fails => Event::Entered,
            Command::Enter { .. } => Event::Barred,
            Command::SaveUnsaved | Command::Look => Event::NotAnswered,
            Command::Lease => self.lease(outcome),
            Command::Sleep(_) => {
                self.world.pass(TICK);
                Event::Slept
            }
            Command::Mark(state) => {
                let by = self.flight().mark;
                self.process().mark = Some(OwnMark::before(self.process().mark, by));
                self.write(state, outcome)
            }
            Command::Write(state) => self.write(state, outcome),
            Command::Send => return self.send(outcome),
            Command::Commit => self.commit(outcome),
            Command::Reload => Event::NothingNewer,
            Command::Release | Command::Done(_) => self.release(outcome),
        })
    }

    fn lease(&mut self, outcome: Outcome) -> Event {
        let (at, now) = (self.at, self.world.now);
        if outcome == Outcome::Fails {
            return Event::NotAnswered;
        }
        if self.scenario.is_shared {
            if !self.world.store.lease(at, now) {
                self.flight().taken_since.get_or_insert(now);
                self.deeds.push(Deed::Taken);
                return Event::Taken;
            }
            if outcome == Outcome::Unheard {
                self.world.store.abandon(at);
                return Event::NotAnswered;
            }
            self.flight().hold = Hold::Since(now);
            self.flight().taken_since = None;
        }
        Event::Seen(self.understood())
    }

    /// What the record means for this flight. What this process knows follows it.
    fn understood(&mut self) -> Seen {
        let (now, scenario, at) = (self.world.now, self.scenario, self.at);
        let record = self.world.store.record;
        let process = &mut self.world.processes[at];
        let known = process.known;
        let found = record.map(|record| record.tokens.refresh_token.session);
        let Some(is_superseded) = process.flight.as_ref().map(|flight| flight.is_superseded) else {
            return Seen::default();
        };
        let state = record.map_or(RefreshTokenState::Ready, |record| {
            process.lifted(record.state)
        });
        let is_same = !is_superseded && (known.is_none() || known == found);
        let is_newer = |record: &Record| {
            record.is_alive(now) && record.tokens.access_token > process.access_token
        };
        let serves = scenario.is_shared && is_same && record.as_ref().is_some_and(is_newer);
        if record.is_some_and(|record| record.state != state) {
            self.deeds.push(Deed::Lifted);
        }
        if is_same {
            process.known = found;
        } else if !is_superseded {
            process.forget();
        }
        if let Some(flight) = &mut process.flight {
            flight.copy = record.map(|record| Copied {
                record: Record { state, ..record },
                is_current: true,
            });
            flight.looks(state, now);
            flight.session = flight.session.or(found.filter(|_| is_same));
        }
        Seen {
            known: known.filter(|_| scenario.is_shared).map(origin),
            origin: found.filter(|_| scenario.is_shared).map(origin),
            is_superseded,
            serves,
            has_refresh_token: record.is_some(),
            state,
            rests: false,
            protects: record.is_some_and(|record| record.is_alive(now)),
        }
    }

    /// What a flight brings is in the hands of its callers from now on, if they are of that session.
    fn end(&mut self, end: End) {
        let Some(flight) = self.process().flight.take() else {
            return;
        };
        let found = flight.copy.map(|copy| copy.record.tokens);
        let tokens = match end {
            End::Issued => flight.answer,
            End::FoundInStore => found,
            _ => None,
        };
        if let Some(tokens) = tokens.filter(|_| !flight.is_superseded) {
            self.process().access_token = tokens.access_token;
        }
        self.forget_what_is_of_no_use();
        self.deeds.push(Deed::Ended {
            end,
            brought: tokens.map(|tokens| tokens.refresh_token.session),
            flight: Box::new(flight),
        });
    }

    /// Or states would differ in what makes no difference any more.
    fn forget_what_is_of_no_use(&mut self) {
        let state = self.world.store.record.map(|record| record.state);
        let process = &mut self.world.processes[self.at];
        process.mark = process.mark.filter(|mark| match state {
            Some(RefreshTokenState::Sent { by, .. }) => by == mark.by,
            _ => false,
        });
        if process.flights == self.scenario.flights {
            process.forget();
        }
    }

    pub(super) fn process(&mut self) -> &mut Process {
        &mut self.world.processes[self.at]
    }

    /// Only a process with a flight takes a step.
    pub(super) fn flight(&mut self) -> &mut Flight {
        self.process().flight.as_mut().expect("a flight")
    }
}
