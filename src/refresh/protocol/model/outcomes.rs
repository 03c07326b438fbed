//! How a step may turn out.

use super::flight::Flight;
use super::scenario::Scenario;
use super::server::Reply;
use super::world::World;
use crate::refresh::protocol::Command;

/// How a step turns out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Fine,
    /// Without effect, and the process knows no more than that it has no answer.
    Fails,
    /// With effect, and the answer is lost.
    Unheard,
    /// The server does not get the request, or sends it away, and the process hears that.
    TurnedAway,
    ServerFails,
    /// The server spends the refresh token before it judges the proof, wants a nonce, and gets the request once
    /// more with it (H6).
    SentAgain,
    /// The request is lost, or the answer.
    Vanishes,
    /// The answer cannot be used.
    Unusable,
    /// An API has refused the token while this request was under way (C2).
    RefusedMeanwhile,
}

impl Scenario {
    /// How the next step of a flight may turn out. All but the first are mishaps.
    pub(super) fn outcomes(&self, world: &World, at: usize, flight: &Flight) -> Vec<Outcome> {
        use Outcome::{Fails, Fine, RefusedMeanwhile, SentAgain, ServerFails};
        use Outcome::{TurnedAway, Unheard, Unusable, Vanishes};
        if world.mishaps == 0 {
            return vec![Fine];
        }
        let is_current = flight.copy.is_some_and(|copy| copy.is_current);
        let is_free = world.store.is_free_for(at, world.now);
        let unsaved = world.processes[at].unsaved;
        let of_store: &[Outcome] = match flight.command {
            Command::Look => &[Fails],
            Command::Lease if is_free => &[Fails, Unheard],
            Command::Lease => &[Fails],
            Command::SaveUnsaved if unsaved.is_some_and(|it| it.is_next) => &[Fails, Unheard],
            Command::SaveUnsaved => &[Fails],
            Command::Mark(_) | Command::Write(_) | Command::Commit if is_current => {
                &[Fails, Unheard]
            }
            Command::Mark(_) | Command::Write(_) | Command::Commit => &[Fails],
            Command::Release if flight.has_lease() => &[Fails],
            // The lease is taken in the same step.
            Command::Enter { .. } if self.is_crowd() && is_free && !flight.has_lease() => {
                &[Unheard]
            }
            _ => &[],
        };
        let others: &[Outcome] = match (flight.command, flight.reply) {
            (Command::Enter { .. }, _) => &[Fails],
            (Command::Send, Some(Reply::Tokens(_))) if self.is_crowd() => &[Vanishes],
            (Command::Send, Some(Reply::Tokens(_))) => &[Vanishes, Unusable],
            (Command::Send, None) if !flight.may_send(world.now) => &[],
            (Command::Send, None) if self.is_crowd() => &[TurnedAway],
            (Command::Send, None) => &[TurnedAway, ServerFails, SentAgain, Vanishes],
            (Command::Commit, _) if !flight.has_asked_again && is_current => &[RefusedMeanwhile],
            _ => &[],
        };
        let is_seen = |outcome: &Outcome| {
            !self.is_crowd() || *outcome != Fails || flight.has_lease() || unsaved.is_some()
        };
        let of_store = of_store.iter().filter(|_| self.is_shared);
        let mishaps = of_store.chain(others).copied().filter(is_seen);
        std::iter::once(Fine).chain(mishaps).collect()
    }
}
