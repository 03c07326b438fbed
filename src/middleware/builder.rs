//! The settings of a middleware: where its tokens may go.

use std::fmt;

use crate::destinations::{Destinations, Elsewhere};
use crate::error::Error;
use crate::middleware::BearerTokenMiddleware;
use crate::source::handle::Handle;

/// Makes a [`BearerTokenMiddleware`].
#[must_use = "a builder makes nothing until `build` is called"]
#[derive(Clone)]
pub struct BearerTokenMiddlewareBuilder {
    tokens: Handle,
    origins: Vec<String>,
    any_origin: bool,
    elsewhere: Elsewhere,
    insecure_http: bool,
    ended_session_is_error: bool,
}

impl BearerTokenMiddlewareBuilder {
    pub(crate) fn new(tokens: Handle) -> Self {
        Self {
            tokens,
            origins: Vec::new(),
            any_origin: false,
            elsewhere: Elsewhere::Refused,
            insecure_http: false,
            ended_session_is_error: false,
        }
    }

    /// Adds an origin that tokens may be sent to: scheme, host and port, such as
    /// `https://api.example.com`. Default: none; at least one has to be named.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.origins.push(origin.into());
        self
    }

    /// Lets the token go to any https or loopback origin that a request names. Default: only to
    /// the origins that were added.
    pub fn any_origin(mut self) -> Self {
        self.any_origin = true;
        self
    }

    /// Sends requests to other origins without a token. Default: they fail with
    /// [`OriginNotAllowed`](crate::ErrorKind::OriginNotAllowed) before anything is sent.
    pub fn elsewhere_without_token(mut self) -> Self {
        self.elsewhere = Elsewhere::WithoutToken;
        self
    }

    /// Lets the token travel by plain http, where everybody on the way can read it and use it.
    /// Default: https, or http to this machine.
    pub fn allow_insecure_http(mut self) -> Self {
        self.insecure_http = true;
        self
    }

    /// Turns a 401 that could not be healed because the user has to sign in again into the error that
    /// says so ([`SignInRequired`](crate::ErrorKind::SignInRequired)): a session that is over then shows
    /// itself in one way, whether the API has answered or not. Default: the caller gets the API's own
    /// answer, with that error in its extensions
    /// ([`Error::find_in_response`]).
    pub fn error_on_ended_session(mut self) -> Self {
        self.ended_session_is_error = true;
        self
    }

    /// Makes the middleware.
    ///
    /// # Errors
    /// If no origin was named, or a text is no origin, or one that a token cannot travel to
    /// safely.
    pub fn build(self) -> Result<BearerTokenMiddleware, Error> {
        let origins = (!self.any_origin).then_some(self.origins);
        let destinations = Destinations::new(origins, self.elsewhere, self.insecure_http)?;
        Ok(BearerTokenMiddleware::new(
            self.tokens,
            destinations,
            self.ended_session_is_error,
        ))
    }
}

impl fmt::Debug for BearerTokenMiddlewareBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the origins, which are not yet checked for passwords.
        formatter
            .debug_struct("BearerTokenMiddlewareBuilder")
            .field("source", &self.tokens.name())
            .field("any_origin", &self.any_origin)
            .field("elsewhere", &self.elsewhere)
            .field("insecure_http", &self.insecure_http)
            .finish_non_exhaustive()
    }
}
