//! A limit for the sockets of a thousand calls, as an example of middleware behind ours.

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};
use tokio::sync::Semaphore;

/// Sends this many requests at a time; the others wait.
///
/// Both ends of each connection are in this process, and many systems let one have 1,024 open files.
/// It stands behind the bearer middleware, so a request waits here with its token on it.
pub(crate) struct AtMost(Semaphore);

impl AtMost {
    pub(crate) fn new(count: usize) -> Self {
        Self(Semaphore::new(count))
    }
}

#[async_trait::async_trait]
impl Middleware for AtMost {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        let _place = self.0.acquire().await;
        next.run(request, extensions).await
    }
}
