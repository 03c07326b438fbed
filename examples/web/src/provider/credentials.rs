//! The clients' ids and secrets.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::provider::answer::Refusal;
use crate::random::unguessable;

/// A client's id, and a secret that is new at each start.
pub(crate) struct Credentials {
    pub(crate) id: &'static str,
    pub(crate) secret: String,
}

impl Credentials {
    pub(crate) fn new(id: &'static str) -> Result<Self, getrandom::Error> {
        let secret = unguessable()?;
        Ok(Self { id, secret })
    }

    /// Whether a request comes from this client (`client_secret_basic`). Neither id nor secret has
    /// a character that RFC 6749 section 2.3.1 would encode.
    pub(crate) fn check(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let expected = format!(
            "Basic {}",
            STANDARD.encode(format!("{}:{}", self.id, self.secret))
        );
        match headers.get(AUTHORIZATION) {
            Some(header) if header.as_bytes() == expected.as_bytes() => Ok(()),
            _ => Err(Refusal::InvalidClient),
        }
    }
}
