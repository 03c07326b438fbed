//! What may happen next: steps of flights, and what users, machines and time do.

use super::outcomes::Outcome;
use super::process::Process;
use super::search::Model;
use super::server::LIFETIME;
use super::steps::Work;
use super::world::{Deed, Seconds, TICK, World};

/// A flight waits for another's lease for so long.
pub(super) const PATIENCE: Seconds = 1;
/// All stand still for so long: leases run out, a watch has a gap, and the grace is over.
const PAUSE: Seconds = 12;

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

#[derive(Clone, Copy, Debug)]
pub(super) enum Action {
    /// A flight begins, because an API has refused the access token or for another reason.
    Begin {
        at: usize,
        by_refusal: bool,
    },
    /// The flight of this process takes a step.
    Step {
        at: usize,
        outcome: Outcome,
    },
    /// What is unsaved is offered to the store between flights.
    Offer {
        at: usize,
    },
    Crash {
        at: usize,
    },
    SignIn {
        at: usize,
    },
    SignOut {
        at: usize,
    },
    /// The process that has signed a user in or out draws the consequences.
    Hear {
        at: usize,
    },
    Pause,
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

    /// Processes are alike: the first to begin is the first.
    fn is_next(&self, world: &World, at: usize) -> bool {
        at == 0 || world.processes[at - 1].flights > 0
    }
}

impl Model for Scenario {
    type State = World;
    type Action = Action;
    type Deed = Deed;

    fn actions(&self, world: &World) -> Vec<Action> {
        let mut actions = Vec::new();
        for (at, process) in world.processes.iter().enumerate() {
            match &process.flight {
                Some(flight) if flight.sleeps() && !world.may_pass(TICK) => {}
                Some(flight) => {
                    let outcomes = self.outcomes(world, at, flight).into_iter();
                    actions.extend(outcomes.map(|outcome| Action::Step { at, outcome }));
                }
                None if process.flights < self.flights && self.is_next(world, at) => {
                    actions.push(Action::Begin {
                        at,
                        by_refusal: false,
                    });
                    let record = world.store.record;
                    let is_alive = record.is_some_and(|record| record.is_alive(world.now));
                    if world.mishaps > 0 && is_alive {
                        actions.push(Action::Begin {
                            at,
                            by_refusal: true,
                        });
                    }
                }
                None => {}
            }
            if process.unsaved.is_some() && process.flight.is_none() {
                actions.push(Action::Offer { at });
            }
            if self.is_shared && world.mishaps > 0 && process.has_something() {
                actions.push(Action::Crash { at });
            }
            if process.news.is_some() {
                actions.push(Action::Hear { at });
            } else if world.handovers > 0 {
                actions.push(Action::SignIn { at });
                actions.push(Action::SignOut { at });
            }
        }
        let matters = !self.is_crowd() || world.processes.iter().any(Process::has_something);
        if world.pauses > 0 && matters && world.may_pass(PAUSE) {
            actions.push(Action::Pause);
        }
        actions
    }

    fn next(&self, before: &World, action: Action) -> (World, Vec<Deed>) {
        let (mut after, mut deeds) = (before.clone(), Vec::new());
        let world = &mut after;
        match action {
            Action::Begin {
                by_refusal: true, ..
            }
            | Action::Crash { .. } => world.mishaps -= 1,
            Action::Step { outcome, .. } if outcome != Outcome::Fine => world.mishaps -= 1,
            Action::SignIn { .. } | Action::SignOut { .. } => world.handovers -= 1,
            Action::Pause => world.pauses -= 1,
            _ => {}
        }
        match action {
            Action::Begin { at, by_refusal } => {
                self.begin(world, at, by_refusal);
                if self.is_crowd() {
                    Work::of(self, world, at, &mut deeds).look();
                }
            }
            Action::Step { at, outcome } => Work::of(self, world, at, &mut deeds).step(outcome),
            Action::Offer { at } => {
                Work::of(self, world, at, &mut deeds).offer(Outcome::Fine);
            }
            Action::Crash { at } => {
                world.crash(at);
                deeds.push(Deed::Crashed);
            }
            Action::SignIn { at } => world.sign_in(at),
            Action::SignOut { at } => world.sign_out(at),
            Action::Hear { at } => world.hear(at),
            // By assumption nothing renews a lease meanwhile: the machines are suspended, or the store is.
            Action::Pause => world.now += PAUSE,
        }
        (after, deeds)
    }

    fn is_at_rest(&self, world: &World) -> bool {
        world
            .processes
            .iter()
            .all(|process| process.flight.is_none())
    }

    fn kind(deed: &Deed) -> String {
        match deed {
            Deed::Ended { end, .. } => format!("{end:?}"),
            Deed::Sent { .. } => "Sent".to_owned(),
            _ => format!("{deed:?}"),
        }
    }
}
