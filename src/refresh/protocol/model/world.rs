//! All that a run depends on: the clock, the store, the server, the processes, and what has happened.

use super::flight::Flight;
use super::process::Process;
use super::server::{RefreshToken, Server, Session};
use super::store::{Hold, Record, Store};
use super::time::Seconds;
use crate::refresh::protocol::End;
use crate::session::record::Origin;
use crate::store::Version;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct World {
    pub(super) now: Seconds,
    pub(super) store: Store,
    pub(super) server: Server,
    pub(super) processes: Vec<Process>,
    pub(super) grace: Option<Seconds>,
    /// What may yet go wrong in this run, ...
    pub(super) mishaps: u8,
    /// ... how often all stand still for long, ...
    pub(super) pauses: u8,
    /// ... and how many users may yet sign in or out.
    pub(super) handovers: u8,
    /// The sessions before this one are over.
    pub(super) ended: Session,
    /// The sessions of which the server has said that their refresh token is dead.
    pub(super) condemned: Vec<Session>,
    /// The refresh token over whose mark another flight has written, with leave.
    pub(super) given_up: Option<RefreshToken>,
    spendings: Vec<Spending>,
}

/// A refresh token that was sent, and that was not turned away each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Spending {
    refresh_token: RefreshToken,
    pub(super) first: Seconds,
    times: u8,
}

/// What happens in a step, as far as a property or the test wants to know.
#[derive(Clone, Debug)]
pub(super) enum Deed {
    Sent {
        by: usize,
        refresh_token: RefreshToken,
    },
    /// The server has wanted a nonce, and got the refresh token once more.
    SentAgain,
    /// Nothing was sent: the lease may be another's, or the user is gone.
    NotOurs,
    /// An answer is lost.
    Lost,
    Crashed,
    /// Another has the lease.
    Taken,
    /// A mark, or what became of the refresh token, finds another version.
    Conflict,
    /// A mark of this process stands for nothing.
    Lifted,
    /// A flight takes another one, whose mark it finds, for gone.
    GaveUp,
    Unsaved,
    /// What was unsaved is in the store.
    Rescued,
    /// Tokens find another version.
    Dropped,
    Ended {
        end: End,
        /// The session of the tokens that the flight brings.
        brought: Option<Session>,
        flight: Box<Flight>,
    },
}

impl World {
    /// The access token ends at `ends_at`, and all `processes` know the session.
    pub(super) fn new(processes: usize, grace: Option<Seconds>, ends_at: Seconds) -> Self {
        let mut server = Server::default();
        let tokens = server.sign_in(ends_at);
        let process = Process {
            known: Some(tokens.refresh_token.session),
            access_token: tokens.access_token,
            ..Process::default()
        };
        Self {
            now: 0,
            store: Store::with(tokens),
            server,
            processes: vec![process; processes],
            grace,
            mishaps: 0,
            pauses: 0,
            handovers: 0,
            ended: 0,
            condemned: Vec::new(),
            given_up: None,
            spendings: Vec::new(),
        }
    }

    /// Time passes for all. Those who have a lease renew it, if the store gives it to them; but not between
    /// a mark that is written and the request, where the crate does not wait for anything.
    pub(super) fn pass(&mut self, time: Seconds) {
        self.now += time;
        for (at, process) in self.processes.iter_mut().enumerate() {
            let waiting = process
                .flight
                .as_mut()
                .filter(|flight| !flight.is_sending());
            let of_flight = waiting.map(|flight| &mut flight.hold);
            let of_unsaved = process.unsaved.as_mut().map(|unsaved| &mut unsaved.hold);
            for hold in of_flight.into_iter().chain(of_unsaved) {
                if matches!(hold, Hold::Since(_)) && self.store.lease(at, self.now) {
                    *hold = Hold::Since(self.now);
                }
            }
        }
    }

    /// Between the answer of the store to a mark and the request the crate waits for nothing. By assumption a
    /// process stands still there for so long that its lease is over, which the last look before the request
    /// finds out, or for no time that matters.
    pub(super) fn may_pass(&self, time: Seconds) -> bool {
        let mut flights = self.processes.iter().flat_map(|process| &process.flight);
        !flights.any(|flight| flight.is_sending() && flight.may_send(self.now + time))
    }

    /// The record is another from now on, or none, and all but its writer have to read it first.
    pub(super) fn put(&mut self, record: Option<Record>) {
        self.store.record = record;
        for process in &mut self.processes {
            process.is_overtaken();
        }
    }

    pub(super) fn spending(&self, refresh_token: RefreshToken) -> Option<&Spending> {
        let mut spendings = self.spendings.iter();
        spendings.find(|spending| spending.refresh_token == refresh_token)
    }

    /// It is sent.
    pub(super) fn spend(&mut self, refresh_token: RefreshToken) {
        let mut spendings = self.spendings.iter_mut();
        match spendings.find(|spending| spending.refresh_token == refresh_token) {
            Some(spending) => spending.times += 1,
            None => self.spendings.push(Spending {
                refresh_token,
                first: self.now,
                times: 1,
            }),
        }
    }

    /// It has turned out that one sending was not taken.
    pub(super) fn unspend(&mut self, refresh_token: RefreshToken) {
        for spending in &mut self.spendings {
            if spending.refresh_token == refresh_token {
                spending.times -= 1;
            }
        }
        self.spendings.retain(|spending| spending.times > 0);
    }
}

pub(super) fn origin(session: Session) -> Origin {
    Origin::SignIn(Version::of_bytes(&[session]))
}
