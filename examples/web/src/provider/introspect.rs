//! Tells the APIs what a token is worth (RFC 7662).

use std::sync::Arc;

use axum::Json;
use axum::extract::{Form, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::provider::Provider;
use crate::provider::answer::Refusal;

#[derive(Deserialize)]
pub(crate) struct Question {
    token: String,
}

pub(crate) async fn introspect(
    State(provider): State<Arc<Provider>>,
    headers: HeaderMap,
    Form(Question { token }): Form<Question>,
) -> Result<Json<Value>, Refusal> {
    let by_orders = provider.orders.check(&headers);
    by_orders.or_else(|_| provider.stock.check(&headers))?;
    Ok(Json(match provider.books.find_live(&token) {
        Some(live) => json!({
            "active": true,
            "sub": live.granted.sign_in.person.subject,
            "client_id": live.granted.client_id,
            "aud": live.granted.audience,
            "scope": live.granted.scope,
            "expires_in": live.remaining.as_secs(),
        }),
        None => json!({ "active": false }),
    }))
}
