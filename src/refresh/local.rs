//! A session without a store: its refresh token is in the memory of this process, and goes to the user's
//! hook.

use crate::error::Error;
use crate::refresh::ending::Answer;
use crate::refresh::flight::Flight;
use crate::refresh::protocol::Seen;
use crate::session::owner::Turn;
use crate::session::record::Record;
use crate::session::state::RefreshTokenState;
use crate::store::Version;

/// One flight's hold on it.
pub(crate) struct Local<'flight> {
    flight: &'flight Flight<'flight>,
    pub(crate) record: Record,
    /// Held until the flight ends. A flight without a refresh token does not queue for one (A6).
    turn: Option<Turn>,
}

impl<'flight> Local<'flight> {
    pub(crate) fn new(flight: &'flight Flight<'flight>) -> Self {
        Self {
            flight,
            record: Record::default(),
            turn: None,
        }
    }

    pub(crate) async fn look(&mut self) -> Seen {
        let Flight { engine, entry, .. } = *self.flight;
        self.record = entry.owner.tokens().unwrap_or_default();
        if self.turn.is_none() && self.record.refresh_token.is_some() {
            self.turn = Some(entry.owner.turn().await);
            self.record = entry.owner.tokens().unwrap_or_default();
        }
        let now = engine.setup.clock.now();
        let refresh_token = self.record.refresh_token.as_ref();
        let entries = engine.entries.entries_of(&entry.key);
        Seen {
            has_refresh_token: refresh_token.is_some(),
            state: entry.owner.lifted(self.record.state),
            rests: entry.owner.doubt(refresh_token, now).is_some(),
            protects: entries.iter().any(|entry| entry.has_good_token(now)),
            ..Seen::default()
        }
    }

    pub(crate) fn mark(&mut self, state: RefreshTokenState, by: Version) {
        self.flight.entry.owner.about_to_mark(by);
        self.write(state);
    }

    pub(crate) fn write(&mut self, state: RefreshTokenState) {
        let owner = &self.flight.entry.owner;
        self.record.state = state;
        owner.keep(&self.record);
        if let (RefreshTokenState::Dead, Some(hook), Some(dead)) =
            (state, &owner.hook, &self.record.refresh_token)
        {
            hook.withdraw(dead);
        }
    }

    /// Asks the user's hook for a newer refresh token than the one that is dead.
    pub(crate) async fn reload(&mut self) -> Result<bool, Error> {
        let Flight { engine, entry, .. } = *self.flight;
        let Some(reload) = &entry.owner.reload else {
            return Ok(false);
        };
        let dead = self.record.refresh_token.as_ref();
        let newer = reload.newer_than(dead, &engine.setup.clock).await?;
        let is_newer = newer.is_some();
        if is_newer {
            self.record.refresh_token = newer;
            self.write(RefreshTokenState::Ready);
        }
        Ok(is_newer)
    }

    /// Returns when the hook has taken a new refresh token, or has failed once.
    pub(crate) async fn commit(&mut self, answer: &mut Answer) {
        let Flight { engine, entry, .. } = *self.flight;
        let before = self.record.refresh_token.clone();
        self.record.take_in(&mut answer.response, answer.asked.wall);
        entry.owner.end_doubt();
        entry.owner.keep(&self.record);
        let Some(hook) = &entry.owner.hook else {
            return;
        };
        if let Some(refresh_token) = &self.record.refresh_token
            && before.as_ref() != Some(refresh_token)
        {
            hook.offer(refresh_token);
        }
        hook.save(&engine.setup.clock, &engine.setup.telemetry)
            .await;
    }
}
