//! A token that is given once and for all.

use crate::error::Error;
use crate::grant::{Grant, GrantRequest};
use crate::secret::Secret;
use crate::token::TokenResponse;

/// A token that never changes, such as a personal access token.
///
/// A 401 then reaches the caller as it is, since there is no other token to try.
#[derive(Clone, Debug)]
pub struct ConstantToken(Secret);

impl ConstantToken {
    /// This token.
    #[must_use]
    pub fn new(token: impl Into<Secret>) -> Self {
        Self(token.into())
    }
}

impl Grant for ConstantToken {
    fn name(&self) -> &str {
        "constant"
    }

    async fn obtain(&self, _request: GrantRequest) -> Result<TokenResponse, Error> {
        Ok(TokenResponse::bearer(self.0.clone()))
    }
}
