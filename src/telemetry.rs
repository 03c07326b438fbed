//! What the crate tells the outside: one function for each event, and for each thing that is measured.
//!
//! No subject and no secret goes through here.

mod event;
mod labels;
#[cfg(feature = "metrics")]
mod metrics;
mod unsaved;
mod wait;

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

pub use crate::telemetry::event::{Event, RefreshReason};
#[cfg(feature = "metrics")]
pub use crate::telemetry::metrics::describe_metrics;

pub(crate) use crate::telemetry::labels::{BreakerScope, StoreCall};
pub(crate) use crate::telemetry::unsaved::UnsavedToken;
pub(crate) use crate::telemetry::wait::{Awaited, Wait};

use crate::clock_skew::ClockSkew;
use crate::error::{Error, ErrorKind};
#[cfg(feature = "tracing")]
use crate::scope;

pub(crate) type Hook = Arc<dyn Fn(&Event) + Send + Sync>;

/// Tells events to the hook, and to `tracing` and `metrics` with those features.
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
            // With a hundred thousand users they would be the log.
            Ok(()) => tracing::debug!(
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
        #[cfg(feature = "metrics")]
        metrics::token_request(
            self,
            reason,
            outcome.as_ref().err().map(Error::kind),
            duration,
        );
        self.tell(|| Event::TokenRequest {
            source: self.source.clone(),
            grant: self.grant.clone(),
            reason,
            outcome,
            duration,
        });
    }

    /// `client` is the named client whose request it was, if it was one's.
    #[cfg_attr(
        not(feature = "metrics"),
        expect(unused_variables, reason = "only metrics are told of the client")
    )]
    pub(crate) fn token_refused(&self, client: Option<&Arc<str>>) {
        #[cfg(feature = "tracing")]
        tracing::info!(source = &*self.source, "an API refused the token");
        #[cfg(feature = "metrics")]
        metrics::token_refused(self, client);
        self.tell(|| Event::TokenRefused {
            source: self.source.clone(),
        });
    }

    pub(crate) fn scope_narrowed(&self, asked: &str, granted: &str) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            source = &*self.source,
            asked,
            missing = scope::missing(asked, granted).join(" "),
            "fewer scopes were granted than asked for"
        );
        self.tell(|| Event::ScopeNarrowed {
            source: self.source.clone(),
            asked: asked.to_owned(),
            granted: granted.to_owned(),
        });
    }

    pub(crate) fn bearer_instead_of_dpop(&self) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            source = &*self.source,
            "a bearer token came although a DPoP proof went along"
        );
        self.tell(|| Event::BearerInsteadOfDpop {
            source: self.source.clone(),
        });
    }

    /// `error` is the hook's; a store's has been told already.
    pub(crate) fn refresh_token_unsaved(&self, error: Option<&Error>) {
        // Without the hook's own text, which is in the event: it may be a database's, with values in it.
        #[cfg(feature = "tracing")]
        tracing::error!(
            source = &*self.source,
            error = error.map(tracing::field::display),
            "the new refresh token could not be saved; trying again"
        );
        self.tell(|| Event::RefreshTokenUnsaved {
            source: self.source.clone(),
            error: error.cloned(),
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

    pub(crate) fn no_revocation_endpoint(&self) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            source = &*self.source,
            "tokens were forgotten and not revoked: no revocation endpoint is known"
        );
        self.tell(|| Event::NoRevocationEndpoint {
            source: self.source.clone(),
        });
    }

    pub(crate) fn signing_key_unreadable(&self, error: &Error) {
        #[cfg(feature = "tracing")]
        tracing::error!(
            source = &*self.source,
            %error,
            "the file of the signing key is of no use; the key before signs in its place"
        );
        self.tell(|| Event::SigningKeyUnreadable {
            source: self.source.clone(),
            error: error.clone(),
        });
    }

    #[cfg(feature = "mtls")]
    pub(crate) fn client_certificate_unreadable(&self, error: &Error) {
        #[cfg(feature = "tracing")]
        tracing::error!(
            source = &*self.source,
            %error,
            "the files of the client certificate are of no use; the one before is presented in its place"
        );
        self.tell(|| Event::ClientCertificateUnreadable {
            source: self.source.clone(),
            error: error.clone(),
        });
    }

    pub(crate) fn no_dpop_nonce(&self, error: &Error) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            source = &*self.source,
            kind = ?error.kind(),
            %error,
            "no DPoP nonce was to be had before the token request"
        );
        self.tell(|| Event::NoDpopNonce {
            source: self.source.clone(),
            error: error.clone(),
        });
    }

    pub(crate) fn refresh_token_refused_with_nonce(&self, error: &Error) {
        #[cfg(feature = "tracing")]
        tracing::error!(
            source = &*self.source,
            %error,
            "the refresh token was refused when it was sent again with the nonce that the server wanted"
        );
        self.tell(|| Event::RefreshTokenRefusedWithNonce {
            source: self.source.clone(),
            error: error.clone(),
        });
    }

    pub(crate) fn clock_skew(&self, skew: &ClockSkew) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            source = &*self.source,
            server = &*skew.server,
            seconds_ahead = skew.seconds_ahead,
            is_followed = skew.is_followed,
            "the clock of a server differs from this machine's, and refuses what is signed by this one"
        );
        self.tell(|| Event::ClockSkew {
            source: self.source.clone(),
            server: skew.server.clone(),
            seconds_ahead: skew.seconds_ahead,
            is_followed: skew.is_followed,
        });
    }

    /// A refresh has ended without a token. Its attempts have been told one by one.
    #[cfg_attr(
        not(feature = "metrics"),
        expect(unused_variables, reason = "only metrics are told")
    )]
    pub(crate) fn refresh_failed(&self, reason: RefreshReason, error: ErrorKind) {
        #[cfg(feature = "metrics")]
        metrics::refresh_failed(self, reason, error);
    }

    #[cfg_attr(
        not(feature = "metrics"),
        expect(unused_variables, reason = "only metrics are told")
    )]
    fn waited(&self, awaited: Awaited<'_>, outcome: &'static str, duration: Duration) {
        #[cfg(feature = "metrics")]
        match awaited {
            Awaited::Token { client } => metrics::token_wait(self, client, outcome, duration),
            Awaited::Lease => metrics::lease_wait(self, outcome, duration),
        }
    }

    /// A store was asked. That it failed has been told by [`store_failed`](Self::store_failed).
    #[cfg_attr(
        not(feature = "metrics"),
        expect(unused_variables, reason = "only metrics are told")
    )]
    pub(crate) fn store_called(
        &self,
        call: StoreCall,
        error: Option<ErrorKind>,
        duration: Duration,
    ) {
        #[cfg(feature = "metrics")]
        metrics::store_call(self, call, error, duration);
    }

    #[cfg_attr(
        not(feature = "metrics"),
        expect(unused_variables, reason = "only metrics are told")
    )]
    fn unsaved_changes_by(&self, by: f64) {
        #[cfg(feature = "metrics")]
        metrics::unsaved(self, by);
    }

    /// A failed attempt of this source has opened a breaker.
    #[cfg_attr(
        not(any(feature = "metrics", feature = "tracing")),
        expect(unused_variables, reason = "only metrics and events are told")
    )]
    pub(crate) fn breaker_opened(&self, scope: BreakerScope) {
        #[cfg(feature = "tracing")]
        tracing::warn!(
            source = &*self.source,
            scope = scope.as_str(),
            "the authorization server is left alone, since it fails for several in a row"
        );
        #[cfg(feature = "metrics")]
        metrics::breakers_open(self, scope, 1.0);
    }

    /// A breaker that this source has opened is closed, by whatever source's attempt; or it is gone with the
    /// last client of the server.
    #[cfg_attr(
        not(any(feature = "metrics", feature = "tracing")),
        expect(unused_variables, reason = "only metrics and events are told")
    )]
    pub(crate) fn breaker_closed(&self, scope: BreakerScope) {
        #[cfg(feature = "tracing")]
        tracing::info!(
            source = &*self.source,
            scope = scope.as_str(),
            "the authorization server is asked again"
        );
        #[cfg(feature = "metrics")]
        metrics::breakers_open(self, scope, -1.0);
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
