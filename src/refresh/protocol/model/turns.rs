//! What befalls a process: flights that begin, a crash, and users who sign in and out.

use super::flight::Flight;
use super::process::{News, Process};
use super::scenario::{PATIENCE, Scenario};
use super::server::LIFETIME;
use super::store::{Hold, Store};
use super::time::since_epoch;
use super::world::World;
use crate::refresh::protocol::{Protocol, Rules};
use crate::store::Version;

impl Scenario {
    pub(super) fn begin(&self, world: &mut World, at: usize, by_refusal: bool) {
        let process = &mut world.processes[at];
        process.flights += 1;
        let mark = Version::of_bytes(&[u8::try_from(at).unwrap_or(u8::MAX), process.flights]);
        let rules = Rules {
            for_user: self.is_shared,
            needs_refresh_token: true,
            by_refusal,
            grace: self.grace.map(since_epoch),
            patience: since_epoch(PATIENCE),
            in_memory: !self.is_shared,
            reloads: false,
            mark,
        };
        let begun = Protocol::begin(rules, process.unsaved.is_some());
        let flight = Flight::new(begun, mark, by_refusal, process.known);
        process.flight = Some(flight);
    }
}

impl World {
    pub(super) fn crash(&mut self, at: usize) {
        let flights = self.processes[at].flights;
        self.processes[at] = Process {
            flights,
            ..Process::default()
        };
        self.store.abandon(at);
    }

    pub(super) fn sign_in(&mut self, at: usize) {
        let tokens = self.server.sign_in(self.now + LIFETIME);
        let session = tokens.refresh_token.session;
        self.ended = session;
        let store = Store::with(tokens);
        self.put(store.record);
        self.processes[at].news = Some(News::SignedIn(session));
    }

    pub(super) fn sign_out(&mut self, at: usize) {
        self.ended = self.server.newest().session + 1;
        self.put(None);
        self.processes[at].news = Some(News::SignedOut);
    }

    pub(super) fn hear(&mut self, at: usize) {
        let process = &mut self.processes[at];
        let Some(news) = process.news.take() else {
            return;
        };
        process.forget();
        match news {
            News::SignedIn(session) => {
                process.known = Some(session);
                // A flight of the session before can write nothing any more.
                if let Some(flight) = &mut process.flight
                    && matches!(flight.hold, Hold::Since(_))
                {
                    flight.hold = Hold::GivenBack;
                    self.store.release(at);
                }
            }
            News::SignedOut => {
                if process.unsaved.take().is_some() {
                    self.store.release(at);
                }
            }
        }
    }
}
