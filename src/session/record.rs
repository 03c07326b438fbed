//! What is kept of one session: its refresh token and its access tokens, in points in time.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::dpop::{DpopKey, SessionKey};
use crate::parameters::TokenParameters;
use crate::secret::Secret;
use crate::session::state::RefreshTokenState;
use crate::store::Version;
use crate::token::{Lifetime, TokenResponse};
use crate::token_set::TokenSet;

/// Access tokens for different scopes and resources that one record holds: more would make each
/// save of a rotated refresh token slow. Those that end first go first.
const MOST_TOKENS: usize = 32;

/// One record, of a user's session or of an application's token. Times count from 1970, by the wall
/// clock: machines share no other.
#[derive(Clone, Default)]
pub(crate) struct Record {
    pub(crate) origin: Origin,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) id_token: Option<Secret>,
    /// What a user's tokens are bound to, the refresh token with them: each process signs with it.
    pub(crate) dpop_key: Option<SessionKey>,
    pub(crate) tokens: Vec<RecordToken>,
    /// When the server ends the refresh token, where it tells (`refresh_token_expires_in`).
    pub(crate) ends_at: Option<Duration>,
    pub(crate) saved_at: Duration,
    /// What is known of the refresh token.
    pub(crate) state: RefreshTokenState,
}

/// What the tokens of a record go back to. Those of another sign-in are another session's, even if
/// the subject is the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) enum Origin {
    /// A grant that needs no sign-in; it can be asked for more at any time.
    #[default]
    Grant,
    /// The sign-in that wrote this version.
    SignIn(Version),
}

/// One access token of a record.
#[derive(Clone)]
pub(crate) struct RecordToken {
    /// What it was asked for with, the grant's own settings included: sources that share a store
    /// have different ones.
    pub(crate) parameters: TokenParameters,
    pub(crate) access_token: Secret,
    /// Whether it is bound to a DPoP key.
    pub(crate) is_bound: bool,
    pub(crate) issued_at: Duration,
    pub(crate) expires_at: Option<Duration>,
    pub(crate) refresh_at: Option<Duration>,
    pub(crate) scope: Option<String>,
    pub(crate) members: Map<String, Value>,
    /// The newest one of the record, on the way out of it; the record has it once.
    pub(crate) id_token: Option<Secret>,
    /// That of the record, likewise.
    pub(crate) dpop_key: Option<DpopKey>,
}

impl Record {
    /// The access token that was asked for with these parameters.
    pub(crate) fn token(&self, parameters: &TokenParameters) -> Option<RecordToken> {
        let mut tokens = self.tokens.iter();
        let token = tokens.find(|token| token.parameters == *parameters)?;
        Some(RecordToken {
            id_token: self.id_token.clone(),
            dpop_key: self.dpop_key.as_ref().map(|kept| kept.key().clone()),
            ..token.clone()
        })
    }

    /// Takes in the refresh token and the id token that an answer brought, and fills in those of a refresh
    /// that it left out, which stay in force (RFC 6749 section 6, OpenID Connect Core 12.2).
    pub(crate) fn take_in(&mut self, response: &mut TokenResponse, asked: Duration) {
        self.state = RefreshTokenState::Ready;
        if self.refresh_token.is_some() {
            response.id_token = response.id_token.take().or(self.id_token.take());
        }
        self.id_token = response.id_token.clone();
        if let Some(refresh_token) = &response.refresh_token {
            self.refresh_token = Some(refresh_token.clone());
            self.ends_at = None;
        }
        if let Some(left) = response.refresh_token_lifetime {
            self.ends_at = asked.checked_add(left);
        }
    }

    /// Puts `token` in place of the one with the same parameters, and drops those that have ended.
    pub(crate) fn put(&mut self, token: RecordToken, now: Duration) {
        self.tokens
            .retain(|known| known.parameters != token.parameters && known.is_alive(now));
        if self.tokens.len() >= MOST_TOKENS {
            self.tokens
                .sort_by_key(|known| known.expires_at.unwrap_or(Duration::MAX));
            self.tokens.remove(0);
        }
        self.tokens.push(token);
    }

    /// Until when an access token is alive, as far as anybody knows.
    pub(crate) fn last_expiry(&self) -> Option<Duration> {
        let ends = self.tokens.iter().map(|token| token.expires_at);
        ends.map(|end| end.unwrap_or(Duration::MAX)).max()
    }
}

impl RecordToken {
    /// The access token of an answer to a request that was sent at `asked`.
    pub(crate) fn issued(
        response: &TokenResponse,
        parameters: TokenParameters,
        asked: Duration,
    ) -> Self {
        let expires_at = match response.lifetime {
            Lifetime::Stated(lifetime) => asked.checked_add(lifetime),
            Lifetime::Unstated => None,
            Lifetime::Spent => Some(asked),
        };
        Self {
            parameters,
            access_token: response.access_token.clone(),
            is_bound: response.binding.is_some(),
            issued_at: asked,
            expires_at,
            refresh_at: response
                .refresh_in
                .and_then(|after| asked.checked_add(after)),
            scope: response.scope.clone(),
            members: response.members.clone(),
            id_token: None,
            dpop_key: None,
        }
    }

    /// The access token that a token set of the user's brought along; `None` if it has none.
    pub(crate) fn brought_along(
        set: &TokenSet,
        parameters: TokenParameters,
        now: Duration,
    ) -> Option<Self> {
        Some(Self {
            parameters,
            access_token: set.access_token()?.clone(),
            is_bound: set.bound_to().is_some(),
            issued_at: set.issued_at().map_or(now, since_epoch),
            expires_at: set.expires_at().map(since_epoch),
            refresh_at: None,
            scope: set.scope().map(ToOwned::to_owned),
            members: set.members.clone(),
            id_token: set.id_token().cloned(),
            dpop_key: set.bound_to().cloned(),
        })
    }

    pub(crate) fn is_alive(&self, now: Duration) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Record")
            .field("refresh_token", &self.refresh_token)
            .field("tokens", &self.tokens.len())
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for RecordToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RecordToken")
            .field("parameters", &self.parameters)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// Time since 1970; what was before counts as then.
pub(crate) fn since_epoch(time: SystemTime) -> Duration {
    time.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{MOST_TOKENS, Record, RecordToken};
    use crate::parameters::TokenParameters;
    use crate::secret::Secret;
    use serde_json::Map;
    use std::time::Duration;

    fn token(scope: &str, expires_at: Option<u64>) -> RecordToken {
        RecordToken {
            parameters: TokenParameters::new().scope(scope),
            access_token: Secret::new(format!("token-{scope}")),
            is_bound: false,
            issued_at: Duration::ZERO,
            expires_at: expires_at.map(Duration::from_secs),
            refresh_at: None,
            scope: None,
            members: Map::new(),
            id_token: None,
            dpop_key: None,
        }
    }

    #[test]
    fn a_record_holds_one_token_for_each_parameters_and_never_too_many() {
        let mut record = Record::default();
        let now = Duration::from_secs(10);
        record.put(token("dead", Some(9)), Duration::ZERO);
        for number in 0..100_u64 {
            record.put(token(&format!("s{number}"), Some(1_000 - number)), now);
            record.put(token(&format!("s{number}"), Some(1_000 - number)), now);
        }
        assert_eq!(record.tokens.len(), MOST_TOKENS);
        assert!(record.token(&token("dead", None).parameters).is_none());
        assert!(record.token(&token("s99", None).parameters).is_some());
        assert_eq!(record.last_expiry(), Some(Duration::from_secs(1_000)));
    }
}
