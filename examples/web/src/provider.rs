//! A small OpenID provider on loopback, so that nothing has to be installed to sign in.
//!
//! It does what a real one does for a web application: authorization code with PKCE, refresh tokens
//! that rotate and whose second use ends the sign-in, token exchange, revocation, introspection, signed id
//! tokens.
//! It takes everybody's word for who they are, so it is a provider for demonstrations only.

mod answer;
mod authorize;
pub(crate) mod books;
mod credentials;
mod exchange;
mod introspect;
pub(crate) mod signing;
mod token;

use std::error::Error;
use std::sync::Arc;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::pages;
use crate::provider::books::Books;
use crate::provider::credentials::Credentials;
use crate::provider::signing::SigningKey;
use crate::registration::{Registration, SecretPlace};

/// A running provider, with one application and two APIs as its clients.
pub(crate) struct EmbeddedProvider(Arc<Provider>);

struct Provider {
    issuer: String,
    application: Credentials,
    /// Where browsers may be sent with a code, letter for letter.
    redirect_uri: String,
    /// The API that the application calls. It may exchange the tokens that it gets.
    orders: Credentials,
    /// The API that this one calls.
    stock: Credentials,
    key: SigningKey,
    books: Books,
}

impl EmbeddedProvider {
    /// Runs for as long as the process.
    pub(crate) async fn start(redirect_uri: String) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let provider = Arc::new(Provider {
            issuer: format!("http://{}", listener.local_addr()?),
            application: Credentials::new("web")?,
            redirect_uri,
            orders: Credentials::new("orders-api")?,
            stock: Credentials::new("stock-api")?,
            key: SigningKey::new()?,
            books: Books::default(),
        });
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/jwks", get(keys))
            .route("/authorize", get(authorize::ask).post(authorize::decide))
            .route("/token", post(token::token))
            .route("/revoke", post(token::revoke))
            .route("/introspect", post(introspect::introspect))
            .route("/style.css", get(pages::style))
            .with_state(provider.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        Ok(Self(provider))
    }

    pub(crate) fn issuer(&self) -> &str {
        &self.0.issuer
    }

    /// For the application.
    pub(crate) fn registration(&self) -> Registration {
        Registration {
            issuer: self.0.issuer.clone(),
            client_id: self.0.application.id.to_owned(),
            client_secret: Some(self.0.application.secret.clone()),
            secret_place: SecretPlace::Header,
            scope: "openid profile offline_access orders:read stock:read".to_owned(),
        }
    }

    /// For the API that the application calls.
    pub(crate) fn orders_api(&self) -> ApiClient {
        self.api_client(&self.0.orders)
    }

    /// For the API that this one calls.
    pub(crate) fn stock_api(&self) -> ApiClient {
        self.api_client(&self.0.stock)
    }

    fn api_client(&self, credentials: &Credentials) -> ApiClient {
        ApiClient {
            issuer: self.0.issuer.clone(),
            id: credentials.id,
            secret: credentials.secret.clone(),
        }
    }
}

/// An API as a client of the provider. Its id is what tokens for it name as their audience.
pub(crate) struct ApiClient {
    pub(crate) issuer: String,
    pub(crate) id: &'static str,
    pub(crate) secret: String,
}

/// OpenID Connect Discovery section 3.
async fn document(State(provider): State<Arc<Provider>>) -> Json<Value> {
    let at = |path| format!("{}{path}", provider.issuer);
    Json(json!({
        "issuer": provider.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "revocation_endpoint": at("/revoke"),
        "introspection_endpoint": at("/introspect"),
        "jwks_uri": at("/jwks"),
        "scopes_supported": ["openid", "profile", "offline_access", "orders:read", "stock:read"],
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token", exchange::TOKEN_EXCHANGE],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["EdDSA"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "code_challenge_methods_supported": ["S256"],
        "authorization_response_iss_parameter_supported": true,
    }))
}

async fn keys(State(provider): State<Arc<Provider>>) -> Json<Value> {
    Json(provider.key.public())
}
