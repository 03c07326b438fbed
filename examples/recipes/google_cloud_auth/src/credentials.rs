//! Gives the clients of Google's services the header of each attempt.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use google_cloud_auth::credentials::{CacheableResource, CredentialsProvider, EntityTag};
use google_cloud_auth::errors::CredentialsError;
use http::header::AUTHORIZATION;
use http::{Extensions, HeaderMap};
use reqwest_bearer::{BearerToken, BearerTokenProvider};

/// For `with_credentials`. Clones go together, one into the [`RefusalPolicy`].
///
/// [`RefusalPolicy`]: crate::RefusalPolicy
#[derive(Clone, Debug)]
pub struct TokenCredentials {
    tokens: Arc<dyn BearerTokenProvider>,
    given: Arc<Mutex<Option<Given>>>,
}

/// The token that was given last.
#[derive(Debug)]
struct Given {
    token: BearerToken,
    /// Since when, if there was another one before it.
    since: Option<Instant>,
}

impl TokenCredentials {
    /// With these tokens, such as a `TokenSource`.
    pub fn new(tokens: impl BearerTokenProvider) -> Self {
        Self {
            tokens: Arc::new(tokens),
            given: Arc::default(),
        }
    }

    /// A request that began then was refused. A client does not say which token it carried: if it may have been
    /// the one before, the present one is not held for refused.
    pub(crate) fn invalidate(&self, began: Instant) {
        if let Some(Given { token, since }) = &*self.given()
            && since.is_none_or(|since| since <= began)
        {
            token.invalidate();
        }
    }

    fn note(&self, token: BearerToken) {
        let mut given = self.given();
        let before = given.as_ref().map(|given| given.token.expose());
        if before == Some(token.expose()) {
            return;
        }
        #[expect(clippy::disallowed_methods, reason = "compared with the client's")]
        let since = before.map(|_| Instant::now());
        *given = Some(Given { token, since });
    }

    fn given(&self) -> MutexGuard<'_, Option<Given>> {
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl CredentialsProvider for TokenCredentials {
    async fn headers(
        &self,
        _: Extensions,
    ) -> Result<CacheableResource<HeaderMap>, CredentialsError> {
        let token = self.tokens.bearer_token().await;
        let token =
            token.map_err(|error| CredentialsError::from_source(error.is_transient(), error))?;
        let header = (AUTHORIZATION, token.authorization().clone());
        self.note(token);
        Ok(CacheableResource::New {
            entity_tag: EntityTag::new(),
            data: HeaderMap::from_iter([header]),
        })
    }

    /// That of `googleapis.com`.
    async fn universe_domain(&self) -> Option<String> {
        None
    }
}
