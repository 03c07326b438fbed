//! A small OpenID provider on loopback, so that nothing has to be installed to sign in.
//!
//! It does what a real one does for a web application: authorization code with PKCE, refresh tokens
//! that rotate and whose second use ends the sign-in, revocation, introspection, signed id tokens.
//! It takes everybody's word for who they are, so it is a provider for demonstrations only.

mod answer;
mod authorize;
pub(crate) mod books;
mod credentials;
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

/// A running provider, with one application and one API as its clients.
pub(crate) struct EmbeddedProvider(Arc<Provider>);

struct Provider {
    issuer: String,
    application: Credentials,
    /// Where browsers may be sent with a code, letter for letter.
    redirect_uri: String,
    /// Who may ask what a token is worth.
    api: Credentials,
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
            api: Credentials::new("orders-api")?,
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
            scope: "openid profile offline_access orders:read".to_owned(),
        }
    }

    /// Where and as whom the API asks what a token is worth.
    pub(crate) fn introspection(&self) -> (String, &'static str, String) {
        let url = format!("{}/introspect", self.0.issuer);
        (url, self.0.api.id, self.0.api.secret.clone())
    }
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
        "scopes_supported": ["openid", "profile", "offline_access", "orders:read"],
        "response_types_supported": ["code"],
        "grant_types_supported": ["authorization_code", "refresh_token"],
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
