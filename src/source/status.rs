//! How a token stands, as this process sees it.

use std::time::SystemTime;

use crate::access_token::AccessToken;
use crate::cache::entry::Entry;
use crate::clock::Moment;
use crate::error::Error;

/// How a source's token stands: never its text.
#[derive(Clone, Debug)]
pub struct TokenStatus {
    usable: bool,
    refused: bool,
    expires_at: Option<SystemTime>,
    refreshing: bool,
    failure: Option<Error>,
}

impl TokenStatus {
    pub(crate) fn of(entry: &Entry, now: Moment) -> Self {
        let present = entry.present();
        let history = entry.history();
        let cooldowns = &history.cooldowns;
        let failure = cooldowns
            .dry
            .standing(now)
            .or_else(|| cooldowns.urgent.standing(now));
        Self {
            usable: present.as_ref().is_some_and(|token| token.is_usable(now)),
            refused: present
                .as_ref()
                .is_some_and(|token| token.standing.is_refused()),
            expires_at: present.and_then(|token| AccessToken::new(token).expires_at()),
            refreshing: history.is_in_flight(),
            failure: failure.cloned(),
        }
    }

    /// Where no call has been, or none can.
    pub(crate) fn without_token(failure: Option<Error>) -> Self {
        Self {
            usable: false,
            refused: false,
            expires_at: None,
            refreshing: false,
            failure,
        }
    }

    /// Whether there is a token that has not expired.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.usable
    }

    /// Whether an API has refused it.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.refused
    }

    /// When it ends, or ended; `None` without a token, or if the server did not say.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// Whether a token request is under way, or a look into the store for one.
    #[must_use]
    pub fn is_refreshing(&self) -> bool {
        self.refreshing
    }

    /// The failure that is being waited out, if any; [`Error::retry_at`] says until when.
    #[must_use]
    pub fn failure(&self) -> Option<&Error> {
        self.failure.as_ref()
    }
}
