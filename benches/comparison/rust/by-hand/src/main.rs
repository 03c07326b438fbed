//! The crate `oauth2`, which keeps nothing, behind the cache that people write around it.
//!
//! A careful one: a second look after the lock, 30 s of margin, and the new refresh token is kept.

use std::time::{Duration, Instant};

use adapter::{Call, Failure, Library, Setup, serve};
use oauth2::basic::{BasicClient, BasicErrorResponseType, BasicTokenResponse};
use oauth2::reqwest::redirect::Policy;
use oauth2::reqwest::{Client, Method};
use oauth2::{
    AccessToken, ClientId, ClientSecret, EndpointNotSet, EndpointSet, RefreshToken,
    RequestTokenError, TokenResponse, TokenUrl,
};
use tokio::sync::RwLock;

const MARGIN: Duration = Duration::from_secs(30);
/// What some providers say in place of `invalid_grant`.
const DEAD: [&str; 2] = ["bad_refresh_token", "invalid_refresh_token"];

struct ByHand {
    oauth: BasicClient<EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointNotSet, EndpointSet>,
    /// Follows no redirect, as the documents say.
    token_http: Client,
    http: Client,
    cached: RwLock<Cached>,
}

#[derive(Debug)]
struct Cached {
    token: Option<AccessToken>,
    good_until: Instant,
    refresh_token: Option<RefreshToken>,
}

impl ByHand {
    async fn token(&self) -> Result<AccessToken, Failure> {
        if let Some(token) = self.cached.read().await.fresh() {
            return Ok(token);
        }
        let mut cached = self.cached.write().await;
        if let Some(token) = cached.fresh() {
            return Ok(token);
        }
        let answer: BasicTokenResponse = match &cached.refresh_token {
            Some(token) => {
                let request = self.oauth.exchange_refresh_token(token);
                request.request_async(&self.token_http).await
            }
            None => {
                let request = self.oauth.exchange_client_credentials();
                request.request_async(&self.token_http).await
            }
        }
        .map_err(failure)?;
        let token = answer.access_token().clone();
        let lifetime = answer.expires_in().unwrap_or(Duration::from_secs(3600));
        cached.good_until = Instant::now() + lifetime.saturating_sub(MARGIN);
        cached.token = Some(token.clone());
        if let Some(refresh_token) = answer.refresh_token() {
            cached.refresh_token = Some(refresh_token.clone());
        }
        Ok(token)
    }
}

impl Cached {
    fn fresh(&self) -> Option<AccessToken> {
        let is_fresh = Instant::now() < self.good_until;
        self.token.clone().filter(|_| is_fresh)
    }
}

fn failure<E: std::error::Error + 'static>(
    error: RequestTokenError<E, oauth2::basic::BasicErrorResponse>,
) -> Failure {
    match &error {
        RequestTokenError::ServerResponse(response) => match response.error() {
            BasicErrorResponseType::InvalidGrant => Failure::ended(error),
            BasicErrorResponseType::Extension(code) if DEAD.contains(&code.as_str()) => {
                Failure::ended(error)
            }
            _ => Failure::of(error),
        },
        _ => Failure::of(error),
    }
}

impl Library for ByHand {
    async fn new(setup: Setup) -> Result<Self, String> {
        let token_url = TokenUrl::new(setup.token_url).map_err(|error| error.to_string())?;
        let token_http = Client::builder().redirect(Policy::none()).build();
        Ok(Self {
            oauth: BasicClient::new(ClientId::new(setup.client_id))
                .set_client_secret(ClientSecret::new(setup.client_secret))
                .set_token_uri(token_url),
            token_http: token_http.map_err(|error| error.to_string())?,
            http: Client::new(),
            cached: RwLock::new(Cached {
                token: None,
                good_until: Instant::now(),
                refresh_token: setup.refresh_token.map(RefreshToken::new),
            }),
        })
    }

    async fn call(&self, call: Call) -> Result<u16, Failure> {
        let method: Method = call.method.parse().expect("it is a method");
        let request = self.http.request(method, &call.url).body(call.body());
        let response = request
            .bearer_auth(self.token().await?.secret())
            .send()
            .await;
        response
            .map(|response| response.status().as_u16())
            .map_err(Failure::of)
    }

    async fn header(&self) -> bool {
        match self.token().await {
            Ok(token) => !format!("Bearer {}", token.secret()).is_empty(),
            Err(_) => false,
        }
    }

    fn debug(&self) -> String {
        format!("{:?} {:?}", self.oauth, self.cached)
    }
}

fn main() {
    serve::<ByHand>();
}
