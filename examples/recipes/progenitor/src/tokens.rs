//! What the generated client keeps beside its HTTP client: where its tokens come from.

use std::sync::Arc;

use reqwest::header::HeaderValue;
use reqwest_bearer::{BearerToken, BearerTokenProvider, Error};

/// The tokens of a generated client.
#[derive(Clone, Debug)]
pub struct Tokens(Arc<dyn BearerTokenProvider>);

impl Tokens {
    /// Of this provider, such as a `TokenSource`.
    pub fn new(tokens: impl BearerTokenProvider) -> Self {
        Self(Arc::new(tokens))
    }

    pub(crate) async fn present(&self) -> Result<BearerToken, Error> {
        self.0.bearer_token().await
    }

    /// Another token than the refused one, if there is one: a newer one that is there already, else one that
    /// is asked for.
    pub(crate) async fn other_than(&self, refused: &HeaderValue) -> Option<BearerToken> {
        let present = self.present().await.ok()?;
        if present.authorization() != refused {
            return Some(present);
        }
        present.invalidate();
        let next = self.present().await.ok()?;
        (next.authorization() != refused).then_some(next)
    }
}
