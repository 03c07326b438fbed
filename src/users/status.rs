//! How a user's session stands, as the store has it.

use std::time::SystemTime;

use crate::clock::system_time;
use crate::parameters::TokenParameters;
use crate::session::record::{Record, RecordToken};
use crate::session::state::RefreshTokenState;

/// How a user's session stands: never a token's text.
#[derive(Clone, Debug)]
pub struct UserStatus {
    has_refresh_token: bool,
    sign_in_required: bool,
    ends_at: Option<SystemTime>,
    access_tokens: Vec<AccessTokenStatus>,
}

impl UserStatus {
    /// Whether there is a refresh token: without one the session ends with its access token.
    #[must_use]
    pub fn has_refresh_token(&self) -> bool {
        self.has_refresh_token
    }

    /// Whether the authorization server has ended the session: once the access tokens have
    /// expired, the user has to sign in again.
    #[must_use]
    pub fn is_sign_in_required(&self) -> bool {
        self.sign_in_required
    }

    /// When the refresh token ends, where the server told (`refresh_token_expires_in`).
    #[must_use]
    pub fn ends_at(&self) -> Option<SystemTime> {
        self.ends_at
    }

    /// The access tokens, one for each combination of scopes and resources that was asked for.
    #[must_use]
    pub fn access_tokens(&self) -> &[AccessTokenStatus] {
        &self.access_tokens
    }

    pub(crate) fn of(record: &Record) -> Self {
        Self {
            has_refresh_token: record.refresh_token.is_some(),
            sign_in_required: record.state == RefreshTokenState::Dead,
            ends_at: record.ends_at.map(system_time),
            access_tokens: record.tokens.iter().map(AccessTokenStatus::of).collect(),
        }
    }
}

/// What one access token of a user is for, and when it was issued and ends.
#[derive(Clone, Debug)]
pub struct AccessTokenStatus {
    parameters: TokenParameters,
    issued_at: SystemTime,
    expires_at: Option<SystemTime>,
}

impl AccessTokenStatus {
    /// What it was asked for with, the grant's own settings included.
    #[must_use]
    pub fn parameters(&self) -> &TokenParameters {
        &self.parameters
    }

    /// When it was asked for.
    #[must_use]
    pub fn issued_at(&self) -> SystemTime {
        self.issued_at
    }

    /// When it ends; `None` if the server did not say.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    fn of(token: &RecordToken) -> Self {
        Self {
            parameters: token.parameters.clone(),
            issued_at: system_time(token.issued_at),
            expires_at: token.expires_at.map(system_time),
        }
    }
}
