//! What an MCP server's answer is to rmcp's transport.
//!
//! rmcp reads answers in the `impl` for its own HTTP client, and nowhere else; so this does what that does.
//! `tests/answers.rs` gives both the same answers and compares.

use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use reqwest::Response;
use rmcp::model::{ClientJsonRpcMessage, ServerJsonRpcMessage};
use rmcp::transport::common::http_header::{
    EVENT_STREAM_MIME_TYPE, HEADER_SESSION_ID, JSON_MIME_TYPE,
};
use rmcp::transport::streamable_http_client::{
    HttpStatusError, StreamableHttpError, StreamableHttpPostResponse, StreamableHttpResponseLimits,
};

use crate::body::{Whole, beginning, shortened, unreadable, whole};
use crate::discovery;
use crate::events::{Events, Place, TooLarge, events};
use crate::refusal::{McpError, judge};

/// So much of a body that is no message stands in the error.
const SHOWN: usize = 256;

/// What was posted, as far as the answer depends on it.
pub(crate) struct Posted {
    pub(crate) message: ClientJsonRpcMessage,
    pub(crate) in_session: bool,
    pub(crate) place: Place,
    pub(crate) limits: StreamableHttpResponseLimits,
    pub(crate) too_large: TooLarge,
}

impl Posted {
    /// # Errors
    /// What rmcp's own client gives.
    pub(crate) async fn answer(
        self,
        response: Response,
    ) -> Result<StreamableHttpPostResponse, McpError> {
        let response = judge(response)?;
        let status = response.status();
        if matches!(status, StatusCode::ACCEPTED | StatusCode::NO_CONTENT) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        if status == StatusCode::NOT_FOUND && self.in_session {
            return Err(StreamableHttpError::SessionExpired);
        }
        if !status.is_success() {
            return self.failure(response).await;
        }
        // Some servers answer 200 where the protocol has 202.
        let may_be_empty = !matches!(self.message, ClientJsonRpcMessage::Request(_));
        if may_be_empty && response.content_length() == Some(0) {
            return Ok(StreamableHttpPostResponse::Accepted);
        }
        let session = session(response.headers());
        match Media::of(response.headers()) {
            Media::Events => {
                let largest = self.limits.max_sse_event_size;
                let events = events(response, largest, self.place, self.too_large);
                Ok(StreamableHttpPostResponse::Sse(events, session))
            }
            Media::Json => {
                let limit = self.limits.max_json_response_size;
                match whole(response, limit).await.map_err(of_reqwest)? {
                    Whole::TooLarge => Err(too_large(limit)),
                    Whole::Body(body) => match serde_json::from_slice(&body) {
                        Ok(message) => Ok(StreamableHttpPostResponse::Json(message, session)),
                        Err(_) if may_be_empty => Ok(StreamableHttpPostResponse::Accepted),
                        Err(error) => Err(no_message(&error, &body)),
                    },
                }
            }
            Media::Other(_) if may_be_empty => Ok(StreamableHttpPostResponse::Accepted),
            Media::Other(other) => Err(StreamableHttpError::UnexpectedContentType(other)),
        }
    }

    /// An answer that is no success: an error of the MCP server's, or of what stands before it.
    async fn failure(self, response: Response) -> Result<StreamableHttpPostResponse, McpError> {
        let status = response.status();
        let wait = overloaded(status, response.headers());
        let is_json = matches!(Media::of(response.headers()), Media::Json);
        match wait {
            Some(error) if !is_json || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err(error.into());
            }
            _ => {}
        }
        let limits = self.limits;
        let speaks_of_token = matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN);
        let text = if is_json && !speaks_of_token {
            let session = session(response.headers());
            match whole(response, limits.max_json_response_size).await {
                Ok(Whole::TooLarge) => {
                    let too_large = too_large(limits.max_json_response_size);
                    return Err(wait.map_or(too_large, StreamableHttpError::from));
                }
                Ok(Whole::Body(body)) => {
                    let text = String::from_utf8_lossy(&body);
                    if let Ok(error @ ServerJsonRpcMessage::Error(_)) = serde_json::from_str(&text)
                    {
                        let refused =
                            discovery::refused(&self.message, self.in_session, status, &text);
                        let answer = StreamableHttpPostResponse::Json(error, session);
                        return Ok(refused.unwrap_or(answer));
                    }
                    let shown = shortened(&body, limits.max_error_response_size);
                    String::from_utf8_lossy(shown).into_owned()
                }
                Err(_) => unreadable(limits.max_error_response_size),
            }
        } else {
            beginning(response, limits.max_error_response_size).await
        };
        if let Some(refused) = discovery::refused(&self.message, self.in_session, status, &text) {
            return Ok(refused);
        }
        Err(match wait {
            Some(error) => error.into(),
            None => unexpected(format!("HTTP {status}: {text}")),
        })
    }
}

/// The events of a stream that was asked for by GET.
///
/// # Errors
/// What rmcp's own client gives.
pub(crate) fn stream(
    response: Response,
    largest: usize,
    place: Place,
    too_large: TooLarge,
) -> Result<Events, McpError> {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        return Err(StreamableHttpError::ServerDoesNotSupportSse);
    }
    let response = judge(response)?;
    if let Some(error) = overloaded(response.status(), response.headers()) {
        return Err(error.into());
    }
    let response = response.error_for_status().map_err(of_reqwest)?;
    match Media::of(response.headers()) {
        Media::Events | Media::Json => Ok(events(response, largest, place, too_large)),
        Media::Other(other) => Err(StreamableHttpError::UnexpectedContentType(other)),
    }
}

/// Whether the MCP session is gone.
///
/// # Errors
/// What rmcp's own client gives, and in rmcp's words that a token will not do.
pub(crate) fn deletion(response: Response) -> Result<(), McpError> {
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        return Ok(());
    }
    let response = judge(response)?;
    response.error_for_status().map_err(of_reqwest)?;
    Ok(())
}

/// What a body is, by its `Content-Type` without parameters.
enum Media {
    Events,
    Json,
    Other(Option<String>),
}

impl Media {
    fn of(headers: &HeaderMap) -> Self {
        let Some(value) = headers.get(CONTENT_TYPE) else {
            return Self::Other(None);
        };
        let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
        let essence = text.split(';').next().unwrap_or_default();
        let essence = essence.trim_matches([' ', '\t']);
        if essence.eq_ignore_ascii_case(EVENT_STREAM_MIME_TYPE) {
            Self::Events
        } else if essence.eq_ignore_ascii_case(JSON_MIME_TYPE) {
            Self::Json
        } else {
            Self::Other(Some(text))
        }
    }
}

fn session(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(HEADER_SESSION_ID)?;
    value.to_str().ok().map(str::to_owned)
}

/// 429 and 5xx, with what the server says of the time to wait.
fn overloaded(status: StatusCode, headers: &HeaderMap) -> Option<HttpStatusError> {
    if status != StatusCode::TOO_MANY_REQUESTS && !status.is_server_error() {
        return None;
    }
    let wait = headers.get(RETRY_AFTER);
    let wait = wait.and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
    Some(HttpStatusError::new(
        status.as_u16(),
        wait.map(str::to_owned),
    ))
}

fn no_message(error: &serde_json::Error, body: &[u8]) -> McpError {
    let text = String::from_utf8_lossy(body);
    let mut end = text.len().min(SHOWN);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let shown = if body.is_empty() {
        "<empty>"
    } else {
        &text[..end]
    };
    unexpected(format!(
        "could not parse JSON response as ServerJsonRpcMessage: {error}: {shown}"
    ))
}

fn unexpected(text: String) -> McpError {
    StreamableHttpError::UnexpectedServerResponse(text.into())
}

fn too_large(max_size: usize) -> McpError {
    StreamableHttpError::ResponseBodyTooLarge { max_size }
}

fn of_reqwest(error: reqwest::Error) -> McpError {
    StreamableHttpError::Client(error.into())
}
