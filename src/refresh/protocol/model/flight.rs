//! What a flight has in its memory besides its protocol.

use super::server::{Reply, Session, Tokens};
use super::store::{Hold, Record};
use super::time::Seconds;
use crate::refresh::protocol::{Command, Protocol};
use crate::session::state::RefreshTokenState;
use crate::store::Version;

/// A flight has seen the record for so long without a gap: then it takes the one that sent for gone (F6).
const WATCHED_IN_VAIN: Seconds = 6;
/// Looks that are further apart have a gap between them.
const GAP: Seconds = 3;

/// One flight, and its hold on the record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Flight {
    pub(super) protocol: Protocol,
    /// What is to be carried out next.
    pub(super) command: Command,
    /// Since when it has met another's lease, and has not had it itself.
    pub(super) taken_since: Option<Seconds>,
    pub(super) mark: Version,
    pub(super) by_refusal: bool,
    /// The session that its callers are of.
    pub(super) session: Option<Session>,
    /// This process has signed the user in or out since it began.
    pub(super) is_superseded: bool,
    pub(super) copy: Option<Copied>,
    pub(super) hold: Hold,
    /// The reply to the request that is under way.
    pub(super) reply: Option<Reply>,
    pub(super) answer: Option<Tokens>,
    pub(super) repetitions: u8,
    pub(super) has_asked_again: bool,
    pub(super) has_failed: bool,
    /// The server has said that the refresh token is dead; whether it was the store's when that was to be
    /// written, is to be seen.
    pub(super) is_refused: bool,
    /// Since then another record was there.
    pub(super) is_stale: bool,
    /// Whether it knows that no answer to the sendings before comes any more.
    pub(super) knows_of_loss: bool,
    watch: Option<(Seconds, Seconds)>,
}

/// The record as a flight has read or written it last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Copied {
    pub(super) record: Record,
    /// Whether the store still has this version.
    pub(super) is_current: bool,
}

impl Flight {
    pub(super) fn new(
        (protocol, command): (Protocol, Command),
        mark: Version,
        by_refusal: bool,
        session: Option<Session>,
    ) -> Self {
        Self {
            protocol,
            command,
            taken_since: None,
            mark,
            by_refusal,
            session,
            is_superseded: false,
            copy: None,
            hold: Hold::None,
            reply: None,
            answer: None,
            repetitions: 0,
            has_asked_again: false,
            has_failed: false,
            is_refused: false,
            is_stale: false,
            knows_of_loss: false,
            watch: None,
        }
    }

    /// A look at the record was answered; `state` is what the flight makes of it.
    pub(super) fn looks(&mut self, state: RefreshTokenState, now: Seconds) {
        let since = match self.watch {
            Some((since, last)) if now - last < GAP => since,
            _ => now,
        };
        self.watch = Some((since, now));
        self.is_refused = false;
        self.is_stale = false;
        self.knows_of_loss = match state {
            RefreshTokenState::AnswerLost { .. } => true,
            RefreshTokenState::Sent { .. } => self.has_watched_in_vain(),
            RefreshTokenState::Ready | RefreshTokenState::Dead => false,
        };
    }

    pub(super) fn has_lease(&self) -> bool {
        matches!(self.hold, Hold::Since(_))
    }

    /// The last look before a request goes out: whether the lease may be another's by now, or the user be
    /// gone.
    pub(super) fn may_send(&self, now: Seconds) -> bool {
        self.hold.is_ours(now) && !self.is_superseded
    }

    /// Whether it is about to send its request.
    pub(super) fn is_sending(&self) -> bool {
        self.command == Command::Send && self.reply.is_none()
    }

    pub(super) fn sleeps(&self) -> bool {
        matches!(self.command, Command::Sleep(_))
    }

    pub(super) fn has_watched_in_vain(&self) -> bool {
        self.watch
            .is_some_and(|(since, last)| last - since >= WATCHED_IN_VAIN)
    }
}
