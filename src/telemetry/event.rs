//! What happened, as a service sees it that counts or raises alarms.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::scope;

/// Why a token was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefreshReason {
    /// There was none.
    NoToken,
    /// The present one had reached its soft moment: in the background.
    Soft,
    /// The present one had reached its hard moment.
    Hard,
    /// The present one had expired.
    Expired,
    /// An API had refused the present one.
    Refusal,
    /// An API demanded claims that the present one lacks (`insufficient_claims`).
    Claims,
    /// The caller asked for a new one, or for one that lives longer.
    Caller,
}

impl RefreshReason {
    /// The word that stands for it in log lines, e.g. `soft`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoToken => "none",
            Self::Soft => "soft",
            Self::Hard => "hard",
            Self::Expired => "expired",
            Self::Refusal => "refusal",
            Self::Claims => "claims",
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
/// `Debug` leaves out what is a text of others: which scopes the server granted, and what the hook for
/// new refresh tokens failed with.
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
    /// A proof of a DPoP key went along with a token request, and a bearer token came: whoever steals it can
    /// use it. It is used, since binding was offered only (RFC 9449 section 5).
    #[non_exhaustive]
    BearerInsteadOfDpop {
        /// The name of the token source.
        source: Arc<str>,
    },
    /// The store, or the hook for new refresh tokens, failed to take a new one: it is in memory
    /// only, and is offered again, 1 s to 60 s apart.
    #[non_exhaustive]
    RefreshTokenUnsaved {
        /// The name of the token source.
        source: Arc<str>,
        /// What went wrong with the hook; its own error is the [`source`](std::error::Error::source).
        /// `None` if it was the store, whose error a [`StoreFailed`](Event::StoreFailed) has told.
        error: Option<Error>,
    },
    /// The store, or the hook for new refresh tokens, has taken the newest one after it had failed; or that
    /// one is dead by now, and need not be taken any more.
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
    /// Somebody signed out, and no revocation endpoint is known: the tokens are forgotten, and good
    /// until they expire.
    #[non_exhaustive]
    NoRevocationEndpoint {
        /// The name of the token source.
        source: Arc<str>,
    },
    /// The file of the client's private key (`SigningKeyFile`) is away, half written or wrong. The key
    /// that it had before signs in its place. Told with each token request while that lasts.
    #[non_exhaustive]
    SigningKeyUnreadable {
        /// The name of the token source.
        source: Arc<str>,
        /// What is wrong with the file.
        error: Error,
    },
    /// The files of the client's certificate (`ClientCertificate`) are away, half written, wrong, or do not
    /// belong together. The one before is presented in its place. Told with each token request while that
    /// lasts.
    #[non_exhaustive]
    ClientCertificateUnreadable {
        /// The name of the token source.
        source: Arc<str>,
        /// What is wrong with the files.
        error: Error,
    },
    /// A server has refused a DPoP proof or a client assertion, and the `Date` of its answer shows that this
    /// machine's clock is wrong, or the server's. Up to 15 minutes apart, what is signed for that server is dated by
    /// its clock from now on, the repetition of the request that it refused included; further apart it is not, since
    /// no server may have anything signed for tomorrow, and this is told with each refusal until a clock is set
    /// right. Nothing else is dated so: tokens age by this machine's.
    #[non_exhaustive]
    ClockSkew {
        /// The name of the token source.
        source: Arc<str>,
        /// The origin of the server, such as `https://login.example.com`.
        server: Arc<str>,
        /// By how many seconds the server's clock is ahead; negative if it is behind.
        seconds_ahead: i64,
        /// Whether what is signed for that server is dated by its clock from now on: 900 seconds at most.
        is_followed: bool,
    },
    /// No DPoP nonce of the authorization server was to be had by a request that spends nothing
    /// (`TokenEndpointBuilder::dpop_nonce_first`): the token request has gone out without. Told each time that
    /// it was asked for in vain.
    #[non_exhaustive]
    NoDpopNonce {
        /// The name of the token source.
        source: Arc<str>,
        /// Why there is none.
        error: Error,
    },
    /// The authorization server wanted a DPoP nonce, and refused the refresh token when it was sent again with
    /// that nonce (RFC 9449 section 8): it may be one that spends refresh tokens before it judges the proof, and
    /// has then ended this session. `TokenEndpointBuilder::dpop_nonce_first` is for those. Where another process
    /// has stored another refresh token meanwhile, that one is used.
    #[non_exhaustive]
    RefreshTokenRefusedWithNonce {
        /// The name of the token source.
        source: Arc<str>,
        /// What the server answered.
        error: Error,
    },
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, source) = match self {
            Self::TokenRequest { source, .. } => ("TokenRequest", source),
            Self::TokenRefused { source } => ("TokenRefused", source),
            Self::ScopeNarrowed { source, .. } => ("ScopeNarrowed", source),
            Self::BearerInsteadOfDpop { source } => ("BearerInsteadOfDpop", source),
            Self::RefreshTokenUnsaved { source, .. } => ("RefreshTokenUnsaved", source),
            Self::RefreshTokenSaved { source } => ("RefreshTokenSaved", source),
            Self::StoreFailed { source, .. } => ("StoreFailed", source),
            Self::RecordUnreadable { source, .. } => ("RecordUnreadable", source),
            Self::RevocationFailed { source, .. } => ("RevocationFailed", source),
            Self::NoRevocationEndpoint { source } => ("NoRevocationEndpoint", source),
            Self::SigningKeyUnreadable { source, .. } => ("SigningKeyUnreadable", source),
            Self::ClientCertificateUnreadable { source, .. } => {
                ("ClientCertificateUnreadable", source)
            }
            Self::ClockSkew { source, .. } => ("ClockSkew", source),
            Self::NoDpopNonce { source, .. } => ("NoDpopNonce", source),
            Self::RefreshTokenRefusedWithNonce { source, .. } => {
                ("RefreshTokenRefusedWithNonce", source)
            }
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
            // What is missing is in our own words, and none of the server's.
            Self::ScopeNarrowed { asked, granted, .. } => shown
                .field("asked", asked)
                .field("missing", &scope::missing(asked, granted).join(" ")),
            Self::StoreFailed { error, .. }
            | Self::RevocationFailed { error, .. }
            | Self::SigningKeyUnreadable { error, .. }
            | Self::ClientCertificateUnreadable { error, .. }
            | Self::NoDpopNonce { error, .. }
            | Self::RefreshTokenRefusedWithNonce { error, .. } => shown.field("error", error),
            Self::ClockSkew {
                server,
                seconds_ahead,
                is_followed,
                ..
            } => shown
                .field("server", server)
                .field("seconds_ahead", seconds_ahead)
                .field("is_followed", is_followed),
            Self::RecordUnreadable { problem, .. } => shown.field("problem", problem),
            // Without the hook's own text, which may be a database's, with values in it.
            Self::RefreshTokenUnsaved { error, .. } => {
                shown.field("error", &error.as_ref().map(ToString::to_string))
            }
            Self::TokenRefused { .. }
            | Self::BearerInsteadOfDpop { .. }
            | Self::NoRevocationEndpoint { .. }
            | Self::RefreshTokenSaved { .. } => &mut shown,
        };
        shown.finish()
    }
}
