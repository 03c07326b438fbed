//! The API that the one for orders calls. It says who asked, and for whom.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::json;
use tokio::net::TcpListener;

use crate::api::incoming::Introspection;
use crate::provider::EmbeddedProvider;

/// Starts it, for as long as the process runs; returns its base URL.
pub(crate) async fn start(
    provider: &EmbeddedProvider,
) -> Result<String, Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base_url = format!("http://{}/v1", listener.local_addr()?);
    let introspection = Introspection::new(provider.stock_api())?;
    let router = Router::new()
        .route("/v1/items/{name}", get(item))
        .with_state(Arc::new(introspection));
    tokio::spawn(async { axum::serve(listener, router).await });
    Ok(base_url)
}

async fn item(
    State(introspection): State<Arc<Introspection>>,
    Path(name): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Response> {
    let caller = introspection.caller(&headers).await?;
    if !caller.scope.split(' ').any(|scope| scope == "stock:read") {
        return Err(StatusCode::FORBIDDEN.into_response());
    }
    Ok(Json(json!({
        "item": name,
        "left": 7,
        "asked_for": caller.sub,
        "asked_by": caller.client_id,
    }))
    .into_response())
}
