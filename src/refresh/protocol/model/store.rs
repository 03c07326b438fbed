//! A store with one record and its lease.

use super::server::Tokens;
use super::time::Seconds;
use crate::session::state::RefreshTokenState;

/// A lease runs for so long, if it is not renewed ...
pub(super) const LEASE: Seconds = 10;
/// ... and its holder trusts it for so long, by its own clock.
const SAFE_FOR: Seconds = 9;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Record {
    pub(super) tokens: Tokens,
    pub(super) state: RefreshTokenState,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Store {
    pub(super) record: Option<Record>,
    lease: Option<Lease>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Lease {
    /// `None` if its holder has crashed, or does not know that it has it.
    holder: Option<usize>,
    ends_at: Seconds,
}

/// What a process has of a lease, as far as it knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Hold {
    #[default]
    None,
    /// The store was asked for it at that time, and gave it.
    Since(Seconds),
    GivenBack,
}

impl Record {
    /// Whether its access token is alive.
    pub(super) fn is_alive(&self, now: Seconds) -> bool {
        now < self.tokens.ends_at
    }
}

impl Store {
    pub(super) fn with(tokens: Tokens) -> Self {
        Self {
            record: Some(Record {
                tokens,
                state: RefreshTokenState::Ready,
            }),
            lease: None,
        }
    }

    /// Gives the lease to `process`, or renews it; `false` if another has it.
    pub(super) fn lease(&mut self, process: usize, now: Seconds) -> bool {
        let is_free = self.is_free_for(process, now);
        if is_free {
            self.lease = Some(Lease {
                holder: Some(process),
                ends_at: now + LEASE,
            });
        }
        is_free
    }

    pub(super) fn is_free_for(&self, process: usize, now: Seconds) -> bool {
        self.lease
            .is_none_or(|lease| lease.holder == Some(process) || lease.ends_at <= now)
    }

    pub(super) fn release(&mut self, process: usize) {
        if self.is_held_by(process) {
            self.lease = None;
        }
    }

    /// The process does not know any more that it has the lease: it runs out.
    pub(super) fn abandon(&mut self, process: usize) {
        if self.is_held_by(process)
            && let Some(lease) = &mut self.lease
        {
            lease.holder = None;
        }
    }

    fn is_held_by(&self, process: usize) -> bool {
        self.lease
            .is_some_and(|lease| lease.holder == Some(process))
    }
}

impl Hold {
    /// Whether the process may think that no other one has the lease.
    pub(super) fn is_ours(self, now: Seconds) -> bool {
        match self {
            Self::None => true,
            Self::Since(granted) => now - granted < SAFE_FOR,
            Self::GivenBack => false,
        }
    }
}
