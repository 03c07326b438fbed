//! The door of the middleware: what is below it in its chain sends.

use std::time::Duration;

use http::{Extensions, HeaderMap, Method, StatusCode};
use reqwest::{Request, Response, Url};
use reqwest_middleware::{Error as ChainError, Next, Result as Chain};

use crate::error::Error;
use crate::outgoing::door::{Answer, Door, Kept, Outbound};
use crate::path::InvalidPath;

/// The rest of the chain, and what came with the request.
pub(super) struct ChainDoor<'call, 'chain> {
    pub(super) next: Next<'chain>,
    pub(super) extensions: &'call mut Extensions,
}

/// What is kept of a request while it is away.
pub(super) enum KeptRequest {
    /// All of it: it can be sent again.
    Copy(Request),
    /// Its body can be read once only.
    Address(Url),
}

impl Door for ChainDoor<'_, '_> {
    type Request = Request;
    type Kept = KeptRequest;
    type Answer = Response;
    type Error = ChainError;

    #[inline]
    fn extensions(&self) -> &Extensions {
        self.extensions
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions
    }

    #[inline]
    fn check(&self, request: &Request) -> Result<(), Error> {
        if !request.url().scheme().starts_with("http")
            && let Some(InvalidPath(error)) = self.extensions.get()
        {
            return Err(error.clone());
        }
        Ok(())
    }

    #[inline]
    fn keep(&self, request: &Request) -> KeptRequest {
        match request.try_clone() {
            Some(copy) => KeptRequest::Copy(copy),
            None => KeptRequest::Address(request.url().clone()),
        }
    }

    #[inline]
    fn send(&mut self, request: Request) -> impl Future<Output = Chain<Response>> + Send {
        self.next.clone().run(request, self.extensions)
    }

    fn failed(error: Error) -> ChainError {
        error.into_middleware()
    }
}

impl Outbound for Request {
    #[inline]
    fn url(&self) -> &Url {
        self.url()
    }

    fn method(&self) -> &Method {
        self.method()
    }

    #[inline]
    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    #[inline]
    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers_mut()
    }

    #[inline]
    fn timeout(&self) -> Option<Duration> {
        self.timeout().copied()
    }

    fn set_timeout(&mut self, left: Duration) {
        *self.timeout_mut() = Some(left);
    }
}

impl Kept for KeptRequest {
    type Request = Request;

    #[inline]
    fn url(&self) -> &Url {
        match self {
            Self::Copy(request) => request.url(),
            Self::Address(url) => url,
        }
    }

    fn is_whole(&self) -> bool {
        matches!(self, Self::Copy(_))
    }

    fn again(&self) -> Option<Request> {
        match self {
            Self::Copy(request) => request.try_clone(),
            Self::Address(_) => None,
        }
    }
}

impl Answer for Response {
    #[inline]
    fn status(&self) -> StatusCode {
        self.status()
    }

    #[inline]
    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }

    #[inline]
    fn url<'call>(&'call self, requested: &'call Url) -> &'call Url {
        if self.url() == requested || is_without_url(self) {
            requested
        } else {
            self.url()
        }
    }

    async fn read_to_end(mut self, most: usize) {
        let mut bytes = 0;
        while let Ok(Some(chunk)) = self.chunk().await {
            bytes += chunk.len();
            if bytes > most {
                return;
            }
        }
    }
}

/// Whether somebody between us and the socket has made the answer anew, as middleware does that
/// reads bodies: reqwest has this placeholder for the URL of an answer that was not told its own.
fn is_without_url(response: &Response) -> bool {
    response.url().host_str() == Some("no.url.provided.local")
}
