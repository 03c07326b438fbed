//! What the crate tells the outside: one function for each event.
//!
//! No subject and no secret goes through here.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;

/// Why a token was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefreshReason {
    /// There was none.
    None,
    /// The present one had reached its soft moment: in the background.
    Soft,
    /// The present one had reached its hard moment.
    Hard,
    /// The present one had expired.
    Expired,
    /// An API had refused the present one.
    Refusal,
    /// The caller asked for a new one, or for one that lives longer.
    Caller,
}

impl RefreshReason {
    /// The word that stands for it in log lines, e.g. `soft`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Soft => "soft",
            Self::Hard => "hard",
            Self::Expired => "expired",
            Self::Refusal => "refusal",
            Self::Caller => "caller",
        }
    }
}

impl fmt::Display for RefreshReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Something that a service may want to count or to alarm on.
///
/// `Debug` leaves out which scopes the server granted: they are a text of its own.
#[derive(Clone)]
#[non_exhaustive]
pub enum Event {
    /// One token request was made, successful or not.
    #[non_exhaustive]
    TokenRequest {
        /// The name of the token source.
        source: Arc<str>,
        /// The name of the grant.
        grant: Arc<str>,
        /// Why it was made.
        reason: RefreshReason,
        /// What became of it.
        outcome: Result<(), Error>,
        /// From sending to the whole answer.
        duration: Duration,
    },
    /// An API refused a token that was thought to be good.
    #[non_exhaustive]
    TokenRefused {
        /// The name of the token source.
        source: Arc<str>,
    },
    /// The server granted less than was asked for. The token is used all the same.
    #[non_exhaustive]
    ScopeNarrowed {
        /// The name of the token source.
        source: Arc<str>,
        /// The scopes that were asked for.
        asked: String,
        /// The scopes that were granted.
        granted: String,
    },
    /// The store, or the hook for new refresh tokens, failed to take a new one: it is in memory
    /// only, and is offered again, 1 s to 60 s apart.
    #[non_exhaustive]
    RefreshTokenUnsaved {
        /// The name of the token source.
        source: Arc<str>,
    },
    /// The store, or the hook for new refresh tokens, has taken the newest one after it had failed.
    #[non_exhaustive]
    RefreshTokenSaved {
        /// The name of the token source.
        source: Arc<str>,
    },
    /// A call of the store failed.
    #[non_exhaustive]
    StoreFailed {
        /// The name of the token source.
        source: Arc<str>,
        /// What went wrong.
        error: Error,
    },
    /// A record of the store cannot be read: it is damaged, written by another version of this
    /// crate, or encrypted with a key that is not known. It counts as absent.
    #[non_exhaustive]
    RecordUnreadable {
        /// The name of the token source.
        source: Arc<str>,
        /// What is wrong with it.
        problem: String,
    },
    /// The authorization server did not revoke a token of somebody who signed out. The token is
    /// forgotten all the same.
    #[non_exhaustive]
    RevocationFailed {
        /// The name of the token source.
        source: Arc<str>,
        /// What went wrong.
        error: Error,
    },
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, source) = match self {
            Self::TokenRequest { source, .. } => ("TokenRequest", source),
            Self::TokenRefused { source } => ("TokenRefused", source),
            Self::ScopeNarrowed { source, .. } => ("ScopeNarrowed", source),
            Self::RefreshTokenUnsaved { source } => ("RefreshTokenUnsaved", source),
            Self::RefreshTokenSaved { source } => ("RefreshTokenSaved", source),
            Self::StoreFailed { source, .. } => ("StoreFailed", source),
            Self::RecordUnreadable { source, .. } => ("RecordUnreadable", source),
            Self::RevocationFailed { source, .. } => ("RevocationFailed", source),
        };
        let mut shown = formatter.debug_struct(name);
        shown.field("source", source);
        match self {
            Self::TokenRequest {
                grant,
                reason,
                outcome,
                duration,
                ..
            } => shown
                .field("grant", grant)
                .field("reason", reason)
                .field("outcome", outcome)
                .field("duration", duration),
            Self::ScopeNarrowed { asked, granted, .. } => shown
                .field("asked", asked)
                .field("missing", &missing_scopes(asked, granted)),
            Self::StoreFailed { error, .. } | Self::RevocationFailed { error, .. } => {
                shown.field("error", error)
            }
            Self::RecordUnreadable { problem, .. } => shown.field("problem", problem),
            Self::TokenRefused { .. }
            | Self::RefreshTokenUnsaved { .. }
            | Self::RefreshTokenSaved { .. } => &mut shown,
        };
        shown.finish()
    }
}

/// Those that were asked for and not granted: our own words, and none of the server's.
fn missing_scopes(asked: &str, granted: &str) -> String {
    let is_missing = |scope: &&str| {
        !granted
            .split_ascii_whitespace()
            .any(|known| known == *scope)
    };
    let missing: Vec<_> = asked.split_ascii_whitespace().filter(is_missing).collect();
    missing.join(" ")
}

pub(crate) type Hook = Arc<dyn Fn(&Event) + Send + Sync>;

/// Tells events to the hook, and to `tracing` with that feature.
#[derive(Clone)]
pub(crate) struct Telemetry {
    pub(crate) source: Arc<str>,
    pub(crate) grant: Arc<str>,
    pub(crate) hook: Option<Hook>,
}

impl Telemetry {
    pub(crate) fn token_request(
        &self,
        reason: RefreshReason,
        outcome: Result<(), Error>,
        duration: Duration,
    ) {
        #[cfg(feature = "tracing")]
        match &outcome {
            Ok(()) => tracing::info!(
                source = &*self.source,
                grant = &*self.grant,
                reason = reason.as_str(),
                duration_ms = millis(duration),
                "token request succeeded"
            ),
            Err(error) => tracing::warn!(
                source = &*self.source,
                grant = &*self.grant,
                reason = reason.as_str(),
                duration_ms = millis(duration),
                kind = ?error.kind(),
                %error,
                "token request failed"
            ),
        }
        self.tell(|| Event::TokenRequest {
            source: self.source.clone(),
            grant: self.grant.clone(),
            reason,
            outcome,
            duration,
        });
    }

    pub(crate) fn token_refused(&self) {
        #[cfg(feature = "tracing")]
        tracing::info!(source = &*self.source, "an API refused the token");
        self.tell(|| Event::TokenRefused {
            source: self.source.clone(),
        });
    }

    pub(crate) fn scope_narrowed(&self, asked: &str, granted: &str) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            source = &*self.source,
            asked,
            missing = missing_scopes(asked, granted),
            "fewer scopes were granted than asked for"
        );
        self.tell(|| Event::ScopeNarrowed {
            source: self.source.clone(),
            asked: asked.to_owned(),
            granted: granted.to_owned(),
        });
    }

    pub(crate) fn refresh_token_unsaved(&self) {
        #[cfg(feature = "tracing")]
        tracing::error!(
            source = &*self.source,
            "the new refresh token could not be saved; trying again"
        );
        self.tell(|| Event::RefreshTokenUnsaved {
            source: self.source.clone(),
        });
    }

    pub(crate) fn refresh_token_saved(&self) {
        #[cfg(feature = "tracing")]
        tracing::info!(
            source = &*self.source,
            "the new refresh token is saved at last"
        );
        self.tell(|| Event::RefreshTokenSaved {
            source: self.source.clone(),
        });
    }

    pub(crate) fn store_failed(&self, error: &Error) {
        #[cfg(feature = "tracing")]
        tracing::warn!(source = &*self.source, kind = ?error.kind(), %error, "the store failed");
        self.tell(|| Event::StoreFailed {
            source: self.source.clone(),
            error: error.clone(),
        });
    }

    pub(crate) fn record_unreadable(&self, problem: &str) {
        #[cfg(feature = "tracing")]
        tracing::error!(
            source = &*self.source,
            problem,
            "a record of the store cannot be read and counts as absent"
        );
        self.tell(|| Event::RecordUnreadable {
            source: self.source.clone(),
            problem: problem.to_owned(),
        });
    }

    pub(crate) fn revocation_failed(&self, error: &Error) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            source = &*self.source,
            kind = ?error.kind(),
            %error,
            "a token was forgotten and not revoked"
        );
        self.tell(|| Event::RevocationFailed {
            source: self.source.clone(),
            error: error.clone(),
        });
    }

    /// The span of one flight.
    #[cfg(feature = "tracing")]
    pub(crate) fn flight_span(&self, reason: RefreshReason) -> tracing::Span {
        tracing::info_span!(
            "token_refresh",
            source = &*self.source,
            grant = &*self.grant,
            reason = reason.as_str()
        )
    }

    /// A hook that panics must not cost a token: it is called in the midst of a refresh.
    fn tell(&self, event: impl FnOnce() -> Event) {
        if let Some(hook) = &self.hook {
            let event = event();
            let _ = catch_unwind(AssertUnwindSafe(|| hook(&event)));
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Telemetry")
            .field("source", &self.source)
            .field("grant", &self.grant)
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "tracing")]
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
