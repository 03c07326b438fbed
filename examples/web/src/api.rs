//! A small API on loopback: it asks the embedded provider what each token is worth.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

use crate::provider::EmbeddedProvider;

/// A running API.
pub(crate) struct EmbeddedApi {
    base_url: String,
}

struct Introspection {
    http: reqwest::Client,
    url: String,
    id: &'static str,
    secret: String,
}

#[derive(Deserialize)]
struct Worth {
    active: bool,
    sub: Option<String>,
    expires_in: Option<u64>,
}

impl EmbeddedApi {
    /// Runs for as long as the process.
    pub(crate) async fn start(
        provider: &EmbeddedProvider,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let base_url = format!("http://{}/v1", listener.local_addr()?);
        let (url, id, secret) = provider.introspection();
        let introspection = Arc::new(Introspection {
            http: reqwest::Client::builder().build()?,
            url,
            id,
            secret,
        });
        let router = Router::new()
            .route("/v1/orders/{number}", get(order))
            .with_state(introspection);
        tokio::spawn(async { axum::serve(listener, router).await });
        Ok(Self { base_url })
    }

    pub(crate) fn base_url(self) -> String {
        self.base_url
    }
}

async fn order(
    State(introspection): State<Arc<Introspection>>,
    Path(number): Path<u32>,
    headers: HeaderMap,
) -> Response {
    let header = headers
        .get(AUTHORIZATION)
        .and_then(|header| header.to_str().ok());
    let Some(token) = header.and_then(|header| header.strip_prefix("Bearer ")) else {
        return challenge("Bearer realm=\"orders\"");
    };
    match introspection.ask(token).await {
        Ok(Worth {
            active: true,
            sub,
            expires_in,
        }) => {
            let order = json!({
                "order": number,
                "customer": sub,
                "items": ["a teapot", "two cups"],
                "token_ends_in_seconds": expires_in,
            });
            Json(order).into_response()
        }
        Ok(_) => challenge("Bearer realm=\"orders\", error=\"invalid_token\""),
        Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// RFC 6750 section 3.
fn challenge(text: &'static str) -> Response {
    (StatusCode::UNAUTHORIZED, [(WWW_AUTHENTICATE, text)]).into_response()
}

impl Introspection {
    async fn ask(&self, token: &str) -> Result<Worth, reqwest::Error> {
        let request = self
            .http
            .post(&self.url)
            .basic_auth(self.id, Some(&self.secret))
            .form(&[("token", token)]);
        request.send().await?.error_for_status()?.json().await
    }
}
