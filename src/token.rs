//! What a token endpoint issued, in the server's own terms: lifetimes, not points in time.

use std::fmt;
use std::time::Duration;

use http::HeaderValue;
use serde_json::{Map, Value};

use crate::error::Error;
use crate::secret::Secret;

/// Ten years: the longest lifetime that is believed (B11). Nothing overflows below it.
pub(crate) const LONGEST_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// One successful answer of a token endpoint (RFC 6749 section 5.1).
///
/// A grant of your own makes one with [`TokenResponse::bearer`].
#[derive(Clone)]
pub struct TokenResponse {
    pub(crate) access_token: Secret,
    pub(crate) lifetime: Lifetime,
    pub(crate) refresh_in: Option<Duration>,
    pub(crate) refresh_token: Option<Secret>,
    pub(crate) id_token: Option<Secret>,
    pub(crate) scope: Option<String>,
    /// What the request asked for, if the grant knows: a narrower `scope` is worth an event.
    pub(crate) asked_scope: Option<String>,
    pub(crate) members: Map<String, Value>,
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

impl TokenResponse {
    /// A bearer token (RFC 6750) of unstated lifetime.
    #[must_use]
    pub fn bearer(access_token: impl Into<Secret>) -> Self {
        Self {
            access_token: access_token.into(),
            lifetime: Lifetime::Unstated,
            refresh_in: None,
            refresh_token: None,
            id_token: None,
            scope: None,
            asked_scope: None,
            members: Map::new(),
        }
    }

    /// How long the token lives, counted from when it was asked for. Without it the default
    /// lifetime of the token source applies, or the token is used until an API refuses it.
    #[must_use]
    pub fn expires_in(mut self, lifetime: Duration) -> Self {
        self.lifetime = if lifetime.is_zero() {
            Lifetime::Spent
        } else {
            Lifetime::Stated(lifetime.min(LONGEST_LIFETIME))
        };
        self
    }

    /// The server's hint of when to refresh, counted like the lifetime.
    #[must_use]
    pub fn refresh_in(mut self, after: Duration) -> Self {
        self.refresh_in = Some(after);
        self
    }

    /// The refresh token that came along. The next request of the grant is handed it.
    #[must_use]
    pub fn refresh_token(mut self, refresh_token: impl Into<Secret>) -> Self {
        self.refresh_token = Some(refresh_token.into());
        self
    }

    /// The scopes that were granted, separated by spaces.
    #[must_use]
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scope = Some(scope.into());
        self
    }

    /// Adds a member that the crate itself does not know;
    /// [`AccessToken::member`](crate::AccessToken::member) reads it.
    #[must_use]
    pub fn member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.members.insert(name.into(), value.into());
        self
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
            .field("id_token", &self.id_token)
            .finish_non_exhaustive()
    }
}

/// The `Authorization` header of a token, made once and marked as sensitive.
///
/// # Errors
/// If the token is not a `b64token` (RFC 6750 section 2.1): such a text could end the header and
/// begin another one.
pub(crate) fn bearer_header(access_token: &Secret) -> Result<HeaderValue, Error> {
    let text = access_token.expose();
    if !is_token68(text) {
        return Err(Error::protocol(
            "the access token holds characters that no bearer token may have (RFC 6750 section 2.1)",
        ));
    }
    let mut header = HeaderValue::try_from(format!("Bearer {text}"))
        .map_err(|_| Error::protocol("the access token cannot be put into a header"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn is_token68(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    !body.is_empty()
        && body
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::{bearer_header, is_token68};
    use crate::secret::Secret;

    #[test]
    fn a_token_that_could_break_the_header_is_an_error() {
        // D7
        for bad in [
            "",
            "=",
            "a b",
            "a\r\nX: y",
            "a\n",
            "tök",
            "a=b",
            "a,b",
            "\0",
        ] {
            assert!(bearer_header(&Secret::new(bad)).is_err(), "{bad:?}");
        }
        for good in ["a", "a.b-c_d~e+f/g", "abc==", "0"] {
            assert!(is_token68(good), "{good:?}");
        }
    }

    #[test]
    fn the_header_is_sensitive() {
        // D6
        let header = bearer_header(&Secret::new("abc"));
        assert!(header.is_ok_and(|header| header.is_sensitive() && header == "Bearer abc"));
    }
}
