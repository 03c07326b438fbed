//! The API that the application calls. For each order it asks the one for the stock, for whoever asked it: with
//! what the caller's own token is exchanged for.

use std::sync::Arc;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Json, Router};
use reqwest_bearer::{
    ClientAuthentication, Error, ErrorKind, ExchangedTokens, NamedExchangeClient, SubjectToken,
    TokenEndpoint, TokenExchange, reqwest_middleware,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::api::incoming::{Caller, Introspection, dead_token};
use crate::provider::EmbeddedProvider;

struct Orders {
    introspection: Introspection,
    /// The other API.
    stock: NamedExchangeClient,
}

/// Starts it, for as long as the process runs; returns its base URL.
pub(crate) async fn start(
    provider: &EmbeddedProvider,
    stock: &str,
) -> Result<String, Box<dyn std::error::Error>> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let base_url = format!("http://{}/v1", listener.local_addr()?);
    let orders = Arc::new(Orders::new(provider, stock)?);
    let router = Router::new()
        .route("/v1/orders/{number}", get(order))
        .layer(from_fn_with_state(orders.clone(), for_the_caller))
        .with_state(orders);
    tokio::spawn(async { axum::serve(listener, router).await });
    Ok(base_url)
}

impl Orders {
    fn new(provider: &EmbeddedProvider, stock: &str) -> Result<Self, Box<dyn std::error::Error>> {
        let own = provider.orders_api();
        let client = ClientAuthentication::client_secret_basic(own.id, own.secret.as_str());
        let endpoint = TokenEndpoint::discover(&own.issuer, client)?;
        let exchange = TokenExchange::new(endpoint).audience(provider.stock_api().id);
        let tokens = ExchangedTokens::new(exchange)?;
        Ok(Self {
            introspection: Introspection::new(own)?,
            stock: NamedExchangeClient::new("stock", stock, &tokens)?,
        })
    }
}

/// A middleware of axum: says once per request whose token it is, when it has found that to be good.
async fn for_the_caller(
    State(orders): State<Arc<Orders>>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match orders.introspection.caller(request.headers()).await {
        Ok(caller) => caller,
        Err(refusal) => return refusal,
    };
    let Ok(token) = SubjectToken::new(caller.token.as_str()) else {
        return dead_token();
    };
    request.extensions_mut().insert(caller);
    // From here on, each call of the other API goes out for this caller.
    token.run(next.run(request)).await
}

async fn order(
    State(orders): State<Arc<Orders>>,
    Extension(caller): Extension<Caller>,
    Path(number): Path<u32>,
) -> Result<Json<Value>, Trouble> {
    // Nothing here knows of tokens: the middleware has said whose call this is.
    let answer = orders.stock.get("items/teapot").send().await?;
    let stock = match answer.status() {
        // What the caller may not see is left out.
        StatusCode::FORBIDDEN => Value::Null,
        _ => answer.error_for_status()?.json().await?,
    };
    Ok(Json(json!({
        "order": number,
        "customer": caller.sub,
        "items": ["a teapot", "two cups"],
        "stock": stock,
        "token_ends_in_seconds": caller.ends_in,
    })))
}

/// Why the other API could not be asked.
struct Trouble(reqwest_middleware::Error);

impl<E: Into<reqwest_middleware::Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl IntoResponse for Trouble {
    fn into_response(self) -> Response {
        match Error::find_in(&self.0) {
            // The caller's token has ended on the way: with another one it goes on.
            Some(error) if error.kind() == ErrorKind::InvalidSubjectToken => dead_token(),
            Some(error) if error.is_transient() => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            _ => StatusCode::BAD_GATEWAY.into_response(),
        }
    }
}
