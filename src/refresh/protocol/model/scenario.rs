//! How far a search goes.

use super::server::LIFETIME;
use super::time::Seconds;
use super::world::World;

/// A flight waits for another's lease for so long.
pub(super) const PATIENCE: Seconds = 1;

/// How far a search goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scenario {
    /// Whether there is a store that may fail, or the memory of one process.
    pub(super) is_shared: bool,
    pub(super) processes: usize,
    /// Flights of each process.
    pub(super) flights: u8,
    /// Steps of a run that go wrong: store calls, requests and answers, crashes, refusals by an API.
    pub(super) mishaps: u8,
    pub(super) pauses: u8,
    /// Sign-ins and sign-outs of a run.
    pub(super) handovers: u8,
    pub(super) grace: Option<Seconds>,
}

impl Scenario {
    /// Runs begin with a living access token, or with one that is over.
    pub(super) fn initial(&self) -> Vec<World> {
        let world = |ends_at| {
            let mut world = World::new(self.processes, self.grace, ends_at);
            world.mishaps = self.mishaps;
            world.pauses = self.pauses;
            world.handovers = self.handovers;
            world
        };
        vec![world(LIFETIME), world(0)]
    }

    /// With more than one process there is only what one of them can notice of another; what each may meet
    /// besides is tried with one.
    pub(super) fn is_crowd(&self) -> bool {
        self.processes > 1
    }
}
