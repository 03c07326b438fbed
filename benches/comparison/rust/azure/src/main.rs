//! azure_core: its policy for bearer tokens, around a credential of the program's.
//!
//! The policy asks for https; the last step of the pipeline, which a program may set, takes it to loopback.

use std::sync::Arc;
use std::time::Duration;

use adapter::{Call, Failure, Library, Setup, serve};
use async_trait::async_trait;
use azure_core::credentials::{AccessToken, Secret, TokenCredential, TokenRequestOptions};
use azure_core::error::ErrorKind;
use azure_core::http::headers::{HeaderName, Headers};
use azure_core::http::policies::auth::{Authorizer, BearerTokenAuthorizationPolicy, OnChallenge};
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{AsyncRawResponse, Context, Method, Request, StatusCode};
use azure_core::time::OffsetDateTime;
use reqwest::Client;
use serde::Deserialize;

/// The program's own, which asks once for each token.
#[derive(Debug)]
struct Credential {
    token_url: String,
    client_id: String,
    client_secret: Secret,
    http: Client,
}

#[derive(Deserialize)]
struct Answer {
    access_token: String,
    expires_in: u64,
}

#[async_trait]
impl TokenCredential for Credential {
    async fn get_token(
        &self,
        _: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        let secret = self.client_secret.secret();
        let request = self.http.post(&self.token_url);
        let request = request.basic_auth(&self.client_id, Some(secret));
        let request = request.form(&[("grant_type", "client_credentials")]);
        let answer = async { request.send().await?.error_for_status()?.json().await };
        let answer: Answer = answer.await.map_err(credential_error)?;
        let lifetime = Duration::from_secs(answer.expires_in);
        let expires_on = OffsetDateTime::now_utc() + lifetime;
        Ok(AccessToken::new(answer.access_token, expires_on))
    }
}

fn credential_error(error: reqwest::Error) -> azure_core::Error {
    azure_core::Error::new(ErrorKind::Credential, error)
}

/// What a program has to bring for a request to be sent again.
#[derive(Debug)]
struct AskAgain;

#[async_trait]
impl OnChallenge for AskAgain {
    async fn on_challenge(
        &self,
        _: &Context,
        request: &mut Request,
        authorizer: &dyn Authorizer,
        _: &Headers,
    ) -> azure_core::Result<()> {
        authorizer
            .authorize(request, &["scope"], TokenRequestOptions::default())
            .await
    }
}

/// The end of the pipeline.
#[derive(Debug)]
struct Loopback(Client);

/// The end of one that sends nothing.
#[derive(Debug)]
struct Nowhere;

#[async_trait]
impl Policy for Loopback {
    async fn send(
        &self,
        _: &Context,
        request: &mut Request,
        _: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        let url = request.url().as_str().replacen("https", "http", 1);
        let method = request.method().as_str().parse().expect("it is a method");
        let mut sent = self.0.request(method, url);
        for (name, value) in request.headers().iter() {
            sent = sent.header(name.as_str(), value.as_str());
        }
        let body = azure_core::Bytes::from(request.body());
        let response = sent.body(body).send().await;
        let response = response.map_err(|error| azure_core::Error::new(ErrorKind::Io, error))?;
        let status = StatusCode::from(response.status().as_u16());
        let mut headers = Headers::new();
        for (name, value) in response.headers() {
            let name = HeaderName::from(name.as_str().to_owned());
            headers.insert(name, value.to_str().unwrap_or_default().to_owned());
        }
        Ok(AsyncRawResponse::from_bytes(status, headers, Vec::new()))
    }
}

#[async_trait]
impl Policy for Nowhere {
    async fn send(&self, _: &Context, _: &mut Request, _: &[Arc<dyn Policy>]) -> PolicyResult {
        Ok(AsyncRawResponse::from_bytes(
            StatusCode::Ok,
            Headers::new(),
            Vec::new(),
        ))
    }
}

struct Azure {
    bearer: BearerTokenAuthorizationPolicy,
    sends: [Arc<dyn Policy>; 1],
    sends_nothing: [Arc<dyn Policy>; 1],
}

impl Azure {
    async fn send(&self, call: &Call, next: &[Arc<dyn Policy>]) -> azure_core::Result<u16> {
        let url = call.url.replacen("http", "https", 1);
        let url = url.parse().expect("it is a URL");
        let method = match call.method {
            "POST" => Method::Post,
            _ => Method::Get,
        };
        let mut request = Request::new(url, method);
        request.set_body(call.body());
        let response = self
            .bearer
            .send(&Context::new(), &mut request, next)
            .await?;
        Ok(response.status().into())
    }
}

impl Library for Azure {
    async fn new(setup: Setup) -> Result<Self, String> {
        if setup.refresh_token.is_some() {
            return Err("how a token is got is the credential's".to_owned());
        }
        let http = Client::new();
        let credential = Arc::new(Credential {
            token_url: setup.token_url,
            client_id: setup.client_id,
            client_secret: setup.client_secret.into(),
            http: http.clone(),
        });
        let bearer = BearerTokenAuthorizationPolicy::new(credential, ["scope"]);
        Ok(Self {
            bearer: bearer.with_on_challenge(Arc::new(AskAgain)),
            sends: [Arc::new(Loopback(http))],
            sends_nothing: [Arc::new(Nowhere)],
        })
    }

    async fn call(&self, call: Call) -> Result<u16, Failure> {
        self.send(&call, &self.sends).await.map_err(Failure::of)
    }

    async fn header(&self) -> bool {
        let call = Call {
            method: "GET",
            url: "http://127.0.0.1/orders".to_owned(),
        };
        self.send(&call, &self.sends_nothing).await.is_ok()
    }

    fn debug(&self) -> String {
        format!("{:?}", self.bearer)
    }
}

fn main() {
    serve::<Azure>();
}
