//! An authorization server and an API on this machine, for a program that has to be watched.

use std::collections::HashSet;
use std::io;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::extract::State;
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Form, Json, Router};
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;

/// Both of them, at one address.
#[derive(Clone)]
pub struct Servers {
    /// Where they are, without a path: `/token` and `/orders/{id}`.
    pub url: String,
    state: Arc<Mutex<Book>>,
}

/// What the servers know.
struct Book {
    lifetime: u32,
    issued: u32,
    live: HashSet<String>,
    is_down: bool,
    /// What the API was sent beside each of its requests, by which a trace goes on.
    traced: Vec<Option<String>>,
}

/// What a token request says, as far as it matters here.
#[derive(Deserialize)]
struct TokenRequest {
    grant_type: String,
}

impl Servers {
    /// Starts them on a free port, with tokens that live so many seconds.
    ///
    /// # Errors
    /// If this machine has no port left.
    pub async fn start(lifetime: u32) -> io::Result<Self> {
        let state = Arc::new(Mutex::new(Book {
            lifetime,
            issued: 0,
            live: HashSet::new(),
            is_down: false,
            traced: Vec::new(),
        }));
        let app = Router::new()
            .route("/token", post(token))
            .route("/orders/{id}", get(order))
            .with_state(state.clone());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let url = format!("http://{}", listener.local_addr()?);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Ok(Self { url, state })
    }

    /// Ends all tokens, as an administrator may.
    pub fn revoke_all(&self) {
        book(&self.state).live.clear();
    }

    /// Whether the authorization server answers with 503 from now on.
    pub fn be_down(&self, is_down: bool) {
        book(&self.state).is_down = is_down;
    }

    /// The `traceparent` of each request of the API so far.
    #[must_use]
    pub fn traced(&self) -> Vec<Option<String>> {
        book(&self.state).traced.clone()
    }
}

async fn token(
    State(state): State<Arc<Mutex<Book>>>,
    Form(request): Form<TokenRequest>,
) -> Response {
    let mut book = book(&state);
    if book.is_down {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    book.issued += 1;
    let token = format!("access-{}", book.issued);
    book.live.insert(token.clone());
    let mut answer = json!({
        "access_token": token, "token_type": "Bearer", "expires_in": book.lifetime,
    });
    if request.grant_type == "refresh_token" {
        answer["refresh_token"] = format!("refresh-{}", book.issued).into();
    }
    Json(answer).into_response()
}

async fn order(State(state): State<Arc<Mutex<Book>>>, headers: HeaderMap) -> Response {
    let mut book = book(&state);
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    book.traced.push(text("traceparent").map(str::to_owned));
    let token = text(AUTHORIZATION.as_str()).and_then(|value| value.strip_prefix("Bearer "));
    if token.is_some_and(|token| book.live.contains(token)) {
        return "an order".into_response();
    }
    let challenge = [(WWW_AUTHENTICATE, r#"Bearer error="invalid_token""#)];
    (StatusCode::UNAUTHORIZED, challenge).into_response()
}

fn book(state: &Mutex<Book>) -> MutexGuard<'_, Book> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
