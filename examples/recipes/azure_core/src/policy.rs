//! Sends the present token in place of the one that a client has kept, and once more after a 401.

use std::sync::Arc;

use async_trait::async_trait;
use azure_core::http::headers::AUTHORIZATION;
use azure_core::http::policies::{Policy, PolicyResult};
use azure_core::http::{Context, Request, StatusCode};
use reqwest_bearer::{BearerToken, BearerTokenProvider};

use crate::credential::error;

/// For `per_try_policies` of one client's `ClientOptions`: those come after the client's own, next to the
/// sending. The tokens are those that the client itself asks for
/// ([`for_scopes`](crate::SourceCredential::for_scopes)).
#[derive(Debug)]
pub struct TokenPolicy(Arc<dyn BearerTokenProvider>);

impl TokenPolicy {
    /// With these tokens.
    pub fn new(tokens: impl BearerTokenProvider) -> Self {
        Self(Arc::new(tokens))
    }

    async fn attach(&self, request: &mut Request) -> azure_core::Result<BearerToken> {
        let token = self.0.bearer_token().await.map_err(error)?;
        request.insert_header(AUTHORIZATION, format!("Bearer {}", token.expose()));
        Ok(token)
    }
}

#[async_trait]
impl Policy for TokenPolicy {
    async fn send(
        &self,
        context: &Context,
        request: &mut Request,
        next: &[Arc<dyn Policy>],
    ) -> PolicyResult {
        let token = self.attach(request).await?;
        let answer = next[0].send(context, request, &next[1..]).await?;
        if answer.status() != StatusCode::Unauthorized {
            return Ok(answer);
        }
        token.invalidate();
        // The caller gets the service's 401 where there is no other token, or the body is there only once.
        match self.attach(request).await {
            Ok(other) if other.expose() != token.expose() => {}
            _ => return Ok(answer),
        }
        if request.body_mut().reset().await.is_err() {
            return Ok(answer);
        }
        next[0].send(context, request, &next[1..]).await
    }
}
