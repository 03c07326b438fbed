//! One request as a fake server saw it.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method};

/// One request as a fake server saw it.
///
/// `Debug` shows the method, the path and the fields of a token request that are no secrets.
#[derive(Clone)]
pub struct SeenRequest {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl SeenRequest {
    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The query as it came, without the question mark; empty if there is none.
    #[must_use]
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The first header of this name, if it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All headers.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body.
    #[must_use]
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The first field of this name in a body that is a form, as token requests have it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        value(&self.body, name)
    }

    /// The `grant_type` of a token request (RFC 6749 section 4), e.g. `client_credentials`.
    #[must_use]
    pub fn grant_type(&self) -> Option<String> {
        self.field("grant_type")
    }

    /// The `scope` of a token request: scopes separated by blanks.
    #[must_use]
    pub fn scope(&self) -> Option<String> {
        self.field("scope")
    }

    /// Which client sent a token request, by its Basic credentials or else by the field `client_id`.
    #[must_use]
    pub fn client_id(&self) -> Option<String> {
        let by_header = self.basic_credentials().map(|(id, _)| id);
        by_header.or_else(|| self.field("client_id"))
    }

    /// The token after `Bearer` in `Authorization` (RFC 6750 section 2.1), if there is one.
    #[must_use]
    pub fn bearer_token(&self) -> Option<&str> {
        credentials(self.header("authorization")?, "bearer")
    }

    /// Id and secret, decoded as RFC 6749 section 2.3.1 has them encoded.
    pub(crate) fn basic_credentials(&self) -> Option<(String, String)> {
        let encoded = credentials(self.header("authorization")?, "basic")?;
        let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
        let (id, secret) = text.split_once(':')?;
        Some((decoded(id), decoded(secret)))
    }

    pub(crate) fn in_query(&self, name: &str) -> Option<String> {
        value(self.query.as_bytes(), name)
    }
}

/// The first value of this name in a form.
pub(crate) fn value(form: &[u8], name: &str) -> Option<String> {
    form_urlencoded::parse(form)
        .find_map(|(known, value)| (known == name).then(|| value.into_owned()))
}

/// What follows the scheme, whatever its case (RFC 9110 section 11.1).
fn credentials<'header>(header: &'header str, scheme: &str) -> Option<&'header str> {
    let (found, rest) = header.split_once(' ')?;
    found.eq_ignore_ascii_case(scheme).then(|| rest.trim())
}

fn decoded(text: &str) -> String {
    // A value alone is a form of one field without a name.
    let form = format!("={}", text.replace('&', "%26"));
    value(form.as_bytes(), "").unwrap_or_default()
}

impl fmt::Debug for SeenRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SeenRequest")
            .field("method", &self.method)
            .field("path", &self.path)
            .field("grant_type", &self.grant_type())
            .field("client_id", &self.client_id())
            .field("scope", &self.scope())
            .finish_non_exhaustive()
    }
}
