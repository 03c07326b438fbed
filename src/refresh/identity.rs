//! Whether a record that was found still is of the session that this process knows (F10).

use crate::cache::entry::Entry;
use crate::engine::Engine;
use crate::session::record::Origin;
use crate::session::store::Found;

/// When a flight, or a look by itself, began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beginning {
    /// The epoch of the owner.
    pub(crate) epoch: u32,
    /// The next look of the owner.
    pub(crate) look: u32,
}

/// The sessions before and now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Identity {
    pub(crate) known: Option<Origin>,
    pub(crate) origin: Option<Origin>,
    /// This process has signed the user in or out since the beginning: what was found may be older than
    /// that.
    pub(crate) is_superseded: bool,
}

impl Beginning {
    pub(crate) fn of(entry: &Entry) -> Self {
        let succession = &entry.owner.succession;
        Self {
            epoch: succession.epoch(),
            look: succession.next_look(),
        }
    }
}

impl Identity {
    /// Compares what this `look` has found with what this process knows, and takes the tokens of this
    /// process away if the store has another session in their place, or none.
    pub(crate) fn of(
        engine: &Engine,
        entry: &Entry,
        beginning: Beginning,
        found: &Found,
        look: u32,
    ) -> Self {
        let owner = &entry.owner;
        let identity = Self {
            known: owner.origin(),
            origin: found.record.as_ref().map(|record| record.origin),
            is_superseded: owner.succession.epoch() != beginning.epoch,
        };
        if entry.key.subject.is_none() || identity.is_superseded {
            return identity;
        }
        if !identity.is_another() {
            owner.succession.confirm(look);
            return identity;
        }
        // A session that is gone leaves nothing by which the next one could be told to be the same
        // user's; and two sessions are the same user's only if both id tokens say so.
        let id_token = found
            .record
            .as_ref()
            .and_then(|record| record.id_token.as_ref());
        let was_signed_in = !matches!(
            (identity.known, identity.origin),
            (Some(Origin::Grant), None)
        );
        if was_signed_in && owner.is_about_same_user(id_token) != Some(true) {
            owner.succession.has_been_handed_over(beginning.look, look);
        }
        engine.withdraw_since(beginning.epoch, entry);
        identity
    }

    /// Whether the record is of another session than the tokens of this process.
    pub(crate) fn is_another(&self) -> bool {
        self.known.is_some() && self.origin != self.known
    }
}
