//! The settings of exchanged tokens.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, StatusCode};

use crate::api_answer::ApiAnswer;
#[cfg(any(test, feature = "test-util"))]
use crate::clock::TestClock;
use crate::error::Error;
use crate::exchanged::ExchangedTokens;
use crate::expiry_margin::ExpiryMargin;
use crate::grant::TokenExchange;
use crate::source::builder::TokenSourceBuilder;
use crate::telemetry::Event;
use crate::timeouts::Timeouts;

/// Makes [`ExchangedTokens`]; every setting has a default. They mean what those of a
/// [`TokenSourceBuilder`] mean.
#[must_use = "a builder makes nothing until `build` is called"]
pub struct ExchangedTokensBuilder(pub(super) TokenSourceBuilder);

impl ExchangedTokensBuilder {
    pub(super) fn new(exchange: TokenExchange) -> Self {
        Self(TokenSourceBuilder::for_callers(Arc::new(exchange)))
    }

    /// What events and log lines call them. Default: the name of the grant, `token_exchange` or
    /// `on_behalf_of`.
    pub fn name(self, name: impl Into<String>) -> Self {
        Self(self.0.name(name))
    }

    /// How many exchanged tokens are kept ready, of all callers and for all scopes, resources, audiences and
    /// parameters; the least recently used go first, and are exchanged anew when their callers come back.
    /// Default: 10,000.
    pub fn cache_capacity(self, tokens: usize) -> Self {
        Self(self.0.cache_capacity(tokens))
    }

    /// How long before its expiry a token is exchanged anew in the background, while calls go on with it, as
    /// with [`TokenSourceBuilder::refresh_before_expiry`]. One that ends with the token that it was exchanged
    /// for is not. Default: 0.20 of its lifetime, at most 5 minutes.
    #[doc(alias = "refresh_ahead")]
    pub fn refresh_before_expiry(self, margin: ExpiryMargin) -> Self {
        Self(self.0.refresh_before_expiry(margin))
    }

    /// How long before its expiry calls begin to wait, up to 200 ms, for that. Default: 0.05 of its lifetime,
    /// at most 30 s, as with [`TokenSourceBuilder::wait_before_expiry`].
    pub fn wait_before_expiry(self, margin: ExpiryMargin) -> Self {
        Self(self.0.wait_before_expiry(margin))
    }

    /// How long a token request, a refresh and a call that waits for a token may take. Default: 10 s, 30 s
    /// and 30 s.
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        Self(self.0.timeouts(timeouts))
    }

    /// Called with each [`Event`], in the midst of things: it must be quick. Default: none.
    pub fn on_event(self, hook: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        Self(self.0.on_event(hook))
    }

    /// What of an API's answers refuses the token. Default: a 401, unless its challenge says that another
    /// token would not help, as with [`TokenSourceBuilder::refused_when`].
    pub fn refused_when(
        self,
        rule: impl Fn(StatusCode, &HeaderMap) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(self.0.refused_when(rule))
    }

    /// The same where status and headers do not say it: the final URL is seen, too, as with
    /// [`TokenSourceBuilder::refused_when_answered`].
    pub fn refused_when_answered(
        self,
        rule: impl Fn(&ApiAnswer<'_>) -> bool + Send + Sync + 'static,
    ) -> Self {
        Self(self.0.refused_when_answered(rule))
    }

    /// Answers the claims challenge of an API by one more exchange that asks for the claims, and one more
    /// sending, as with [`TokenSourceBuilder::ask_for_demanded_claims`].
    /// Default: no token request; the challenge is in the extensions of the API's answer.
    pub fn ask_for_demanded_claims(self) -> Self {
        Self(self.0.ask_for_demanded_claims())
    }

    /// Takes time and timers from a clock that a test sets. Default: the machine's.
    #[cfg(any(test, feature = "test-util"))]
    pub fn clock(self, clock: &TestClock) -> Self {
        Self(self.0.clock(clock))
    }

    /// Takes this number, from 0 to 1, for each draw of the jitter. Default: another random number each time.
    #[cfg(any(test, feature = "test-util"))]
    pub fn jitter(self, draw: f64) -> Self {
        Self(self.0.jitter(draw))
    }

    /// Makes the tokens' source. Asks nobody: a server that is down is no reason to fail here.
    ///
    /// # Errors
    /// A setting that cannot work; the message says which, and how to mend it.
    pub fn build(self) -> Result<ExchangedTokens, Error> {
        self.0.handle().map(ExchangedTokens::from_handle)
    }
}

impl fmt::Debug for ExchangedTokensBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ExchangedTokensBuilder")
            .field("source", &self.0)
            .finish_non_exhaustive()
    }
}
