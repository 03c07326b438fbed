//! What gives the tokens of a client, by whom they are for: the application, its users, or its callers.

use crate::error::Error;
use crate::exchanged::{ExchangedTokens, ExchangedTokensBuilder};
use crate::source::{TokenSource, TokenSourceBuilder};
use crate::users::{UserSessions, UserSessionsBuilder};

/// What makes a source, by whom its tokens are for.
pub(super) enum Builder {
    Application(TokenSourceBuilder),
    Users(UserSessionsBuilder),
    Callers(ExchangedTokensBuilder),
}

/// What gives the tokens of a client.
#[derive(Clone)]
pub(super) enum Source {
    Application(TokenSource),
    Users(UserSessions),
    Callers(ExchangedTokens),
}

impl Builder {
    pub(super) fn build(self) -> Result<Source, Error> {
        match self {
            Self::Application(builder) => builder.build().map(Source::Application),
            Self::Users(builder) => builder.build().map(Source::Users),
            Self::Callers(builder) => builder.build().map(Source::Callers),
        }
    }
}
