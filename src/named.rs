//! Clients by name, each with its base URL, its token source and its origins.

mod builder;
mod carrier;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::join_all;
use http::Method;
use reqwest::{Client, Url};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware, Middleware, RequestBuilder};

pub use crate::named::builder::NamedClientBuilder;

use crate::error::{Error, ErrorKind};
use crate::middleware::BearerTokenMiddleware;
use crate::path::{InvalidPath, join};
use crate::source::TokenSource;
use crate::subject::Subject;

/// Where a request goes whose path could not be joined: nowhere. The middleware of this crate turns
/// it into the error that goes along.
const NOWHERE: &str = "invalid-path://nowhere/";

/// A client for one API, used as a plain reqwest client is: the token is not the caller's concern.
///
/// Cheap to clone. Paths are relative to the base URL: with `https://h/v1`, both `orders` and
/// `/orders` are `https://h/v1/orders`. `//evil`, and `..` that would leave the base path, are
/// errors of `send`. An absolute URL is taken as it is; the token goes there only if its origin is
/// one of the client's.
///
/// ```no_run
/// # async fn call(grant: impl reqwest_bearer::Grant) -> Result<(), Box<dyn std::error::Error>> {
/// use reqwest_bearer::NamedClient;
///
/// let orders = NamedClient::new("orders", "https://api.example.com/v1", grant)?;
/// let answer = orders.get("orders/42").send().await?.text().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct NamedClient {
    name: String,
    base_url: Url,
    source: TokenSource,
    chain: Arc<Chain>,
    client: ClientWithMiddleware,
}

/// What a client is assembled from: the handle for a user has the same parts.
struct Chain {
    http: Client,
    before: Vec<Arc<dyn Middleware>>,
    bearer: BearerTokenMiddleware,
    after: Vec<Arc<dyn Middleware>>,
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

impl NamedClient {
    /// A client with the default settings.
    ///
    /// # Errors
    /// If the name is empty, or the base URL is no URL that a token may be sent to.
    pub fn new(
        name: impl Into<String>,
        base_url: impl AsRef<str>,
        source: impl Into<TokenSource>,
    ) -> Result<Self, Error> {
        Self::builder(name, base_url, source).build()
    }

    /// A client with settings.
    pub fn builder(
        name: impl Into<String>,
        base_url: impl AsRef<str>,
        source: impl Into<TokenSource>,
    ) -> NamedClientBuilder {
        NamedClientBuilder::new(name.into(), base_url.as_ref().to_owned(), source.into())
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The same client for the tokens of this user, whatever becomes of a request on its way:
    /// `RequestBuilder::build`, which drops extensions, changes nothing about it. Shares the
    /// connections and all else with this one.
    #[must_use]
    pub fn for_subject(&self, subject: &Subject) -> Self {
        Self {
            source: self.source.for_subject(subject),
            client: self.chain.assemble(self.chain.bearer.for_subject(subject)),
            ..self.clone()
        }
    }

    /// What relative paths are joined to.
    #[must_use]
    pub fn base_url(&self) -> &Url {
        &self.base_url
    }

    /// Where its tokens come from.
    #[must_use]
    pub fn source(&self) -> &TokenSource {
        &self.source
    }

    /// The plain client inside, for libraries that want one. It joins no paths.
    #[must_use]
    pub fn inner(&self) -> &ClientWithMiddleware {
        &self.client
    }

    /// The URL that a path stands for.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPath`] if the path would leave the base URL.
    pub fn url(&self, path: impl AsRef<str>) -> Result<Url, Error> {
        join(&self.base_url, path.as_ref())
    }

    /// Begins a GET request.
    pub fn get(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// Begins a POST request.
    pub fn post(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    /// Begins a PUT request.
    pub fn put(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PUT, path)
    }

    /// Begins a PATCH request.
    pub fn patch(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::PATCH, path)
    }

    /// Begins a DELETE request.
    pub fn delete(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::DELETE, path)
    }

    /// Begins a HEAD request.
    pub fn head(&self, path: impl AsRef<str>) -> RequestBuilder {
        self.request(Method::HEAD, path)
    }

    /// Begins a request. A path that cannot be joined is an error of `send`, as a URL that cannot
    /// be read is with a plain client.
    pub fn request(&self, method: Method, path: impl AsRef<str>) -> RequestBuilder {
        match self.url(path) {
            Ok(url) => self.client.request(method, url),
            Err(error) => self
                .client
                .request(method, NOWHERE)
                .with_extension(InvalidPath(error)),
        }
    }
}

impl fmt::Debug for NamedClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the client inside, which shows its default headers: there may be keys among them.
        formatter
            .debug_struct("NamedClient")
            .field("name", &self.name)
            .field("base_url", &self.base_url.as_str())
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

/// All the named clients of a program: built once at start, taken by name anywhere.
///
/// ```
/// # fn apis(grant: impl reqwest_bearer::Grant) -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::{NamedClient, NamedClients, TokenSource};
///
/// let source = TokenSource::from(grant); // shared by both
/// let apis = NamedClients::new([
///     NamedClient::new("orders", "https://orders.example.com", &source)?,
///     NamedClient::new("billing", "https://billing.example.com/v2", &source)?,
/// ])?;
/// let invoice = apis.get("billing")?.get("invoices/7");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct NamedClients {
    clients: BTreeMap<String, NamedClient>,
}

impl NamedClients {
    /// The registry of these clients.
    ///
    /// # Errors
    /// If two have the same name.
    pub fn new(clients: impl IntoIterator<Item = NamedClient>) -> Result<Self, Error> {
        let mut registry = Self::default();
        for client in clients {
            let name = client.name.clone();
            if registry.clients.insert(name.clone(), client).is_some() {
                return Err(Error::settings(format!(
                    "two named clients are called `{name}`; give each a name of its own"
                )));
            }
        }
        Ok(registry)
    }

    /// The client of this name.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownName`] with the names that there are.
    pub fn get(&self, name: &str) -> Result<&NamedClient, Error> {
        self.clients.get(name).ok_or_else(|| {
            let known: Vec<_> = self.names().collect();
            let known = if known.is_empty() {
                "there are none".to_owned()
            } else {
                format!("there are: {}", known.join(", "))
            };
            Error::new(
                ErrorKind::UnknownName,
                format!("no client is called `{name}`; {known}"),
            )
        })
    }

    /// The names, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.clients.keys().map(String::as_str)
    }

    /// The clients, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &NamedClient> {
        self.clients.values()
    }

    /// Gets the first token of every client, of all at once.
    ///
    /// # Errors
    /// The first error in the order of the names; the tokens that came all the same are kept.
    pub async fn warm_up(&self) -> Result<(), Error> {
        let all = self.iter().map(|client| client.source.warm_up());
        join_all(all).await.into_iter().collect()
    }

    /// Shuts every token source down, all at once; see [`TokenSource::shutdown`].
    ///
    /// # Errors
    /// The first error in the order of the names; all sources are shut down nevertheless.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let all = self.iter().map(|client| client.source.shutdown());
        join_all(all).await.into_iter().collect()
    }
}
