//! What may happen next: steps of flights, and what users, machines and time do.

use super::outcomes::Outcome;
use super::process::Process;
use super::scenario::Scenario;
use super::search::Model;
use super::steps::Work;
use super::time::{Seconds, TICK};
use super::world::{Deed, World};

/// All stand still for so long: leases run out, a watch has a gap, and the grace is over.
const PAUSE: Seconds = 12;

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
