//! Sends the requests of an `opendal` operator by a named client, which attaches the token and answers a 401.

use futures_util::TryStreamExt;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH};
use http::{Method, Request, Response};
use http_body_util::BodyDataStream;
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport, Result};
use reqwest_bearer::reqwest::{self, Body};
use reqwest_bearer::{NamedClient, reqwest_middleware};

/// For `OperationContext::with_http_transport`, of a service that is told to sign nothing itself
/// (`skip_signature`). The origin of the client has to be that of the service.
pub struct NamedClientTransport(NamedClient);

impl NamedClientTransport {
    /// By this client.
    pub fn new(client: NamedClient) -> Self {
        Self(client)
    }
}

impl HttpTransport for NamedClientTransport {
    async fn fetch(&self, request: Request<Buffer>) -> Result<Response<HttpBody>> {
        let is_head = request.method() == Method::HEAD;
        // In one piece, so that it can be sent once more. One that came in several is copied for it.
        let request = reqwest::Request::try_from(request.map(|body| body.to_bytes()));
        let request = request.map_err(of_reqwest)?;
        let answer = self.0.inner().execute(request).await.map_err(error)?;
        let (parts, body) = Response::<Body>::from(answer).into_parts();
        let is_plain = !is_head && !parts.headers.contains_key(CONTENT_ENCODING);
        let length = parts.headers.get(CONTENT_LENGTH).filter(|_| is_plain);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let pieces = BodyDataStream::new(body);
        let pieces = pieces.map_ok(Buffer::from).map_err(of_reqwest);
        Ok(Response::from_parts(parts, HttpBody::new(pieces, length)))
    }
}

fn error(error: reqwest_middleware::Error) -> Error {
    match error {
        reqwest_middleware::Error::Reqwest(error) => of_reqwest(error),
        reqwest_middleware::Error::Middleware(error) => {
            // Not temporary: while there is no token each attempt gets the same error, at once.
            Error::new(ErrorKind::PermissionDenied, "no token for the request").set_source(error)
        }
    }
}

fn of_reqwest(error: reqwest::Error) -> Error {
    let is_temporary = error.is_request() | error.is_body() | error.is_decode();
    let told = Error::new(ErrorKind::Unexpected, "the request was not answered");
    let told = told.set_source(error.without_url());
    if is_temporary {
        told.set_temporary()
    } else {
        told
    }
}
