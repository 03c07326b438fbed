//! How long before its expiry something happens to a token.

use std::time::Duration;

/// How long before its expiry something happens to a token: a share of its lifetime, with a longest time.
///
/// There is no margin that is a time alone: with 5 minutes, a token of 4 minutes would always count as
/// expired.
///
/// ```
/// use std::time::Duration;
/// use reqwest_bearer::ExpiryMargin;
///
/// // a token of 10 minutes: 2 minutes before its end; one of a day: 5 minutes before
/// let margin = ExpiryMargin::of_lifetime(0.20).at_most(Duration::from_secs(5 * 60));
/// ```
#[doc(alias = "leeway")]
#[doc(alias = "clock_skew")]
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExpiryMargin {
    pub(crate) share: f64,
    pub(crate) longest: Duration,
}

impl ExpiryMargin {
    /// This share of the token's lifetime: at least 0 and below 0.5, since more would leave too little of
    /// it. Anything else is an error when the source is built.
    #[must_use]
    pub const fn of_lifetime(share: f64) -> Self {
        Self {
            share,
            longest: Duration::MAX,
        }
    }

    /// The same, and never longer than this. Default: as long as the share says.
    #[must_use]
    pub const fn at_most(self, longest: Duration) -> Self {
        Self { longest, ..self }
    }

    pub(crate) fn of(self, lifetime: Duration) -> Duration {
        lifetime.mul_f64(self.share).min(self.longest)
    }
}
