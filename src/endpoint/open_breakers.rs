//! Which scopes of a breaker are open, and by whose attempt, as it is told.

use std::collections::HashMap;

use crate::endpoint::breaker::Breaker;
use crate::telemetry::{BreakerScope, Telemetry};

/// What has been told to be open. Several sources share a breaker, and a scope that one of them opens may be
/// closed by another: it is told under the name of the first both times, so that what is counted adds up.
#[derive(Debug, Default)]
pub(crate) struct OpenBreakers {
    server: Option<Telemetry>,
    clients: HashMap<u64, Telemetry>,
}

/// A scope that has opened or closed.
#[derive(Debug)]
pub(crate) struct Change {
    scope: BreakerScope,
    opened_by: Telemetry,
    is_open: bool,
}

impl OpenBreakers {
    /// Takes note of what an attempt of this client has done to the breaker; `by` is the attempt's source.
    /// The changes are for the caller to tell, without the lock: who hears of them may look at us.
    #[must_use]
    pub(crate) fn compare(
        &mut self,
        breaker: &Breaker,
        client: u64,
        by: &Telemetry,
    ) -> [Option<Change>; 2] {
        let known = self.server.is_some();
        let server = match breaker.is_open_to_all() {
            true if !known => Some(self.server.insert(by.clone()).clone()),
            false => self.server.take(),
            true => None,
        };
        let known = self.clients.contains_key(&client);
        let of_client = match breaker.is_open_to_one(client) {
            true if !known => {
                self.clients.insert(client, by.clone());
                Some(by.clone())
            }
            false => self.clients.remove(&client),
            true => None,
        };
        let change = |scope, opened_by: Option<Telemetry>, is_open| {
            opened_by.map(|opened_by| Change {
                scope,
                opened_by,
                is_open,
            })
        };
        [
            change(BreakerScope::Server, server, self.server.is_some()),
            change(
                BreakerScope::Client,
                of_client,
                self.clients.contains_key(&client),
            ),
        ]
    }
}

impl Change {
    pub(crate) fn tell(&self) {
        if self.is_open {
            self.opened_by.breaker_opened(self.scope);
        } else {
            self.opened_by.breaker_closed(self.scope);
        }
    }
}

impl Drop for OpenBreakers {
    /// The last client of the server is gone, and with it the breaker.
    fn drop(&mut self) {
        if let Some(telemetry) = &self.server {
            telemetry.breaker_closed(BreakerScope::Server);
        }
        for telemetry in self.clients.values() {
            telemetry.breaker_closed(BreakerScope::Client);
        }
    }
}
