//! An authorization server on loopback: it counts, and can be slow, short-lived, revoking or down.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use reqwest_bearer::{ClientAuthentication, ClientCredentials, Error, TokenEndpoint};

use crate::loopback::{Answer, Loopback, Request};

const CLIENT_ID: &str = "quickstart";
const CLIENT_SECRET: &str = "s3cr3t";
/// `quickstart:s3cr3t` in base64.
const BASIC: &str = "Basic cXVpY2tzdGFydDpzM2NyM3Q=";

/// Issues tokens, and knows which of them are good.
pub(crate) struct AuthorizationServer {
    loopback: Loopback,
    books: Arc<Books>,
}

/// What it has issued and how it issues, shared with the API that checks the tokens.
pub(crate) struct Books {
    requests: AtomicUsize,
    manner: Mutex<Manner>,
    expiries: Mutex<HashMap<String, Instant>>,
}

#[derive(Clone, Copy)]
struct Manner {
    lifetime: Duration,
    delay: Duration,
}

impl AuthorizationServer {
    pub(crate) async fn start() -> io::Result<Self> {
        let books = Arc::new(Books {
            requests: AtomicUsize::new(0),
            manner: Mutex::new(Manner {
                lifetime: Duration::from_secs(3600),
                delay: Duration::ZERO,
            }),
            expiries: Mutex::default(),
        });
        let kept = books.clone();
        let loopback = Loopback::start(move |request| kept.answer(request)).await?;
        Ok(Self { loopback, books })
    }

    pub(crate) fn issuer(&self) -> String {
        self.loopback.url()
    }

    pub(crate) fn books(&self) -> Arc<Books> {
        self.books.clone()
    }

    /// The grant of this example's application, as a program of your own would make it.
    pub(crate) fn grant(&self) -> Result<ClientCredentials, Error> {
        let client = ClientAuthentication::client_secret_basic(CLIENT_ID, CLIENT_SECRET);
        let endpoint = TokenEndpoint::discover(self.issuer(), client)?;
        Ok(ClientCredentials::new(endpoint))
    }

    /// How many token requests have arrived.
    pub(crate) fn token_requests(&self) -> usize {
        self.books.requests.load(Ordering::SeqCst)
    }

    /// From now on tokens live this long, and it takes this long to get one.
    pub(crate) fn issue(&self, lifetime: Duration, delay: Duration) {
        *lock(&self.books.manner) = Manner { lifetime, delay };
    }

    /// No token that was issued so far is good any more.
    pub(crate) fn revoke_all(&self) {
        lock(&self.books.expiries).clear();
    }

    pub(crate) async fn go_down(&self) {
        self.loopback.switch_off().await;
    }

    pub(crate) async fn come_back(&self) -> io::Result<()> {
        self.loopback.switch_on().await
    }
}

impl Books {
    /// Whether a request with this `Authorization` header is let in.
    pub(crate) fn accept(&self, authorization: Option<&str>) -> bool {
        let token = authorization.and_then(|header| header.strip_prefix("Bearer "));
        let expiries = lock(&self.expiries);
        token
            .and_then(|token| expiries.get(token))
            .is_some_and(|expiry| Instant::now() < *expiry)
    }

    fn answer(&self, request: &Request) -> Answer {
        // The document names the server by the address that it was asked at.
        let answer = match request.path.as_str() {
            "/.well-known/openid-configuration" => Answer::new(
                200,
                format!(
                    r#"{{"issuer": "http://{0}", "token_endpoint": "http://{0}/token"}}"#,
                    request.host
                ),
            ),
            "/token" => self.issue_token(request),
            _ => Answer::new(404, "{}"),
        };
        answer.header("content-type", "application/json")
    }

    fn issue_token(&self, request: &Request) -> Answer {
        let number = 1 + self.requests.fetch_add(1, Ordering::SeqCst);
        let Manner { lifetime, delay } = *lock(&self.manner);
        if request.authorization.as_deref() != Some(BASIC) {
            return Answer::new(401, r#"{"error": "invalid_client"}"#);
        }
        let token = format!("token-{number}");
        let body = format!(
            r#"{{"access_token": "{token}", "token_type": "Bearer", "expires_in": {}}}"#,
            lifetime.as_secs()
        );
        lock(&self.expiries).insert(token, Instant::now() + delay + lifetime);
        Answer::new(200, body).after(delay)
    }
}

fn lock<T>(place: &Mutex<T>) -> MutexGuard<'_, T> {
    place.lock().unwrap_or_else(PoisonError::into_inner)
}
