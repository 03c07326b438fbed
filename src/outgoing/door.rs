//! What a door brings: its requests, what it keeps of one, how it sends, and its answers.
//!
//! The middleware is one (`middleware/chain.rs`), the tower layer another (`tower/door.rs`). What is done with
//! a request is the same at both, and is written once, in this room.

use std::time::Duration;

use http::{Extensions, HeaderMap, Method, StatusCode};
use reqwest::Url;

use crate::error::Error;
use crate::outgoing::later::Later;

/// The way out of a program that a request takes, for one request.
pub(crate) trait Door: Send {
    type Request: Outbound;
    type Kept: Kept<Request = Self::Request>;
    type Answer: Answer;
    type Error: Send;

    /// What came with the request: for whom it is, and how it wants its token.
    fn extensions(&self) -> &Extensions;

    fn extensions_mut(&mut self) -> &mut Extensions;

    /// # Errors
    /// If the request is none that can be sent.
    #[inline]
    fn check(&self, request: &Self::Request) -> Result<(), Error> {
        let _ = request;
        Ok(())
    }

    /// What a second sending can be made of.
    fn keep(&self, request: &Self::Request) -> Self::Kept;

    /// Sends the request by what is below.
    ///
    /// # Errors
    /// Those of what is below, untouched.
    fn send(
        &mut self,
        request: Self::Request,
    ) -> impl Future<Output = Result<Self::Answer, Self::Error>> + Send;

    /// Why there is no answer, as this door hands it on.
    fn failed(error: Error) -> Self::Error;
}

/// A request that is to have a token.
pub(crate) trait Outbound: Send {
    fn url(&self) -> &Url;
    fn method(&self) -> &Method;
    fn headers(&self) -> &HeaderMap;
    fn headers_mut(&mut self) -> &mut HeaderMap;

    /// Within which time the caller wants an answer to it.
    fn timeout(&self) -> Option<Duration>;
    fn set_timeout(&mut self, left: Duration);
}

/// What is kept of a request while it is away.
// `Sync`, since it is looked at while a proof is waited for.
pub(crate) trait Kept: Send + Sync {
    type Request: Outbound;

    fn url(&self) -> &Url;

    /// Whether it is known by now that the request can be had again.
    fn is_whole(&self) -> bool;

    /// The request once more, as it was; `None` if its body can be had no second time.
    fn again(&self) -> Option<Self::Request>;
}

/// An answer of an API, or what stands in for one at its end.
pub(crate) trait Answer: Send {
    fn status(&self) -> StatusCode;
    fn headers(&self) -> &HeaderMap;
    fn extensions(&self) -> &Extensions;
    fn extensions_mut(&mut self) -> &mut Extensions;

    /// Where it came from, if `requested` is where the request was sent.
    fn url<'call>(&'call self, requested: &'call Url) -> &'call Url;

    /// Whether only its end says what the API made of the token; then `later` is done there.
    #[inline]
    fn is_judged_at_its_end(&mut self, later: impl FnOnce() -> Later) -> bool {
        let _ = later;
        false
    }

    /// Reads the body to its end, or until `most` bytes are read.
    fn read_to_end(self, most: usize) -> impl Future<Output = ()> + Send;
}
