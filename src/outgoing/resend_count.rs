//! How often a request has been sent before, for the middleware below.

use http::Extensions;

/// How often this request has been sent before the present sending: among the extensions of a request that
/// [`BearerTokenMiddleware`](crate::BearerTokenMiddleware), or a layer of tower, sends again, with another token
/// or another proof, and as long as that sending lasts. A first sending has none, so that it costs nothing.
///
/// It is what OpenTelemetry's semantic conventions call `http.request.resend_count`. Middleware below, such as
/// the one of `reqwest-tracing`, can put it into the span of each sending:
///
/// ```
/// use http::Extensions;
/// use reqwest_bearer::ResendCount;
///
/// fn resend_count(extensions: &Extensions) -> u32 {
///     extensions.get::<ResendCount>().map_or(0, |count| count.get())
/// }
/// # assert_eq!(resend_count(&Extensions::new()), 0);
/// ```
///
/// What retry middleware above repeats is a request of its own, and begins anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResendCount(u32);

impl ResendCount {
    /// 1 for the second sending, and 2 at most: once for another token, and once for another proof (DPoP).
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }

    /// The sending that begins is one after so many.
    pub(super) fn after(sendings: u32, extensions: &mut Extensions) {
        extensions.insert(Self(sendings));
    }

    /// How many sendings there were before the present one.
    pub(super) fn among(extensions: &Extensions) -> u32 {
        extensions.get().map_or(0, |Self(count)| *count)
    }

    /// The sending is over. Retry middleware above may use the same extensions once more.
    pub(super) fn end(extensions: &mut Extensions) {
        extensions.remove::<Self>();
    }
}
