//! A bearer token for a library that sends it by itself, and the way back to say that it was refused.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use http::HeaderValue;

use crate::error::Error;
use crate::secret::Secret;
use crate::token::{BEARER, UNSENDABLE, bearer_header};

/// A bearer token (RFC 6750) as a [`BearerTokenProvider`](crate::BearerTokenProvider) gives it to a library.
///
/// The token knows where it came from, so that whoever sees the 401 needs nothing else to say so
/// ([`invalidate`](Self::invalidate)). Cheap to clone: clones share one text in memory. `Debug` does not
/// show it.
#[derive(Clone)]
pub struct BearerToken {
    header: HeaderValue,
    expires_at: Option<SystemTime>,
    on_invalidate: Option<Arc<dyn Fn() + Send + Sync>>,
}

impl BearerToken {
    /// This token, without the scheme: for a provider of your own. Without more it has no end, and a
    /// refusal of it changes nothing.
    ///
    /// # Errors
    /// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) if it is empty, or has a character that no header
    /// can carry: a control character, a blank, or one outside of ASCII.
    pub fn new(token: impl Into<Secret>) -> Result<Self, Error> {
        let header = bearer_header(&token.into())
            .map_err(|_| Error::protocol(format!("the provider's token {UNSENDABLE}")))?;
        Ok(Self::of(header, None))
    }

    /// The same token with an end, by the wall clock.
    #[must_use]
    pub fn with_expires_at(self, end: SystemTime) -> Self {
        Self {
            expires_at: Some(end),
            ..self
        }
    }

    /// The same token with something to do when a library says that it was refused. It is called at each
    /// [`invalidate`](Self::invalidate), of clones too, in the task of the library, and so must not block.
    #[must_use]
    pub fn on_invalidate(self, hook: impl Fn() + Send + Sync + 'static) -> Self {
        Self {
            on_invalidate: Some(Arc::new(hook)),
            ..self
        }
    }

    /// The token itself, without the scheme.
    #[must_use]
    pub fn expose(&self) -> &str {
        let header = self.header.to_str().unwrap_or_default();
        header.get(BEARER.len() + 1..).unwrap_or_default()
    }

    /// The value of an `Authorization` header, `Bearer` and the token (RFC 6750 section 2.1), marked as
    /// sensitive.
    #[must_use]
    pub fn authorization(&self) -> &HeaderValue {
        &self.header
    }

    /// When the token ends, by the wall clock; `None` if that is not known, and it serves until it is
    /// refused.
    ///
    /// A library needs it only where its own interface has a place for it. One that keeps the token until
    /// then loses what the provider does ahead of the end: ask for each request, which costs next to
    /// nothing.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    /// Says that an API did not take this token (a 401): the provider's next call gives another one, if
    /// there is one to be had. For a token that has been replaced already it does nothing, so many
    /// requests that were refused together may each say it.
    #[doc(alias = "refuse")]
    #[doc(alias = "reject")]
    pub fn invalidate(&self) {
        if let Some(hook) = &self.on_invalidate {
            hook();
        }
    }

    pub(crate) fn of(header: HeaderValue, expires_at: Option<SystemTime>) -> Self {
        Self {
            header,
            expires_at,
            on_invalidate: None,
        }
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("BearerToken")
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
