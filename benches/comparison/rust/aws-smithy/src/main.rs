//! The cache below the identities of AWS's clients; how a token is got is the program's, and so is the call.

use std::time::{Duration, SystemTime};

use adapter::{Call, Failure, Library, Setup, serve};
use aws_smithy_runtime::expiring_cache::ExpiringCache;
use aws_smithy_runtime_api::client::identity::http::Token;
use reqwest::{Client, Method};
use serde::Deserialize;

/// What the clients of AWS set.
const BUFFER_TIME: Duration = Duration::from_secs(10);

struct Aws {
    setup: Setup,
    http: Client,
    cache: ExpiringCache<Token, reqwest::Error>,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
}

impl Aws {
    async fn token(&self) -> Result<Token, reqwest::Error> {
        let now = SystemTime::now();
        if let Some(token) = self.cache.yield_or_clear_if_expired(now).await {
            return Ok(token);
        }
        self.cache.get_or_load(|| self.load()).await
    }

    async fn load(&self) -> Result<(Token, SystemTime), reqwest::Error> {
        let request = self.http.post(&self.setup.token_url);
        let client = (&self.setup.client_id, &self.setup.client_secret);
        let request = request.basic_auth(client.0, Some(client.1));
        let request = request.form(&[("grant_type", "client_credentials")]);
        let answer: Answer = request.send().await?.error_for_status()?.json().await?;
        let lifetime = Duration::from_secs(answer.expires_in);
        let expires_at = SystemTime::now() + lifetime;
        Ok((
            Token::new(answer.access_token, Some(expires_at)),
            expires_at,
        ))
    }
}

impl Library for Aws {
    async fn new(setup: Setup) -> Result<Self, String> {
        if setup.refresh_token.is_some() {
            return Err("how a token is got is the program's".to_owned());
        }
        Ok(Self {
            setup,
            http: Client::new(),
            cache: ExpiringCache::new(BUFFER_TIME),
        })
    }

    async fn call(&self, call: Call) -> Result<u16, Failure> {
        let method: Method = call.method.parse().expect("it is a method");
        let token = self.token().await.map_err(Failure::of)?;
        let request = self.http.request(method, &call.url).body(call.body());
        let response = request.bearer_auth(token.token()).send().await;
        response
            .map(|response| response.status().as_u16())
            .map_err(Failure::of)
    }

    async fn header(&self) -> bool {
        match self.token().await {
            Ok(token) => !format!("Bearer {}", token.token()).is_empty(),
            Err(_) => false,
        }
    }

    fn debug(&self) -> String {
        format!("{:?}", self.cache)
    }
}

fn main() {
    serve::<Aws>();
}
