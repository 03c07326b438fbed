//! How long a call waits, and how long a refresh may take.

use std::time::Duration;

use crate::error::Error;

/// How long things may take: everything about a token that has a limit, in one place.
///
/// | what | limit | default |
/// |---|---|---|
/// | one token request | [`attempt`](Self::attempt) | 10 s |
/// | one refresh, with its repetitions | [`refresh`](Self::refresh) | 30 s |
/// | a call that waits for a token | [`wait`](Self::wait) | 30 s |
/// | the whole of one API call: wait, sending and sending again | `timeout` of its request | none |
///
/// A call whose wait ends gets an error; the refresh goes on behind it and serves the next call. So with
/// the defaults, a server that hangs is asked three times, 10 s each, and a call that came with the first
/// of them is told after 30 s.
///
/// ```
/// # fn build(grant: impl reqwest_bearer::Grant) -> Result<(), reqwest_bearer::Error> {
/// use std::time::Duration;
/// use reqwest_bearer::{Timeouts, TokenSource};
///
/// let source = TokenSource::builder(grant)
///     .timeouts(Timeouts::new().wait(Duration::from_secs(5)))
///     .build()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    pub(crate) attempt: Duration,
    pub(crate) refresh: Duration,
    pub(crate) wait: Duration,
}

impl Timeouts {
    /// The defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            attempt: Duration::from_secs(10),
            refresh: Duration::from_secs(30),
            wait: Duration::from_secs(30),
        }
    }

    /// How long one token request may take. A [`TokenEndpoint`](crate::TokenEndpoint) bounds each of its
    /// requests too, also those that no source makes, such as a revocation
    /// ([`attempt_timeout`](crate::TokenEndpointBuilder::attempt_timeout)); the shorter one counts.
    /// Default: 10 s, as there.
    #[must_use]
    pub const fn attempt(self, timeout: Duration) -> Self {
        Self {
            attempt: timeout,
            ..self
        }
    }

    /// How long one refresh may take, repetitions included, queues not. Default: 30 s.
    #[must_use]
    pub const fn refresh(self, timeout: Duration) -> Self {
        Self {
            refresh: timeout,
            ..self
        }
    }

    /// How long a call waits for a token. A timeout of the request itself bounds it too. Default: 30 s.
    #[must_use]
    pub const fn wait(self, timeout: Duration) -> Self {
        Self {
            wait: timeout,
            ..self
        }
    }

    /// # Errors
    /// If one of them is zero.
    pub(crate) fn check(&self) -> Result<(), Error> {
        for (name, setting, duration) in [
            ("attempt", "timeouts.attempt", self.attempt),
            ("refresh", "timeouts.refresh", self.refresh),
            ("wait", "timeouts.wait", self.wait),
        ] {
            if duration.is_zero() {
                return Err(Error::settings(format!(
                    "the timeout `{name}` is zero, which cannot work; give it a duration"
                ))
                .of_setting(setting));
            }
        }
        Ok(())
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::new()
    }
}
