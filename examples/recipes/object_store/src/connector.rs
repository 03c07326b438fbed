//! Sends the requests of a store by a named client, which attaches the token and answers a 401.

use async_trait::async_trait;
use http::header::AUTHORIZATION;
use http_body_util::BodyExt;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService,
};
use reqwest_bearer::NamedClient;
use reqwest_bearer::reqwest::{self, Body, Request};
use reqwest_bearer::reqwest_middleware::{self, ClientWithMiddleware};

/// For `with_http_connector` of any store that is given bearer tokens. The origin of the client has to be
/// that of the store.
///
/// Timeouts, proxy and TLS are those of the client's `reqwest::ClientBuilder`, not of `ClientOptions`.
#[derive(Debug)]
pub struct NamedClientConnector(NamedClient);

impl NamedClientConnector {
    /// By this client.
    pub fn new(client: NamedClient) -> Self {
        Self(client)
    }
}

impl HttpConnector for NamedClientConnector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service(self.0.inner().clone())))
    }
}

#[derive(Debug)]
struct Service(ClientWithMiddleware);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (mut parts, body) = request.into_parts();
        // The store's own, which the client would leave alone. (Google's store asks its credentials for each
        // upload, also where it is told to skip them.)
        parts.headers.remove(AUTHORIZATION);
        // In one piece, so that it can be sent once more. One that came in several is copied for it.
        let body = body.collect().await?.to_bytes();
        let request = Request::try_from(http::Request::from_parts(parts, body));
        let request = request.map_err(|error| HttpError::new(HttpErrorKind::Unknown, error))?;
        let answer = self.0.execute(request).await.map_err(error)?;
        let (parts, body) = http::Response::<Body>::from(answer).into_parts();
        let body = HttpResponseBody::new(body.map_err(of_reqwest));
        Ok(HttpResponse::from_parts(parts, body))
    }
}

fn error(error: reqwest_middleware::Error) -> HttpError {
    match error {
        reqwest_middleware::Error::Reqwest(error) => of_reqwest(error),
        // Not retried by the store: while there is no token each attempt gets the same error, at once.
        // `reqwest_bearer::Error::find_in` finds ours below it.
        error @ reqwest_middleware::Error::Middleware(_) => {
            HttpError::new(HttpErrorKind::Unknown, error)
        }
    }
}

fn of_reqwest(error: reqwest::Error) -> HttpError {
    let kind = match &error {
        error if error.is_timeout() => HttpErrorKind::Timeout,
        error if error.is_connect() => HttpErrorKind::Connect,
        error if error.is_decode() => HttpErrorKind::Decode,
        error if error.is_redirect() | error.is_builder() => HttpErrorKind::Unknown,
        _ => HttpErrorKind::Interrupted,
    };
    HttpError::new(kind, error.without_url())
}
