//! A grant that is one function.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::Error;
use crate::grant::{Grant, GrantRequest};
use crate::token::TokenResponse;

/// A grant of your own, as a function.
///
/// ```
/// use std::time::Duration;
/// use reqwest_bearer::{GrantFn, TokenResponse};
///
/// let grant = GrantFn::new("vault", |_request| async {
///     Ok(TokenResponse::bearer("from-the-vault").with_expires_in(Duration::from_secs(600)))
/// });
/// ```
#[derive(Clone)]
pub struct GrantFn {
    name: String,
    obtain: Arc<dyn Fn(GrantRequest) -> Attempt + Send + Sync>,
}

type Attempt = Pin<Box<dyn Future<Output = Result<TokenResponse, Error>> + Send>>;

impl GrantFn {
    /// A grant with this name, which appears in keys, events and log lines, and this function,
    /// which is called for each attempt.
    #[must_use]
    pub fn new<F, Fut>(name: impl Into<String>, obtain: F) -> Self
    where
        F: Fn(GrantRequest) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<TokenResponse, Error>> + Send + 'static,
    {
        Self {
            name: name.into(),
            obtain: Arc::new(move |request| Box::pin(obtain(request))),
        }
    }
}

impl Grant for GrantFn {
    fn name(&self) -> &str {
        &self.name
    }

    async fn obtain(&self, request: GrantRequest) -> Result<TokenResponse, Error> {
        (self.obtain)(request).await
    }
}

impl fmt::Debug for GrantFn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("GrantFn").field(&self.name).finish()
    }
}
