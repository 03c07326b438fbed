//! The door of the layer: the service below it sends.

use std::future::poll_fn;
use std::marker::PhantomData;
use std::mem;
use std::time::Duration;

use http::{Extensions, HeaderMap, Method, Request, Response};
use http_body::Body;
use reqwest::Url;
use tower_service::Service;

use crate::error::Error;
use crate::outgoing::door::{Door, Kept, Outbound};
use crate::tower::BoxError;
use crate::tower::answer::AnswerBody;
use crate::tower::bodies::{Again, KeptBody};
use crate::tower::grpc;

/// The service below, and what came with the request.
pub(super) struct ServiceDoor<S, B> {
    service: S,
    /// Whether it was made ready for the next request.
    is_ready: bool,
    extensions: Extensions,
    requests: PhantomData<fn(B)>,
}

/// A request on its way, without its extensions, and the URL that it goes to.
pub(super) struct UrlRequest<B> {
    pub(super) request: Request<B>,
    pub(super) url: Url,
    pub(super) again: Again<B>,
}

/// What is kept of a request while it is away.
pub(super) struct KeptRequest<B> {
    url: Url,
    /// Its head, and its body if that may be had again.
    copy: Option<(Request<()>, KeptBody<B>)>,
}

impl<S, B> ServiceDoor<S, B> {
    /// A door for one request, of a service that is ready for it.
    pub(super) fn ready(service: S, extensions: Extensions) -> Self {
        Self {
            service,
            is_ready: true,
            extensions,
            requests: PhantomData,
        }
    }
}

impl<S, B, A> Door for ServiceDoor<S, B>
where
    S: Service<Request<B>, Response = Response<A>> + Send,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: Send,
    A: Body<Data: Send> + Send,
{
    type Request = UrlRequest<B>;
    type Kept = KeptRequest<B>;
    type Answer = Response<AnswerBody<A>>;
    type Error = BoxError;

    fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    fn keep(&self, outbound: &UrlRequest<B>) -> KeptRequest<B> {
        let UrlRequest {
            request,
            url,
            again,
        } = outbound;
        KeptRequest {
            url: url.clone(),
            copy: again
                .keep(request.body())
                .map(|body| (head_of(request), body)),
        }
    }

    async fn send(&mut self, outbound: UrlRequest<B>) -> Result<Self::Answer, BoxError> {
        if !mem::take(&mut self.is_ready) {
            let ready = poll_fn(|context| self.service.poll_ready(context));
            ready.await.map_err(Into::into)?;
        }
        let mut request = outbound.request;
        *request.extensions_mut() = self.extensions.clone();
        let response = self.service.call(request).await.map_err(Into::into)?;
        Ok(response.map(AnswerBody::new))
    }

    fn failed(error: Error) -> BoxError {
        error.into()
    }
}

impl<B: Send> Outbound for UrlRequest<B> {
    fn url(&self) -> &Url {
        &self.url
    }

    fn method(&self) -> &Method {
        self.request.method()
    }

    fn headers(&self) -> &HeaderMap {
        self.request.headers()
    }

    fn headers_mut(&mut self) -> &mut HeaderMap {
        self.request.headers_mut()
    }

    fn timeout(&self) -> Option<Duration> {
        grpc::timeout(self.request.headers())
    }

    fn set_timeout(&mut self, left: Duration) {
        grpc::set_timeout(self.request.headers_mut(), left);
    }
}

impl<B: Send> Kept for KeptRequest<B> {
    type Request = UrlRequest<B>;

    fn url(&self) -> &Url {
        &self.url
    }

    fn is_whole(&self) -> bool {
        self.copy.as_ref().is_some_and(|(_, body)| body.is_whole())
    }

    fn again(&self) -> Option<UrlRequest<B>> {
        let (head, body) = self.copy.as_ref()?;
        let (body, again) = body.again()?;
        Some(UrlRequest {
            request: head_of(head).map(|()| body),
            url: self.url.clone(),
            again,
        })
    }
}

/// The same request without its body.
fn head_of<B>(request: &Request<B>) -> Request<()> {
    let mut head = Request::new(());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.version_mut() = request.version();
    *head.headers_mut() = request.headers().clone();
    head
}
