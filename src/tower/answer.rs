//! The answer of a tower service: its body is watched, where only its end says what came of the token.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Buf;
use http::{Extensions, HeaderMap, Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use pin_project_lite::pin_project;
use reqwest::Url;

use crate::outgoing::door::Answer;
use crate::outgoing::later::Later;
use crate::tower::grpc::{Outcome, code_in};

pin_project! {
    /// The body of an answer that came through a [`BearerTokenLayer`](crate::BearerTokenLayer): the same bytes
    /// and trailers. Where gRPC says in the trailers that it does not know the caller (`UNAUTHENTICATED`), the
    /// token is refused when they pass.
    pub struct AnswerBody<A> {
        #[pin]
        body: A,
        later: Option<Box<Later>>,
    }
}

impl<A> AnswerBody<A> {
    pub(super) fn new(body: A) -> Self {
        Self { body, later: None }
    }

    /// The body as the service below made it, which nobody watches any longer.
    #[must_use]
    pub fn into_inner(self) -> A {
        self.body
    }
}

impl<A: Body> Body for AnswerBody<A> {
    type Data = A::Data;
    type Error = A::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<A::Data>, A::Error>>> {
        let own = self.project();
        let polled = own.body.poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
            && let Some(later) = own.later.take()
            && let Some(status) = code_in(trailers)
        {
            later.conclude(&mut Ending {
                status,
                trailers,
                extensions: Extensions::new(),
            });
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl<A> fmt::Debug for AnswerBody<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AnswerBody")
            .field("is_watched", &self.later.is_some())
            .finish_non_exhaustive()
    }
}

impl<A: Body<Data: Send> + Send> Answer for Response<AnswerBody<A>> {
    fn status(&self) -> StatusCode {
        match Outcome::of(self.status(), self.headers()) {
            Outcome::Now(meaning) => meaning,
            Outcome::ByStatus | Outcome::AtItsEnd => self.status(),
        }
    }

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    fn extensions(&self) -> &Extensions {
        self.extensions()
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        self.extensions_mut()
    }

    fn url<'call>(&'call self, requested: &'call Url) -> &'call Url {
        // What follows redirects belongs above the layer.
        requested
    }

    fn is_judged_at_its_end(&mut self, later: impl FnOnce() -> Later) -> bool {
        let is_late = Outcome::of(self.status(), self.headers()) == Outcome::AtItsEnd;
        if is_late {
            self.body_mut().later = Some(Box::new(later()));
        }
        is_late
    }

    async fn read_to_end(self, most: usize) {
        let mut body = Box::pin(self.into_body());
        let mut bytes = 0;
        while let Some(Ok(frame)) = body.frame().await {
            bytes += frame.data_ref().map_or(0, Buf::remaining);
            if bytes > most {
                return;
            }
        }
    }
}

/// The trailers of an answer whose beginning is its caller's already.
struct Ending<'call> {
    status: StatusCode,
    trailers: &'call HeaderMap,
    /// What would be told to the caller, and is read here alone.
    extensions: Extensions,
}

impl Answer for Ending<'_> {
    fn status(&self) -> StatusCode {
        self.status
    }

    fn headers(&self) -> &HeaderMap {
        self.trailers
    }

    fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    fn url<'call>(&'call self, requested: &'call Url) -> &'call Url {
        requested
    }

    async fn read_to_end(self, _most: usize) {}
}
