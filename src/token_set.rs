//! All that one answer of a token endpoint brought, in points in time.

use std::fmt;
use std::time::SystemTime;

use serde_json::{Map, Value};

use crate::dpop::DpopKey;
use crate::error::Error;
use crate::secret::Secret;
use crate::token::{Lifetime, TokenResponse, TokenType};

/// A token set (RFC 6749 section 5.1): what a token source starts from, and what a store keeps.
///
/// It comes from [`AuthorizationCode::exchange`](crate::AuthorizationCode::exchange), from a
/// [`TokenResponse`], or from what another library got:
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use reqwest_bearer::TokenSet;
///
/// let now = SystemTime::now();
/// let tokens = TokenSet::new("access-token")
///     .with_refresh_token("refresh-token")
///     .with_issued_at(now)
///     .with_expires_at(now + Duration::from_secs(600));
/// assert_eq!(tokens.refresh_token().map(|token| token.expose()), Some("refresh-token"));
/// ```
///
/// Its `Debug` output shows times, and of the rest only whether it is there.
#[derive(Clone)]
pub struct TokenSet {
    pub(crate) access_token: Option<Secret>,
    pub(crate) issued_at: Option<SystemTime>,
    pub(crate) expires_at: Option<SystemTime>,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) refresh_token_expires_at: Option<SystemTime>,
    pub(crate) id_token: Option<Secret>,
    pub(crate) scope: Option<String>,
    pub(crate) members: Map<String, Value>,
    /// What the server says that the access token is; `None` where nobody has said.
    token_type: Option<TokenType>,
    /// What its tokens are bound to, as far as the program says.
    dpop_key: Option<DpopKey>,
}

impl TokenSet {
    /// A set with this access token and nothing else: no lifetime, no refresh token.
    #[must_use]
    pub fn new(access_token: impl Into<Secret>) -> Self {
        Self {
            access_token: Some(access_token.into()),
            ..Self::empty()
        }
    }

    /// A set with a refresh token alone: the first use fetches an access token with it.
    #[must_use]
    pub fn from_refresh_token(refresh_token: impl Into<Secret>) -> Self {
        Self {
            refresh_token: Some(refresh_token.into()),
            ..Self::empty()
        }
    }

    /// What the server answered to a request that was sent at `asked_at`.
    ///
    /// The instant before the request, not after the answer: the server's clock starts somewhere
    /// in between, and a token that is thought to live too long gets refused.
    #[must_use]
    pub fn from_response(response: TokenResponse, asked_at: SystemTime) -> Self {
        let expires_at = match response.lifetime {
            Lifetime::Stated(lifetime) => asked_at.checked_add(lifetime),
            Lifetime::Unstated => None,
            Lifetime::Spent => Some(asked_at),
        };
        Self {
            access_token: Some(response.access_token),
            issued_at: Some(asked_at),
            expires_at,
            refresh_token: response.refresh_token,
            refresh_token_expires_at: response
                .refresh_token_lifetime
                .and_then(|lifetime| asked_at.checked_add(lifetime)),
            id_token: response.id_token,
            scope: response.scope,
            members: response.members,
            token_type: Some(response.token_type),
            dpop_key: response.binding.map(|binding| binding.key().clone()),
        }
    }

    /// Sets when the access token was asked for. With the expiry it gives the lifetime, which the
    /// refresh times are a share of.
    /// Default: unknown; the lifetime then counts from when a token source is given the set.
    #[must_use]
    pub fn with_issued_at(mut self, at: SystemTime) -> Self {
        self.issued_at = Some(at);
        self
    }

    /// Sets when the access token expires.
    /// Default: unknown; it is then used until an API refuses it.
    #[must_use]
    pub fn with_expires_at(mut self, at: SystemTime) -> Self {
        self.expires_at = Some(at);
        self
    }

    /// Sets the refresh token (RFC 6749 section 6).
    /// Default: none.
    #[must_use]
    pub fn with_refresh_token(mut self, refresh_token: impl Into<Secret>) -> Self {
        self.refresh_token = Some(refresh_token.into());
        self
    }

    /// Sets when the refresh token expires, where the server tells (`refresh_token_expires_in` and its
    /// like; no RFC has a name for it). A store keeps the session until then: with 100 days it is there
    /// on day 99, used or not.
    /// Default: unknown; a store then keeps the session until nobody has used it for long
    /// ([`session_timeout`](crate::UserSessionsBuilder::session_timeout)).
    #[must_use]
    pub fn with_refresh_token_expires_at(mut self, at: SystemTime) -> Self {
        self.refresh_token_expires_at = Some(at);
        self
    }

    /// Sets the id token (OpenID Connect Core section 2), which is kept and never read.
    /// Default: none.
    #[must_use]
    pub fn with_id_token(mut self, id_token: impl Into<Secret>) -> Self {
        self.id_token = Some(id_token.into());
        self
    }

    /// Sets the scopes that were granted, separated by spaces (RFC 6749 section 3.3).
    /// Default: unknown, which by the RFC means those that were asked for.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Says that the tokens are bound to this key (DPoP, RFC 9449): the one whose proof went along when they
    /// were asked for. What [`AuthorizationCode::exchange`](crate::AuthorizationCode::exchange) brought
    /// with a key has it already. A token that the server has issued as a bearer token stays one.
    /// Default: none; they are bearer tokens. A set whose token type is `DPoP` cannot be used without.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn with_dpop_key(mut self, key: &DpopKey) -> Self {
        self.dpop_key = Some(key.clone());
        self
    }

    /// The key that the tokens are bound to.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn dpop_key(&self) -> Option<&DpopKey> {
        self.bound_to()
    }

    /// The same, whatever the features: a bearer token is bound to nothing, whatever the program says.
    pub(crate) fn bound_to(&self) -> Option<&DpopKey> {
        let is_bearer = self.token_type == Some(TokenType::Bearer);
        self.dpop_key.as_ref().filter(|_| !is_bearer)
    }

    /// # Errors
    /// If the server says that the token is bound, and nobody has said to which key.
    pub(crate) fn check_key(&self) -> Result<(), Error> {
        if self.token_type == Some(TokenType::Dpop) && self.dpop_key.is_none() {
            return Err(Error::settings(
                "the token is of the type DPoP, and its key is missing; say which one it is with \
                 `TokenSet::with_dpop_key`",
            ));
        }
        Ok(())
    }

    /// The access token.
    #[must_use]
    pub fn access_token(&self) -> Option<&Secret> {
        self.access_token.as_ref()
    }

    /// When the access token was asked for.
    #[must_use]
    pub fn issued_at(&self) -> Option<SystemTime> {
        self.issued_at
    }

    /// When the access token expires; `None` if the server did not say.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// The refresh token.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// When the refresh token expires; `None` if the server did not say.
    #[must_use]
    pub fn refresh_token_expires_at(&self) -> Option<SystemTime> {
        self.refresh_token_expires_at
    }

    /// The id token, as it came. Its signature is not checked here.
    #[must_use]
    pub fn id_token(&self) -> Option<&Secret> {
        self.id_token.as_ref()
    }

    /// The scopes that the server says it granted, separated by spaces.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// A member of the answer that the crate itself does not know, such as `patient` of SMART on
    /// FHIR.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    fn empty() -> Self {
        Self {
            access_token: None,
            issued_at: None,
            expires_at: None,
            refresh_token: None,
            refresh_token_expires_at: None,
            id_token: None,
            scope: None,
            members: Map::new(),
            token_type: None,
            dpop_key: None,
        }
    }
}

impl fmt::Debug for TokenSet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Members and scopes are the server's body (D6); some servers put secrets there.
        formatter
            .debug_struct("TokenSet")
            .field("access_token", &self.access_token)
            .field("issued_at", &self.issued_at)
            .field("expires_at", &self.expires_at)
            .field("refresh_token", &self.refresh_token)
            .field("refresh_token_expires_at", &self.refresh_token_expires_at)
            .field("id_token", &self.id_token)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::TokenSet;
    use crate::token::TokenResponse;

    #[test]
    fn the_lifetime_counts_from_the_instant_before_the_request() {
        // B8
        let asked_at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000);
        let expiry = |response| TokenSet::from_response(response, asked_at).expires_at();
        let token = || TokenResponse::bearer("t");
        let minute = Duration::from_secs(60);
        assert_eq!(
            expiry(token().with_expires_in(minute)),
            Some(asked_at + minute)
        );
        assert_eq!(
            expiry(token().with_expires_in(Duration::ZERO)),
            Some(asked_at)
        );
        assert_eq!(expiry(token()), None);
    }

    #[test]
    fn a_token_set_does_not_show_what_it_holds() {
        // D6
        let response = TokenResponse::bearer("canary-a")
            .with_refresh_token("canary-b")
            .with_scope("canary-c")
            .with_member("canary-d", "canary-e");
        let shown = format!("{response:?}");
        let tokens =
            TokenSet::from_response(response, SystemTime::UNIX_EPOCH).with_id_token("canary-f");
        let shown = format!("{shown} {tokens:?} {tokens:#?}");
        assert!(!shown.contains("canary"), "{shown}");
    }
}
