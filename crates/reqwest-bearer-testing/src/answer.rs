//! What a fake server answers when a test tells it to.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};

/// What a fake server answers in place of what it would.
///
/// ```
/// use std::time::Duration;
/// use reqwest_bearer_testing::Answer;
///
/// let refusal = Answer::oauth_error("invalid_grant");
/// let outage = Answer::new(503).retry_after(Duration::from_secs(30));
/// let odd = Answer::new(200).body("<html>Please sign in</html>");
/// ```
#[derive(Clone)]
pub struct Answer(pub(crate) Kind);

#[derive(Clone)]
pub(crate) enum Kind {
    AsUsual,
    Whole(Whole),
    Never,
    Cut,
    Lost,
}

#[derive(Clone, Default)]
pub(crate) struct Whole {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Answer {
    /// What the server answers when a test tells it nothing.
    #[must_use]
    pub fn as_usual() -> Self {
        Self(Kind::AsUsual)
    }

    /// An answer with this status and an empty body. A number that is no status counts as 500.
    #[must_use]
    pub fn new(status: u16) -> Self {
        Self(Kind::Whole(Whole::new(status)))
    }

    /// A refusal of the token endpoint (RFC 6749 section 5.2): 401 for `invalid_client`, 400 for every
    /// other code.
    #[must_use]
    pub fn oauth_error(code: &str) -> Self {
        Self(Kind::Whole(Whole::oauth_error(code)))
    }

    /// A refusal of an API (RFC 6750 section 3): 401 with `error="…"` in its challenge, 403 for
    /// `insufficient_scope`.
    #[must_use]
    pub fn refused_token(error: &str) -> Self {
        let status = if error == "insufficient_scope" {
            403
        } else {
            401
        };
        let challenge = format!("Bearer realm=\"fake\", error=\"{error}\"");
        Self::new(status).header(WWW_AUTHENTICATE.as_str(), &challenge)
    }

    /// None: the server takes the request, does nothing, and leaves the client waiting, until the client
    /// goes away or the server does.
    #[must_use]
    pub fn never() -> Self {
        Self(Kind::Never)
    }

    /// The connection is cut without anything having been done.
    #[must_use]
    pub fn cut() -> Self {
        Self(Kind::Cut)
    }

    /// The server does what the request asks for, and cuts the connection in place of saying so: a refresh
    /// token, for one, has been spent, and the client cannot know.
    #[must_use]
    pub fn lost() -> Self {
        Self(Kind::Lost)
    }

    /// The same with this header besides. One that HTTP does not allow is left out.
    #[must_use]
    pub fn header(self, name: &str, value: &str) -> Self {
        self.change(|answer| answer.header(name, value))
    }

    /// The same with `Retry-After` (RFC 9110 section 10.2.3), in whole seconds, rounded up.
    #[must_use]
    pub fn retry_after(self, pause: Duration) -> Self {
        let seconds = pause.as_secs() + u64::from(pause.subsec_nanos() > 0);
        self.header(RETRY_AFTER.as_str(), &seconds.to_string())
    }

    /// The same with this body.
    #[must_use]
    pub fn body(self, body: impl Into<String>) -> Self {
        let body = body.into();
        self.change(|answer| answer.body(body))
    }

    /// The same with this body, as JSON.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        self.change(|answer| answer.json(body))
    }

    /// What has no header and no body stays as it is.
    fn change(self, change: impl FnOnce(Whole) -> Whole) -> Self {
        match self.0 {
            Kind::Whole(answer) => Self(Kind::Whole(change(answer))),
            other => Self(other),
        }
    }
}

impl From<Whole> for Answer {
    fn from(answer: Whole) -> Self {
        Self(Kind::Whole(answer))
    }
}

impl Whole {
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status: StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            ..Self::default()
        }
    }

    pub(crate) fn oauth_error(code: &str) -> Self {
        let refusal = match code {
            "invalid_client" => Self::new(401).header("www-authenticate", "Basic realm=\"fake\""),
            _ => Self::new(400),
        };
        refusal.json(&json!({ "error": code }))
    }

    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let header = (HeaderName::try_from(name), HeaderValue::try_from(value));
        if let (Ok(name), Ok(value)) = header {
            self.headers.push((name, value));
        }
        self
    }

    pub(crate) fn body(mut self, body: String) -> Self {
        self.body = body.into();
        self
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.header(CONTENT_TYPE.as_str(), "application/json")
            .body(body.to_string())
    }

    pub(crate) fn into_response(self) -> Response<Full<Bytes>> {
        let mut response = Response::new(Full::new(self.body));
        *response.status_mut() = self.status;
        for (name, value) in self.headers {
            response.headers_mut().append(name, value);
        }
        response
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::AsUsual => formatter.write_str("AsUsual"),
            Kind::Whole(answer) => formatter
                .debug_tuple("Answer")
                .field(&answer.status)
                .finish(),
            Kind::Never => formatter.write_str("Never"),
            Kind::Cut => formatter.write_str("Cut"),
            Kind::Lost => formatter.write_str("Lost"),
        }
    }
}
