//! A token that is given once and for all.

use crate::error::Error;
use crate::grant::{Grant, GrantRequest};
use crate::parameters::TokenParameters;
use crate::secret::Secret;
use crate::store::StoreKey;
use crate::token::{TokenResponse, UNSENDABLE, bearer_header};

/// A token that never changes, such as a personal access token.
///
/// A 401 then reaches the caller as it is, since there is no other token to try.
#[derive(Clone, Debug)]
pub struct ConstantToken(Secret);

impl ConstantToken {
    /// This token, without the scheme.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) if it is empty, or has a character that no
    /// header can carry: a control character, a blank, or one outside of ASCII.
    pub fn new(token: impl Into<Secret>) -> Result<Self, Error> {
        let token = token.into();
        if bearer_header(&token).is_err() {
            return Err(Error::settings(format!(
                "the constant token {UNSENDABLE}; give it without its scheme and without white space"
            )));
        }
        Ok(Self(token))
    }
}

impl Grant for ConstantToken {
    fn name(&self) -> &str {
        "constant"
    }

    /// Where sources share a store, one constant token never passes for another, nor yesterday's for
    /// the one that was given in its place.
    fn parameters(&self) -> TokenParameters {
        let digest = StoreKey::of([self.0.expose()]);
        TokenParameters::new().extra("digest", digest.to_string())
    }

    async fn obtain(&self, _request: GrantRequest) -> Result<TokenResponse, Error> {
        Ok(TokenResponse::bearer(self.0.clone()))
    }
}
