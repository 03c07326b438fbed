//! What befalls a process: a crash, and users who sign in and out.

use super::process::{News, Process};
use super::server::LIFETIME;
use super::store::{Hold, Store};
use super::world::World;

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
