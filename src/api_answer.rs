//! An answer of an API as a rule sees it that says what refuses a token.

use http::{HeaderMap, StatusCode};
use reqwest::Url;

use crate::origin::same_origin;

/// What an API answered, and where: what a rule of
/// [`refused_when_answered`](crate::TokenSourceBuilder::refused_when_answered) is given.
#[derive(Clone, Copy, Debug)]
pub struct ApiAnswer<'call> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'call HeaderMap,
    pub(crate) url: &'call Url,
    pub(crate) requested: &'call Url,
}

impl ApiAnswer<'_> {
    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.headers
    }

    /// Where the answer came from: the last URL, where redirects were followed.
    #[must_use]
    pub fn url(&self) -> &Url {
        self.url
    }

    /// Where the request was sent.
    #[must_use]
    pub fn requested_url(&self) -> &Url {
        self.requested
    }

    /// Whether a redirect led to another origin, where the token did not go.
    #[must_use]
    pub fn is_from_elsewhere(&self) -> bool {
        !same_origin(self.url, self.requested)
    }
}
