//! What a process has in its memory: a crash takes all of it.

use super::flight::Flight;
use super::server::{RefreshToken, Reply, Session};
use super::store::{Hold, Record};
use crate::session::state::{Event, RefreshTokenState};
use crate::store::Version;

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Process {
    pub(super) flight: Option<Flight>,
    /// How many flights it has begun.
    pub(super) flights: u8,
    /// The session that its tokens are of.
    pub(super) known: Option<Session>,
    /// The newest access token that its calls have.
    pub(super) access_token: u8,
    pub(super) mark: Option<OwnMark>,
    pub(super) unsaved: Option<Unsaved>,
    pub(super) news: Option<News>,
}

/// A record that the store did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Unsaved {
    pub(super) record: Record,
    /// Whether the store still has the version that this one replaces.
    pub(super) is_next: bool,
    /// Whether the store has it, and could not say so.
    pub(super) is_there: bool,
    pub(super) hold: Hold,
}

/// A mark of this process in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct OwnMark {
    pub(super) by: Version,
    /// Whether something was sent under it of which it is not known that it was not taken.
    pub(super) is_out: bool,
    /// Whether the answer to something that was sent under it is lost.
    pub(super) is_lost: bool,
}

/// A sign-in or sign-out of this process is in the store, and the process has not drawn the consequences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum News {
    SignedIn(Session),
    SignedOut,
}

impl OwnMark {
    /// The mark that a flight is about to write. A flight has one mark for all its attempts: of an answer
    /// that is lost it remains lost.
    pub(super) fn before(known: Option<Self>, by: Version) -> Self {
        let known = known.filter(|mark| mark.by == by);
        Self {
            by,
            is_out: false,
            is_lost: known.is_some_and(|mark| mark.is_lost),
        }
    }
}

impl Process {
    /// What `state` is to this process, which knows whether anything was sent under its own marks.
    pub(super) fn lifted(&self, state: RefreshTokenState) -> RefreshTokenState {
        match (state, self.mark) {
            (RefreshTokenState::Sent { by, since, .. }, Some(mark)) if mark.by == by => {
                match (mark.is_lost, mark.is_out) {
                    (true, _) => state.next(Event::Lost, since),
                    (false, false) => state.next(Event::NotTaken, since),
                    (false, true) => state,
                }
            }
            _ => state,
        }
    }

    /// Whether `refresh_token` is in its memory, or on its way there.
    pub(super) fn has(&self, refresh_token: RefreshToken) -> bool {
        let unsaved = self.unsaved.map(|unsaved| unsaved.record.tokens);
        let flight = self.flight.as_ref();
        let answer = flight.and_then(|flight| flight.answer);
        let reply = flight.and_then(|flight| match flight.reply {
            Some(Reply::Tokens(tokens)) => Some(tokens),
            _ => None,
        });
        let mut all = [unsaved, answer, reply].into_iter().flatten();
        all.any(|tokens| tokens.refresh_token == refresh_token)
    }

    /// Whether a crash leaves something behind: a lease, a mark, or tokens that are gone. One before that
    /// is as if nothing had begun.
    pub(super) fn has_something(&self) -> bool {
        let is_at_work = self.flight.as_ref().is_some_and(Flight::has_lease);
        is_at_work || self.unsaved.is_some()
    }

    /// All is forgotten but what is not saved.
    pub(super) fn forget(&mut self) {
        self.known = None;
        self.access_token = 0;
        self.mark = None;
        if let Some(flight) = &mut self.flight {
            flight.is_superseded = true;
        }
    }

    /// The store has another version now.
    pub(super) fn is_overtaken(&mut self) {
        if let Some(copy) = self.flight.as_mut().and_then(|flight| flight.copy.as_mut()) {
            copy.is_current = false;
        }
        if let Some(unsaved) = &mut self.unsaved {
            unsaved.is_next = false;
            unsaved.is_there = false;
        }
    }
}
