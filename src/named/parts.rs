//! What a named client is made of, whoever's tokens it sends.

use std::sync::Arc;

use http::Method;
use reqwest::{Client, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, RequestBuilder};

use crate::error::Error;
use crate::middleware::BearerTokenMiddleware;
use crate::path::{InvalidPath, join};
use crate::source::handle::Handle;

/// Where a request goes whose path could not be joined: nowhere. The middleware of this crate turns
/// it into the error that goes along.
const NOWHERE: &str = "invalid-path://nowhere/";

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Parts {
    shared: Arc<Shared>,
    tokens: Handle,
    client: ClientWithMiddleware,
}

/// What the handles for all users have in common.
struct Shared {
    name: String,
    base_url: Url,
    chain: Chain,
}

/// What a client is assembled from: the handle for a user has the same parts.
pub(crate) struct Chain {
    pub(crate) http: Client,
    pub(crate) before: Vec<Arc<dyn Middleware>>,
    pub(crate) bearer: BearerTokenMiddleware,
    pub(crate) after: Vec<Arc<dyn Middleware>>,
}

impl Chain {
    fn assemble(&self, bearer: BearerTokenMiddleware) -> ClientWithMiddleware {
        let mut chain = ClientBuilder::new(self.http.clone());
        for middleware in &self.before {
            chain = chain.with_arc(middleware.clone());
        }
        chain = chain.with(bearer);
        for middleware in &self.after {
            chain = chain.with_arc(middleware.clone());
        }
        chain.build()
    }
}

impl Parts {
    pub(crate) fn new(
        name: String,
        base_url: Url,
        tokens: Handle,
        chain: Chain,
        bearer: BearerTokenMiddleware,
    ) -> Self {
        Self {
            client: chain.assemble(bearer),
            tokens,
            shared: Arc::new(Shared {
                name,
                base_url,
                chain,
            }),
        }
    }

    /// The same client with other tokens of the same source.
    pub(crate) fn with_tokens(&self, tokens: Handle) -> Self {
        let chain = &self.shared.chain;
        Self {
            client: chain.assemble(chain.bearer.with_tokens(tokens.clone())),
            tokens,
            shared: self.shared.clone(),
        }
    }

    pub(crate) fn name(&self) -> &str {
        &self.shared.name
    }

    pub(crate) fn base_url(&self) -> &Url {
        &self.shared.base_url
    }

    pub(crate) fn tokens(&self) -> &Handle {
        &self.tokens
    }

    pub(crate) fn client(&self) -> &ClientWithMiddleware {
        &self.client
    }

    pub(crate) fn url(&self, path: &str) -> Result<Url, Error> {
        join(&self.shared.base_url, path)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        match self.url(path) {
            Ok(url) => self.client.request(method, url),
            Err(error) => self
                .client
                .request(method, NOWHERE)
                .with_extension(InvalidPath(error)),
        }
    }
}
