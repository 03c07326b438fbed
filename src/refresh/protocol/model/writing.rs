//! What a flight writes into the store, with each outcome: it succeeds, finds another version, has no effect,
//! or has it and the answer is lost.

use super::flight::Copied;
use super::outcomes::Outcome;
use super::process::Unsaved;
use super::steps::Work;
use super::store::{Hold, Record};
use super::time::since_epoch;
use super::world::Deed;
use crate::refresh::protocol::Event;
use crate::session::state::RefreshTokenState;

impl Work<'_> {
    /// Offers what is unsaved to the store once more; returns whether there is nothing left to be saved.
    pub(super) fn offer(&mut self, outcome: Outcome) -> bool {
        let Some(unsaved) = self.process().unsaved else {
            return true;
        };
        if outcome == Outcome::Fails {
            return false;
        }
        if unsaved.is_next {
            self.replace(unsaved.record);
            self.deeds.push(Deed::Rescued);
        } else if !unsaved.is_there {
            self.deeds.push(Deed::Dropped);
        }
        if outcome == Outcome::Unheard {
            if let Some(unsaved) = &mut self.process().unsaved {
                unsaved.is_there = true;
            }
            return false;
        }
        self.process().unsaved = None;
        self.world.store.release(self.at);
        true
    }

    pub(super) fn write(&mut self, state: RefreshTokenState, outcome: Outcome) -> Event {
        let Some(copy) = self.flight().copy else {
            return Event::Overtaken;
        };
        if outcome == Outcome::Fails {
            return Event::NotAnswered;
        }
        if !copy.is_current {
            self.flight().is_stale = self.flight().is_refused;
            self.deeds.push(Deed::Conflict);
            return Event::Overtaken;
        }
        self.take_note_of_giving_up();
        let record = Record {
            state,
            ..copy.record
        };
        self.replace(record);
        let is_heard = outcome != Outcome::Unheard;
        self.flight().copy = Some(Copied {
            record,
            is_current: is_heard,
        });
        if is_heard {
            Event::Written
        } else {
            Event::NotAnswered
        }
    }

    /// Writing over the mark of another flight with leave takes that one for gone: what it may bring yet
    /// will be overtaken, so that no answer comes any more.
    fn take_note_of_giving_up(&mut self) {
        let (now, grace) = (self.world.now, self.scenario.grace);
        let record = self.world.store.record;
        let flight = self.flight();
        let Some(record) = record else { return };
        if let RefreshTokenState::Sent { by, since, .. } = record.state {
            let is_forgiven =
                grace.is_some_and(|grace| since_epoch(now) < since + since_epoch(grace));
            if by != flight.mark && (flight.has_watched_in_vain() || is_forgiven) {
                flight.knows_of_loss = true;
                self.world.given_up = Some(record.tokens.refresh_token);
                self.deeds.push(Deed::GaveUp);
            }
        }
    }

    pub(super) fn commit(&mut self, outcome: Outcome) -> Event {
        let flight = self.flight();
        let (Some(tokens), Some(copy)) = (flight.answer, flight.copy) else {
            return Event::Overtaken;
        };
        let hold = flight.hold;
        let record = Record {
            tokens,
            state: RefreshTokenState::Ready,
        };
        let mut unsaved = Unsaved {
            record,
            is_next: copy.is_current,
            is_there: false,
            hold,
        };
        if outcome == Outcome::Fails || outcome == Outcome::Unheard {
            flight.hold = Hold::None;
            if outcome == Outcome::Unheard {
                self.replace(record);
                self.world.store.release(self.at);
                unsaved.is_next = false;
                unsaved.is_there = true;
            }
            self.process().unsaved = Some(unsaved);
            self.deeds.push(Deed::Unsaved);
            return Event::Unsaved;
        }
        if !copy.is_current {
            flight.answer = None;
            self.deeds.push(Deed::Dropped);
            return Event::Overtaken;
        }
        let again = outcome == Outcome::RefusedMeanwhile;
        self.replace(record);
        let flight = self.flight();
        flight.copy = Some(Copied {
            record,
            is_current: true,
        });
        if again {
            flight.has_asked_again = true;
            flight.repetitions = 0;
            flight.knows_of_loss = false;
        } else {
            flight.hold = Hold::GivenBack;
            self.world.store.release(self.at);
        }
        Event::Committed { again }
    }

    pub(super) fn release(&mut self, outcome: Outcome) -> Event {
        let hold = std::mem::take(&mut self.flight().hold);
        match (hold, outcome) {
            (Hold::Since(_), Outcome::Fine) => self.world.store.release(self.at),
            (Hold::Since(_), _) => self.world.store.abandon(self.at),
            (Hold::None | Hold::GivenBack, _) => {}
        }
        Event::Released
    }

    /// The record has another version from now on, which all but its writer have to read first.
    fn replace(&mut self, record: Record) {
        self.world.put(Some(record));
    }
}
