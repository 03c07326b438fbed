//! The service that a layer makes of another one.

use std::fmt;
use std::future::ready;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use crate::tower::answer::AnswerBody;
use crate::tower::bodies::Bodies;
use crate::tower::door::{ServiceDoor, UrlRequest};
use crate::tower::{BoxError, Shared};

/// A service whose requests have their tokens: made by a [`BearerTokenLayer`](crate::BearerTokenLayer).
///
/// Its errors are those of the service below, boxed, and ours ([`Error::find_in`](crate::Error::find_in)).
pub struct BearerTokenService<S, B> {
    inner: S,
    shared: Arc<Shared>,
    bodies: Bodies<B>,
}

impl<S, B> BearerTokenService<S, B> {
    pub(super) fn new(inner: S, shared: Arc<Shared>, bodies: Bodies<B>) -> Self {
        Self {
            inner,
            shared,
            bodies,
        }
    }
}

/// What a service of tower returns.
type Answering<A> = Pin<Box<dyn Future<Output = Result<Response<AnswerBody<A>>, BoxError>> + Send>>;

impl<S, B, A> Service<Request<B>> for BearerTokenService<S, B>
where
    S: Service<Request<B>, Response = Response<A>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Send + 'static,
    A: Body<Data: Send> + Send + 'static,
{
    type Response = Response<AnswerBody<A>>;
    type Error = BoxError;
    type Future = Answering<A>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: Request<B>) -> Answering<A> {
        // The very one that is ready goes with the request, and its clone is made ready for the next.
        let clone = self.inner.clone();
        let inner = mem::replace(&mut self.inner, clone);
        let shared = Arc::clone(&self.shared);
        let bearer = &shared.bearer;
        let (mut head, body) = request.into_parts();
        let extensions = mem::take(&mut head.extensions);
        if bearer.leaves_alone(&head.headers, extensions.get()) {
            head.extensions = extensions;
            let mut inner = inner;
            let answer = inner.call(Request::from_parts(head, body));
            return Box::pin(
                async move { Ok(answer.await.map_err(Into::into)?.map(AnswerBody::new)) },
            );
        }
        let url = match shared.addresses.url_of(&head.uri) {
            Ok(url) => url,
            Err(error) => return Box::pin(ready(Err(bearer.failed::<ServiceDoor<S, B>>(error)))),
        };
        let (body, again) = self.bodies.begin(body);
        let outbound = UrlRequest {
            request: Request::from_parts(head, body),
            url,
            again,
        };
        let door = ServiceDoor::ready(inner, extensions);
        Box::pin(async move { shared.bearer.carry(outbound, door).await })
    }
}

impl<S: Clone, B> Clone for BearerTokenService<S, B> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            shared: Arc::clone(&self.shared),
            bodies: self.bodies,
        }
    }
}

impl<S, B> fmt::Debug for BearerTokenService<S, B> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the service below, which may show its default headers.
        formatter
            .debug_struct("BearerTokenService")
            .field("bearer", &self.shared.bearer)
            .finish_non_exhaustive()
    }
}
