//! What is remembered of a request while it is away.

use std::sync::Arc;

use crate::access_token::Issued;
use crate::claims::Lacking;
use crate::clock::Moment;
use crate::refuser::Refuser;

/// What is remembered of a sending: its token by number and not by text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stamp {
    pub(crate) generation: u64,
    /// How often the token's subject had passed to somebody else.
    pub(crate) handovers: u32,
    /// When it was sent; `None` for a token of which one more success says nothing new, so that no
    /// warm call needs the time.
    pub(crate) sent: Option<Moment>,
}

impl Stamp {
    /// That of a request that goes out with this token.
    pub(crate) fn of(token: &Issued, sent: Option<Moment>) -> Self {
        Self {
            generation: token.generation,
            handovers: token.handovers,
            sent,
        }
    }

    /// The same where the token lacks claims.
    pub(crate) fn lacking<'call>(
        self,
        claims: Arc<str>,
        demanded_by: &'call Refuser,
        client: Option<&'call Arc<str>>,
    ) -> Lacking<'call> {
        Lacking {
            generation: self.generation,
            handovers: self.handovers,
            claims,
            demanded_by,
            client,
        }
    }
}
