//! A middleware behind the one that is tested: sees the answers that it gets.

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next};
use tokio::sync::watch;

use super::soon;

/// Clones count together.
#[derive(Clone)]
pub(crate) struct Witness(watch::Sender<usize>);

impl Witness {
    pub(crate) fn new() -> Self {
        Self(watch::Sender::new(0))
    }

    /// Returns when the heads of so many answers have come.
    pub(crate) async fn until_answers(&self, count: usize) {
        let mut answers = self.0.subscribe();
        soon(answers.wait_for(|seen| *seen >= count)).await.unwrap();
    }
}

#[async_trait::async_trait]
impl Middleware for Witness {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let answer = next.run(request, extensions).await;
        self.0.send_modify(|answers| *answers += 1);
        answer
    }
}
