//! What is wrong with the token, or with the getting of one, in rmcp's words.

use http::header::WWW_AUTHENTICATE;
use http::{HeaderMap, StatusCode};
use reqwest::Response;
use reqwest_bearer::{BearerChallenge, Error, ErrorKind};
use rmcp::transport::streamable_http_client::{
    AuthRequiredError, InsufficientScopeError, StreamableHttpError,
};

/// The errors of the transport that this crate is under.
pub(crate) type McpError = StreamableHttpError<reqwest_middleware::Error>;

/// A challenge without parameters: what rmcp's callers get where no server was asked, and so none has sent
/// one. They begin a sign-in with it as with any other.
const NO_PARAMETERS: &str = "Bearer";

/// The answer again, unless it says that the token will not do.
///
/// # Errors
/// [`AuthRequired`](StreamableHttpError::AuthRequired) or
/// [`InsufficientScope`](StreamableHttpError::InsufficientScope) with the server's challenge. And the reason
/// why there was no other token, where a sign-in would not help: the user is not sent through one because a
/// server is down.
pub(crate) fn judge(response: Response) -> Result<Response, McpError> {
    match response.status() {
        StatusCode::UNAUTHORIZED => unauthorized(response),
        StatusCode::FORBIDDEN => forbidden(response),
        _ => Ok(response),
    }
}

fn unauthorized(response: Response) -> Result<Response, McpError> {
    let reason = Error::find_in_response(&response);
    if let Some(reason) = reason.filter(|reason| !is_mended_by_sign_in(reason)) {
        return Err(of_middleware(reason.clone()));
    }
    match challenge(response.headers())? {
        Some(challenge) => Err(auth_required(challenge)),
        None if reason.is_some() => Err(auth_required(NO_PARAMETERS.to_owned())),
        // rmcp keeps the status of a 401 that says nothing, and so does what reads the answer.
        None => Ok(response),
    }
}

fn forbidden(response: Response) -> Result<Response, McpError> {
    let Some(challenge) = challenge(response.headers())? else {
        return Ok(response);
    };
    let demanded: Option<&BearerChallenge> = response.extensions().get();
    let scope = demanded.and_then(BearerChallenge::scope).map(str::to_owned);
    let error = InsufficientScopeError::new(challenge, scope);
    Err(StreamableHttpError::InsufficientScope(error))
}

/// What came in place of an answer.
pub(crate) fn of_sending(error: reqwest_middleware::Error) -> McpError {
    match Error::find_in(&error).map(Error::kind) {
        Some(ErrorKind::SignInRequired) => auth_required(NO_PARAMETERS.to_owned()),
        _ => StreamableHttpError::Client(error),
    }
}

/// Whether the user's next sign-in brings a token that will do. `Protocol` is among them, because it is also
/// what the reason is when the authorization server has no other token than the refused one: a constant
/// token, say.
fn is_mended_by_sign_in(reason: &Error) -> bool {
    matches!(
        reason.kind(),
        ErrorKind::SignInRequired | ErrorKind::Protocol
    )
}

/// All challenges of the answer in one line, as RFC 9110 section 5.3 allows: rmcp has room for one, and the
/// one that counts need not be the first.
fn challenge(headers: &HeaderMap) -> Result<Option<String>, McpError> {
    let lines = headers.get_all(WWW_AUTHENTICATE);
    let texts: Vec<&str> = lines.iter().filter_map(|line| line.to_str().ok()).collect();
    if !texts.is_empty() {
        return Ok(Some(texts.join(", ")));
    }
    match lines.iter().next() {
        None => Ok(None),
        Some(_) => Err(StreamableHttpError::UnexpectedServerResponse(
            "invalid www-authenticate header value".into(),
        )),
    }
}

fn auth_required(challenge: String) -> McpError {
    StreamableHttpError::AuthRequired(AuthRequiredError::new(challenge))
}

fn of_middleware(reason: Error) -> McpError {
    StreamableHttpError::Client(reqwest_middleware::Error::middleware(reason))
}
