//! Middleware below ours that writes down how often each request was sent before.

use std::sync::{Arc, Mutex};

use http::Extensions;
use reqwest::{Request, Response};
use reqwest_bearer::ResendCount;
use reqwest_middleware::{Middleware, Next};

/// The count of each sending, in order. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Sendings(Arc<Mutex<Vec<Option<u32>>>>);

impl Sendings {
    pub(crate) fn counts(&self) -> Vec<Option<u32>> {
        self.0.lock().unwrap().clone()
    }
}

#[async_trait::async_trait]
impl Middleware for Sendings {
    async fn handle(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> reqwest_middleware::Result<Response> {
        let count = extensions.get::<ResendCount>().map(|count| count.get());
        self.0.lock().unwrap().push(count);
        next.run(request, extensions).await
    }
}
