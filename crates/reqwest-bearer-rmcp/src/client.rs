//! The HTTP client below rmcp's streamable HTTP transport.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use futures_util::stream::BoxStream;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderName, HeaderValue, Method};
use reqwest::Response;
use reqwest_bearer::NamedClient;
use reqwest_middleware::{ClientWithMiddleware, RequestBuilder};
use rmcp::model::ClientJsonRpcMessage;
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::common::http_header::{
    EVENT_STREAM_MIME_TYPE, HEADER_LAST_EVENT_ID, HEADER_SESSION_ID, JSON_MIME_TYPE,
};
use rmcp::transport::streamable_http_client::{
    SseError, StreamableHttpClient, StreamableHttpClientTransportConfig, StreamableHttpError,
    StreamableHttpPostResponse, StreamableHttpResponseLimits,
};
use sse_stream::Sse;

use crate::answer::{Posted, deletion, stream};
use crate::events::{Place, TooLarge};
use crate::refusal::{McpError, of_sending};

/// Sends what rmcp's streamable HTTP transport wants sent, with the tokens of a
/// [`NamedClient`](reqwest_bearer::NamedClient), the application's or one user's.
///
/// A client with middleware of one's own will do as well (`From<ClientWithMiddleware>`), if the
/// [`BearerTokenMiddleware`](reqwest_bearer::BearerTokenMiddleware) is in it.
///
/// The transport sends from a task of its own, so that a subject that is set for the caller's task does not
/// get there: give a user's session a client by
/// [`for_subject`](reqwest_bearer::NamedUserClient::for_subject).
///
/// A token that the transport's own settings have (`auth_header`), or an `authorization` among its headers,
/// is the caller's: it is sent as it is, and nothing is refreshed for it.
///
/// Cheap to clone.
#[derive(Clone)]
pub struct McpHttpClient {
    client: ClientWithMiddleware,
    too_large: TooLarge,
}

impl McpHttpClient {
    /// rmcp's transport over this client, with the settings that rmcp has by itself.
    ///
    /// With others it is rmcp's own function:
    ///
    /// ```no_run
    /// # fn transport(client: reqwest_bearer::NamedClient) {
    /// use reqwest_bearer_rmcp::McpHttpClient;
    /// use rmcp::transport::StreamableHttpClientTransport;
    /// use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
    ///
    /// let settings = StreamableHttpClientTransportConfig::with_uri("https://notes.example.com/mcp")
    ///     .max_concurrent_requests(64);
    /// let transport = StreamableHttpClientTransport::with_client(McpHttpClient::from(&client), settings);
    /// # }
    /// ```
    ///
    /// It has to be called inside of a tokio runtime, where it begins a task.
    pub fn transport(self, url: impl Into<Arc<str>>) -> StreamableHttpClientTransport<Self> {
        let settings = StreamableHttpClientTransportConfig::with_uri(url);
        StreamableHttpClientTransport::with_client(self, settings)
    }

    fn request(&self, method: Method, to: &Addressed) -> Result<RequestBuilder, McpError> {
        let mut request = self.client.request(method, to.url.as_ref());
        for (name, value) in &to.headers {
            if is_reserved(name) {
                let name = name.to_string();
                return Err(StreamableHttpError::ReservedHeaderConflict(name));
            }
            request = request.header(name, value);
        }
        if let Some(token) = &to.own_token {
            request = request.bearer_auth(token);
        }
        if let Some(session) = &to.session {
            request = request.header(HEADER_SESSION_ID, session.as_ref());
        }
        Ok(request)
    }
}

impl From<&NamedClient> for McpHttpClient {
    fn from(client: &NamedClient) -> Self {
        client.inner().clone().into()
    }
}

impl From<NamedClient> for McpHttpClient {
    fn from(client: NamedClient) -> Self {
        Self::from(&client)
    }
}

impl From<ClientWithMiddleware> for McpHttpClient {
    fn from(client: ClientWithMiddleware) -> Self {
        Self {
            client,
            too_large: TooLarge::default(),
        }
    }
}

impl fmt::Debug for McpHttpClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the client inside, which shows its default headers: there may be keys among them.
        formatter
            .debug_struct("McpHttpClient")
            .finish_non_exhaustive()
    }
}

impl StreamableHttpClient for McpHttpClient {
    type Error = reqwest_middleware::Error;

    async fn post_message(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<StreamableHttpPostResponse, McpError> {
        let limits = StreamableHttpResponseLimits::default();
        self.post_message_with_response_limits(
            uri,
            message,
            session_id,
            auth_header,
            custom_headers,
            limits,
        )
        .await
    }

    async fn post_message_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        max_sse_event_size: usize,
    ) -> Result<StreamableHttpPostResponse, McpError> {
        let mut limits = StreamableHttpResponseLimits::default();
        limits.max_sse_event_size = max_sse_event_size;
        self.post_message_with_response_limits(
            uri,
            message,
            session_id,
            auth_header,
            custom_headers,
            limits,
        )
        .await
    }

    async fn post_message_with_response_limits(
        &self,
        uri: Arc<str>,
        message: ClientJsonRpcMessage,
        session_id: Option<Arc<str>>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        limits: StreamableHttpResponseLimits,
    ) -> Result<StreamableHttpPostResponse, McpError> {
        let to = Addressed::new(uri, session_id, auth_header, custom_headers);
        let body = serde_json::to_vec(&message)?;
        let request = self
            .request(Method::POST, &to)?
            .header(ACCEPT, accepted())
            .header(CONTENT_TYPE, JSON_MIME_TYPE)
            .body(body);
        let response = send(request).await?;
        let posted = Posted {
            message,
            in_session: to.session.is_some(),
            // Events of a new session have the id that the answer gives it; none before that can be
            // opened anew.
            place: to.place(None),
            limits,
            too_large: self.too_large.clone(),
        };
        posted.answer(response).await
    }

    async fn delete_session(
        &self,
        uri: Arc<str>,
        session_id: Arc<str>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<(), McpError> {
        let to = Addressed::new(uri, Some(session_id), auth_header, custom_headers);
        deletion(send(self.request(Method::DELETE, &to)?).await?)
    }

    async fn get_stream(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, McpError> {
        let largest = StreamableHttpResponseLimits::default().max_sse_event_size;
        self.get_stream_with_max_sse_event_size(
            uri,
            session_id,
            last_event_id,
            auth_header,
            custom_headers,
            largest,
        )
        .await
    }

    async fn get_stream_with_max_sse_event_size(
        &self,
        uri: Arc<str>,
        session_id: Option<Arc<str>>,
        last_event_id: Option<String>,
        auth_header: Option<String>,
        custom_headers: HashMap<HeaderName, HeaderValue>,
        max_sse_event_size: usize,
    ) -> Result<BoxStream<'static, Result<Sse, SseError>>, McpError> {
        let to = Addressed::new(uri, session_id, auth_header, custom_headers);
        let place = to.place(last_event_id.clone());
        if self.too_large.is_at(&place) {
            // Of the errors that end rmcp's attempts, the one that is not about the token.
            return Err(StreamableHttpError::ServerDoesNotSupportSse);
        }
        let mut request = self.request(Method::GET, &to)?.header(ACCEPT, accepted());
        if let Some(id) = last_event_id {
            request = request.header(HEADER_LAST_EVENT_ID, id);
        }
        let response = send(request).await?;
        stream(response, max_sse_event_size, place, self.too_large.clone())
    }
}

/// Where a request goes, and with which headers of rmcp's.
struct Addressed {
    url: Arc<str>,
    session: Option<Arc<str>>,
    own_token: Option<String>,
    headers: HashMap<HeaderName, HeaderValue>,
}

impl Addressed {
    fn new(
        url: Arc<str>,
        session: Option<Arc<str>>,
        own_token: Option<String>,
        headers: HashMap<HeaderName, HeaderValue>,
    ) -> Self {
        // One header is enough; of two the server would take either.
        let own_token = own_token.filter(|_| !headers.contains_key(&AUTHORIZATION));
        Self {
            url,
            session,
            own_token,
            headers,
        }
    }

    fn place(&self, after: Option<String>) -> Place {
        Place {
            session: self.session.clone(),
            after,
        }
    }
}

async fn send(request: RequestBuilder) -> Result<Response, McpError> {
    request.send().await.map_err(of_sending)
}

fn accepted() -> String {
    [EVENT_STREAM_MIME_TYPE, JSON_MIME_TYPE].join(", ")
}

/// Headers that are the transport's own. (The protocol's version is among the custom ones: rmcp puts it
/// there.)
fn is_reserved(name: &HeaderName) -> bool {
    let name = name.as_str();
    let reserved = [ACCEPT.as_str(), HEADER_SESSION_ID, HEADER_LAST_EVENT_ID];
    reserved.iter().any(|own| name.eq_ignore_ascii_case(own))
}
