//! Gives a store the token for each request, where the store has to keep a client of its own.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::gcp::GcpCredential;
use reqwest_bearer::BearerTokenProvider;

/// For `with_credentials` of Google's store. Azure's takes the same as `AzureCredential::BearerToken`.
///
/// A store tells it of no 401: a token that was revoked ahead of its end is sent until then.
#[derive(Debug)]
pub struct TokenCredentials(Arc<dyn BearerTokenProvider>);

impl TokenCredentials {
    /// With these tokens, such as a `TokenSource`.
    pub fn new(tokens: impl BearerTokenProvider) -> Self {
        Self(Arc::new(tokens))
    }
}

#[async_trait]
impl CredentialProvider for TokenCredentials {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        let token = self.0.bearer_token().await;
        let token = token.map_err(|error| object_store::Error::Unauthenticated {
            path: String::new(),
            source: error.into(),
        })?;
        let bearer = token.expose().to_owned();
        Ok(Arc::new(GcpCredential { bearer }))
    }
}
