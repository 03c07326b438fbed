//! Who calls an API: it asks the embedded provider what the token of the request is worth.

use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;

use crate::provider::ApiClient;

/// Asks for one API (RFC 7662). An API whose tokens are JWT would check their signatures in its place.
pub(super) struct Introspection {
    http: reqwest::Client,
    client: ApiClient,
}

/// Whose token it is, and what it is good for.
#[derive(Clone)]
pub(super) struct Caller {
    pub(super) sub: String,
    pub(super) client_id: String,
    pub(super) scope: String,
    pub(super) token: String,
    pub(super) ends_in: u64,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Worth {
    Live {
        sub: String,
        client_id: String,
        aud: String,
        scope: String,
        expires_in: u64,
    },
    Dead {},
}

impl Introspection {
    pub(super) fn new(client: ApiClient) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder().build()?;
        Ok(Self { http, client })
    }

    /// Whose token came with the request, if it is a good one for this API.
    ///
    /// # Errors
    /// The answer for the caller otherwise.
    pub(super) async fn caller(&self, headers: &HeaderMap) -> Result<Caller, Response> {
        let header = headers
            .get(AUTHORIZATION)
            .and_then(|header| header.to_str().ok());
        let Some(token) = header.and_then(|header| header.strip_prefix("Bearer ")) else {
            return Err(challenge("Bearer realm=\"api\""));
        };
        match self.ask(token).await {
            // A token for another API is none here, whoever it is of (RFC 9068 section 4).
            Ok(Worth::Live {
                sub,
                client_id,
                aud,
                scope,
                expires_in,
            }) if aud == self.client.id => Ok(Caller {
                sub,
                client_id,
                scope,
                token: token.to_owned(),
                ends_in: expires_in,
            }),
            Ok(_) => Err(dead_token()),
            Err(_) => Err(StatusCode::SERVICE_UNAVAILABLE.into_response()),
        }
    }

    async fn ask(&self, token: &str) -> Result<Worth, reqwest::Error> {
        let request = self
            .http
            .post(format!("{}/introspect", self.client.issuer))
            .basic_auth(self.client.id, Some(&self.client.secret))
            .form(&[("token", token)]);
        request.send().await?.error_for_status()?.json().await
    }
}

/// The caller has to come with another token.
pub(super) fn dead_token() -> Response {
    challenge("Bearer realm=\"api\", error=\"invalid_token\"")
}

/// RFC 6750 section 3.
fn challenge(text: &'static str) -> Response {
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, text)]).into_response()
}
