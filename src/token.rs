//! What a token endpoint issued, in the server's own terms: lifetimes, not points in time.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;
use serde_json::{Map, Value};

use crate::dpop::{Binding, DPOP};
use crate::error::Error;
use crate::secret::Secret;

/// Ten years: the longest lifetime that is believed (B11). Nothing overflows below it.
pub(crate) const LONGEST_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The scheme of a bearer token (RFC 6750 section 2.1).
pub(crate) const BEARER: &str = "Bearer";

/// What is wrong with a token that [`bearer_header`] refuses, as a clause for a message.
pub(crate) const UNSENDABLE: &str = "is empty, or has a character that no header can carry: a control, a blank, or one outside of ASCII";

/// One successful answer of a token endpoint (RFC 6749 section 5.1).
///
/// A grant of your own makes one with [`TokenResponse::bearer`], or takes that of another grant and looks
/// at it:
///
/// ```
/// use reqwest_bearer::{ClientCredentials, Error, Grant, GrantRequest, TokenResponse};
///
/// struct Logged(ClientCredentials);
///
/// impl Grant for Logged {
///     fn name(&self) -> &str {
///         self.0.name()
///     }
///
///     async fn obtain(&self, request: GrantRequest) -> Result<TokenResponse, Error> {
///         let response = self.0.obtain(request).await?;
///         println!("granted {:?} for {:?}", response.scope(), response.expires_in());
///         Ok(response)
///     }
/// }
/// ```
#[derive(Clone)]
pub struct TokenResponse {
    pub(crate) access_token: Secret,
    pub(crate) token_type: TokenType,
    /// What the token is bound to, if it is.
    pub(crate) binding: Option<Binding>,
    pub(crate) lifetime: Lifetime,
    pub(crate) refresh_in: Option<Duration>,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) refresh_token_lifetime: Option<Duration>,
    pub(crate) id_token: Option<Secret>,
    /// What is left of the id token, where its end can be read.
    pub(crate) id_token_lifetime: Option<Lifetime>,
    pub(crate) scope: Option<String>,
    /// What the request asked for, if the grant knows: a narrower `scope` is worth an event.
    pub(crate) asked_scope: Option<String>,
    pub(crate) members: Map<String, Value>,
    /// No other answer brings a token that lasts longer: it ends with what it was exchanged for.
    pub(crate) ends_for_good: bool,
}

/// What the server says of how the access token is to be used (RFC 6749 section 7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TokenType {
    Bearer,
    /// With a proof of the key that it is bound to.
    Dpop,
}

/// What the server said of how long the access token lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// This long, counted from the instant before the request was sent.
    Stated(Duration),
    /// Nothing that can be read.
    Unstated,
    /// Zero or less: good for the callers that wait for it, and for one more second.
    Spent,
}

impl TokenType {
    /// That of a token with this binding.
    pub(crate) fn of(binding: Option<&Binding>) -> Self {
        match binding {
            Some(_) => Self::Dpop,
            None => Self::Bearer,
        }
    }

    /// The word before the token in `Authorization` (RFC 6750 section 2.1, RFC 9449 section 7.1).
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::Bearer => BEARER,
            Self::Dpop => DPOP,
        }
    }
}

impl Lifetime {
    /// The shorter one of the two; one that is not stated is the longest.
    pub(crate) fn shorter_of(self, other: Self) -> Self {
        match (self, other) {
            (Self::Spent, _) | (_, Self::Spent) => Self::Spent,
            (Self::Stated(one), Self::Stated(other)) => Self::Stated(one.min(other)),
            (Self::Stated(one), Self::Unstated) | (Self::Unstated, Self::Stated(one)) => {
                Self::Stated(one)
            }
            (Self::Unstated, Self::Unstated) => Self::Unstated,
        }
    }
}

impl TokenResponse {
    /// A bearer token (RFC 6750) of unstated lifetime.
    #[must_use]
    pub fn bearer(access_token: impl Into<Secret>) -> Self {
        Self {
            access_token: access_token.into(),
            token_type: TokenType::Bearer,
            binding: None,
            lifetime: Lifetime::Unstated,
            refresh_in: None,
            refresh_token: None,
            refresh_token_lifetime: None,
            id_token: None,
            id_token_lifetime: None,
            scope: None,
            asked_scope: None,
            members: Map::new(),
            ends_for_good: false,
        }
    }

    /// How long the token lives, counted from when it was asked for. Without it the default
    /// lifetime of the token source applies, or the token is used until an API refuses it.
    #[must_use]
    pub fn with_expires_in(mut self, lifetime: Duration) -> Self {
        self.lifetime = if lifetime.is_zero() {
            Lifetime::Spent
        } else {
            Lifetime::Stated(lifetime.min(LONGEST_LIFETIME))
        };
        self
    }

    /// The server's hint of when to refresh, counted like the lifetime.
    #[must_use]
    pub fn with_refresh_in(mut self, after: Duration) -> Self {
        self.refresh_in = Some(after);
        self
    }

    /// The refresh token that came along. The next request of the grant is handed it.
    #[must_use]
    pub fn with_refresh_token(mut self, refresh_token: impl Into<Secret>) -> Self {
        self.refresh_token = Some(refresh_token.into());
        self
    }

    /// How long the refresh token lives, counted from when it was asked for. Without it a session lasts
    /// until nobody has used it for long
    /// ([`session_timeout`](crate::UserSessionsBuilder::session_timeout)).
    #[must_use]
    pub fn with_refresh_token_expires_in(mut self, lifetime: Duration) -> Self {
        self.refresh_token_lifetime = Some(lifetime);
        self
    }

    /// The scopes that were granted, separated by spaces.
    #[must_use]
    pub fn with_scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Adds a member that the crate itself does not know;
    /// [`AccessToken::member`](crate::AccessToken::member) reads it.
    #[must_use]
    pub fn with_member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
    }

    /// The id token that came along (OpenID Connect Core section 3.1.3.3). With one, a refresh that
    /// brings another user's is refused.
    #[must_use]
    pub fn with_id_token(mut self, id_token: impl Into<Secret>) -> Self {
        self.id_token = Some(id_token.into());
        self
    }

    /// The access token.
    #[must_use]
    pub fn access_token(&self) -> &Secret {
        &self.access_token
    }

    /// How long the access token lives, counted from when it was asked for: zero for one that ends at
    /// once, `None` if the server did not say.
    #[must_use]
    pub fn expires_in(&self) -> Option<Duration> {
        match self.lifetime {
            Lifetime::Stated(lifetime) => Some(lifetime),
            Lifetime::Unstated => None,
            Lifetime::Spent => Some(Duration::ZERO),
        }
    }

    /// When the server would have the token refreshed, counted like its lifetime.
    #[must_use]
    pub fn refresh_in(&self) -> Option<Duration> {
        self.refresh_in
    }

    /// The refresh token that came along.
    #[must_use]
    pub fn refresh_token(&self) -> Option<&Secret> {
        self.refresh_token.as_ref()
    }

    /// How long the refresh token lives, if the server said.
    #[must_use]
    pub fn refresh_token_expires_in(&self) -> Option<Duration> {
        self.refresh_token_lifetime
    }

    /// The id token that came along, unchecked.
    #[must_use]
    pub fn id_token(&self) -> Option<&Secret> {
        self.id_token.as_ref()
    }

    /// The scopes that were granted, separated by spaces, if the server named them.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.scope.as_deref()
    }

    /// A member of the answer that the crate itself does not know, such as `instance_url`.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }
}

impl fmt::Debug for TokenResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Members and scopes are the server's body (D6); some servers put secrets there.
        formatter
            .debug_struct("TokenResponse")
            .field("access_token", &self.access_token)
            .field("lifetime", &self.lifetime)
            .field("refresh_in", &self.refresh_in)
            .field("refresh_token", &self.refresh_token)
            .field("refresh_token_lifetime", &self.refresh_token_lifetime)
            .field("id_token", &self.id_token)
            .finish_non_exhaustive()
    }
}

/// The `Authorization` header of a token, made once and marked as sensitive. The token is in it byte
/// for byte: Salesforce, Amazon, eBay and others use characters that the `b64token` of RFC 6750
/// section 2.1 does not have.
///
/// # Errors
/// If the token is empty, or has a character that a header cannot carry, or that could end the header
/// and begin another one: a control character, a blank, or one outside of ASCII (D7).
pub(crate) fn bearer_header(access_token: &Secret) -> Result<HeaderValue, Error> {
    authorization(access_token, TokenType::Bearer)
}

/// The same of a token of this type.
pub(crate) fn authorization(
    access_token: &Secret,
    token_type: TokenType,
) -> Result<HeaderValue, Error> {
    token_header(Some(token_type.scheme()), access_token.expose())
        .ok_or_else(|| Error::protocol(format!("the access token {UNSENDABLE}")))
}

/// The value of a header that carries a token, behind a scheme or alone; `None` as above.
pub(crate) fn token_header(scheme: Option<&str>, token: &str) -> Option<HeaderValue> {
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    let header = match scheme {
        Some(scheme) => HeaderValue::try_from(format!("{scheme} {token}")),
        None => HeaderValue::from_str(token),
    };
    let mut header = header.ok()?;
    header.set_sensitive(true);
    Some(header)
}

#[cfg(test)]
mod tests {
    use super::bearer_header;
    use crate::secret::Secret;

    #[test]
    fn only_a_token_that_could_break_the_header_is_an_error() {
        // K1, D7: each byte, alone and within a token.
        for byte in 0..=u8::MAX {
            let is_sent = (0x21..=0x7E).contains(&byte);
            let character = char::from(byte);
            for text in [character.to_string(), format!("a{character}b")] {
                let header = bearer_header(&Secret::new(text.clone()));
                assert_eq!(header.is_ok(), is_sent, "{text:?}");
                if let Ok(header) = header {
                    assert_eq!(header, format!("Bearer {text}").as_str());
                }
            }
        }
        for bad in ["", "a\r\nX: y", "a\n", "\u{2028}", "tök", "a\u{feff}"] {
            assert!(bearer_header(&Secret::new(bad)).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_header_is_sensitive() {
        // D6
        let header = bearer_header(&Secret::new("abc"));
        assert!(header.is_ok_and(|header| header.is_sensitive() && header == "Bearer abc"));
    }
}
