//! Bodies that can be sent a second time.

use bytes::Buf;
use http_body_util::{Empty, Full};

/// A body of requests that can be had again, so that a request is sent once more when its token is refused.
///
/// `Clone` is no leave for that. The clone of a body may share one stream with it, and then has what the
/// first sending has left of that: nothing, or half (octocrab's `OctoBody`, a body behind an `Arc`). This
/// trait promises the whole.
///
/// For bodies of other crates it cannot be implemented, and need not be: a layer takes a function in its
/// place ([`build_replaying`](crate::BearerTokenLayerBuilder::build_replaying)), records what is sent
/// ([`build_recording`](crate::BearerTokenLayerBuilder::build_recording)), or sends no request twice
/// ([`build_sending_once`](crate::BearerTokenLayerBuilder::build_sending_once)).
///
/// ```
/// use bytes::Bytes;
/// use http_body_util::Full;
/// use reqwest_bearer::Replay;
///
/// let body = Full::new(Bytes::from("an order"));
/// assert!(body.replay().is_some());
/// ```
#[diagnostic::on_unimplemented(
    message = "it is not known whether a body of type `{Self}` can be sent a second time",
    note = "build the layer by `build_recording(Body::new)`, by `build_replaying(Body::try_clone)`, or by \
            `build_sending_once()`"
)]
pub trait Replay: Sized {
    /// The whole body once more; `None` if it can be read once only. It is asked before anything of this
    /// one has been read, for each request: so it should be cheap.
    fn replay(&self) -> Option<Self>;
}

impl<D> Replay for Empty<D> {
    fn replay(&self) -> Option<Self> {
        Some(Self::new())
    }
}

impl<D: Buf + Clone> Replay for Full<D> {
    fn replay(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl Replay for String {
    fn replay(&self) -> Option<Self> {
        Some(self.clone())
    }
}

/// What there is of it is whole.
impl<B: Replay> Replay for Option<B> {
    fn replay(&self) -> Option<Self> {
        match self {
            Some(body) => body.replay().map(Some),
            None => Some(None),
        }
    }
}
