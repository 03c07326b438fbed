//! An answer of an API as a rule sees it that says what refuses a token.

use std::fmt;

use http::{HeaderMap, StatusCode};
use reqwest::Url;

use crate::origin::same_origin;
use crate::token::TokenType;

/// What an API answered, and where: what a rule of
/// [`refused_when_answered`](crate::TokenSourceBuilder::refused_when_answered) is given.
///
/// Its `Debug` output shows the status and the origins, since headers, paths and queries may hold keys.
#[derive(Clone, Copy)]
pub struct ApiAnswer<'call> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'call HeaderMap,
    pub(crate) url: &'call Url,
    pub(crate) requested: &'call Url,
    /// That of the token that was sent.
    pub(crate) token_type: TokenType,
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

impl fmt::Debug for ApiAnswer<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = |url: &Url| url.origin().ascii_serialization();
        formatter
            .debug_struct("ApiAnswer")
            .field("status", &self.status.as_u16())
            .field("origin", &origin(self.url))
            .field("requested_origin", &origin(self.requested))
            .finish_non_exhaustive()
    }
}
