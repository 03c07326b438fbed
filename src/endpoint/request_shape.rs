//! How the requests to an authorization server are written, where it is not as RFC 6749 has it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::endpoint::form::Form;
use crate::error::{Error, ErrorKind, HowFar};
use crate::reserved_headers;

/// Form or JSON, and the headers that go along.
#[derive(Clone, Default)]
pub(crate) struct RequestShape {
    pub(crate) body: BodyFormat,
    pub(crate) headers: Option<Arc<dyn Fn() -> HeaderMap + Send + Sync>>,
}

/// The format of a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BodyFormat {
    /// `application/x-www-form-urlencoded` (RFC 6749 section 4).
    #[default]
    Form,
    Json,
}

impl BodyFormat {
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Form => "application/x-www-form-urlencoded",
            Self::Json => "application/json",
        }
    }

    pub(crate) fn encode(self, form: &Form) -> Vec<u8> {
        match self {
            Self::Form => form.encode().into_bytes(),
            Self::Json => form.encode_json(),
        }
    }
}

impl RequestShape {
    /// The headers that one request gets besides ours. Nothing has been sent yet.
    ///
    /// # Errors
    /// If the hook panics, or gives one that cannot be set; the message names the setting.
    pub(crate) fn headers_beside(&self, authorizes: bool) -> Result<HeaderMap, Error> {
        let Some(hook) = &self.headers else {
            return Ok(HeaderMap::new());
        };
        let mut headers = catch_unwind(AssertUnwindSafe(|| hook())).map_err(|_| {
            let message = "the hook `request_headers` panicked";
            Error::new(ErrorKind::Panicked, message).got(HowFar::NotSent)
        })?;
        for name in headers.keys() {
            let doubled = (authorizes && name == AUTHORIZATION)
                .then_some("is the one that client authentication is sent in");
            if let Some(fault) = reserved_headers::fault(name).or(doubled) {
                let message = format!(
                    "the header `{name}`, which the hook `request_headers` gives, {fault}; leave it \
                     out"
                );
                return Err(Error::settings(message).got(HowFar::NotSent));
            }
        }
        for value in headers.values_mut() {
            value.set_sensitive(true);
        }
        Ok(headers)
    }
}

impl fmt::Debug for RequestShape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RequestShape")
            .field("body", &self.body)
            .field("headers", &self.headers.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http::{HeaderMap, HeaderValue};

    use super::RequestShape;
    use crate::error::HowFar;

    #[test]
    fn headers_of_the_user_s_are_sensitive_and_a_hook_that_panics_has_sent_nothing() {
        // K26, D6
        let shape = |hook: fn() -> HeaderMap| RequestShape {
            headers: Some(Arc::new(hook)),
            ..RequestShape::default()
        };
        let canary = shape(|| {
            let mut headers = HeaderMap::new();
            headers.insert("x-api-key", HeaderValue::from_static("canary"));
            headers
        });
        let headers = canary.headers_beside(true).unwrap();
        assert!(headers["x-api-key"].is_sensitive());
        assert!(!format!("{headers:?} {canary:?}").contains("canary"));
        let error = shape(|| panic!("canary")).headers_beside(true).unwrap_err();
        assert_eq!(error.how_far(), HowFar::NotSent);
        assert!(!format!("{error:?}").contains("canary"));
    }
}
