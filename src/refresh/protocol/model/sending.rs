//! The request of a flight, and what comes of it: two steps, between which others may do anything.

use super::outcomes::Outcome;
use super::server::Reply;
use super::steps::Work;
use super::time::TICK;
use super::time::since_epoch;
use super::world::Deed;
use crate::refresh::protocol::{Event, Fate};
use crate::session::state::{self, RefreshTokenState};

/// Repetitions within one flight: one less than the crate has (E3).
const MOST_REPETITIONS: u8 = 1;

impl Work<'_> {
    /// The look at the lease and the arrival of the request are one step. By assumption no process is
    /// suspended between the two: without a fence at the server nothing helps against that.
    pub(super) fn send(&mut self, outcome: Outcome) -> Option<Event> {
        let (now, grace, at) = (self.world.now, self.scenario.grace, self.at);
        if self.flight().reply.is_some() {
            return Some(self.deliver(outcome));
        }
        let flight = self.flight();
        let copy = flight.copy.filter(|_| flight.may_send(now));
        let Some(copy) = copy else {
            self.deeds.push(Deed::NotOurs);
            return Some(Event::NotOurs);
        };
        let refresh_token = copy.record.tokens.refresh_token;
        self.deeds.push(Deed::Sent {
            by: at,
            refresh_token,
        });
        self.world.spend(refresh_token);
        if let Some(mark) = &mut self.process().mark {
            mark.is_out = true;
        }
        let reply = match outcome {
            Outcome::TurnedAway => Reply::NotTaken,
            Outcome::ServerFails => Reply::Failed,
            Outcome::Vanishes => Reply::Nothing,
            Outcome::SentAgain => {
                self.deeds.push(Deed::SentAgain);
                self.world.server.receive(refresh_token, grace, now);
                self.world.server.receive(refresh_token, grace, now)
            }
            _ => self.world.server.receive(refresh_token, grace, now),
        };
        self.flight().reply = Some(reply);
        None
    }

    /// The reply arrives at the process, or does not.
    fn deliver(&mut self, outcome: Outcome) -> Event {
        let scenario = self.scenario;
        let flight = self.flight();
        let repeatable = flight.repetitions < MOST_REPETITIONS;
        let (reply, copy) = (flight.reply.take(), flight.copy);
        let is_superseded = flight.is_superseded;
        let fate = match (reply, outcome) {
            (Some(Reply::Tokens(tokens)), Outcome::Fine) => {
                flight.answer = Some(tokens);
                self.process().mark = None;
                return Event::Answered;
            }
            (Some(Reply::Tokens(_)), Outcome::Unusable) => Fate::Unusable,
            (Some(Reply::Tokens(_) | Reply::Nothing) | None, _) => Fate::Lost,
            (Some(Reply::NotTaken), _) => Fate::NotTaken,
            (Some(Reply::Failed), _) => Fate::ServerFailed,
            // What is said of a user who has gone meanwhile says nothing of the next one.
            (Some(Reply::Dead), _) if is_superseded => Fate::Refused,
            (Some(Reply::Dead), _) => Fate::Dead,
        };
        flight.repetitions += 1;
        flight.has_failed = true;
        flight.is_refused = fate == Fate::Dead;
        if fate.is_loss() {
            flight.knows_of_loss = true;
            self.deeds.push(Deed::Lost);
            if let Some(mark) = &mut self.process().mark {
                mark.is_lost = true;
            }
            if !scenario.is_shared
                && let Some(record) = &mut self.world.store.record
                && let RefreshTokenState::Sent { since, .. } = record.state
            {
                // The memory of this process hears of it at once.
                record.state = record.state.next(state::Event::Lost, since);
            }
        } else if let Some(mark) = &mut self.process().mark {
            mark.is_out = false;
        }
        if let Some(copy) = copy {
            let refresh_token = copy.record.tokens.refresh_token;
            match fate {
                Fate::NotTaken | Fate::ServerFailed => self.world.unspend(refresh_token),
                Fate::Dead => self.world.condemned.push(refresh_token.session),
                _ => {}
            }
        }
        Event::Failed {
            fate,
            repeatable,
            pause: since_epoch(TICK),
        }
    }
}
