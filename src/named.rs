//! Clients by name, each with its base URL, its tokens and its origins.

mod builder;
#[cfg(feature = "mtls")]
mod by_certificate;
mod carrier;
#[cfg(feature = "mtls")]
mod certified;
mod exchange_client;
mod forwards;
mod http;
mod parts;
mod registry;
mod tenants;
mod user_client;

use std::fmt;

use ::http::Method;
use reqwest::Url;
use reqwest_middleware::{ClientWithMiddleware, RequestBuilder};

pub use crate::named::builder::NamedClientBuilder;
pub use crate::named::exchange_client::{NamedExchangeClient, NamedExchangeClientBuilder};
pub use crate::named::registry::NamedClients;
pub use crate::named::tenants::{NamedTenantClient, NamedTenantClientBuilder, TenantSettings};
pub use crate::named::user_client::{NamedUserClient, NamedUserClientBuilder};

use crate::endpoint::ClientAuthentication;
use crate::error::Error;
use crate::grant::ResourceCredentials;
use crate::named::forwards::requests;
use crate::named::parts::Parts;
use crate::resource::ProtectedResource;
use crate::source::TokenSource;

/// A client for one API, used as a plain reqwest client is: the token is not the caller's concern.
///
/// Its token is the application's own, or that of one user ([`NamedUserClient::for_subject`]).
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
///
/// An application's client has no handle for a user, since the application's token may do more than the
/// user may:
///
/// ```compile_fail,E0599
/// # fn alice(orders: reqwest_bearer::NamedClient, alice: reqwest_bearer::Subject) {
/// let for_alice = orders.for_subject(&alice); // D8: no method named `for_subject`
/// # }
/// ```
#[derive(Clone)]
pub struct NamedClient(pub(crate) Parts);

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
        let tokens = source.into().handle().clone();
        NamedClientBuilder::new(name.into(), base_url.as_ref().to_owned(), tokens)
    }

    /// The client of an API that says where its tokens come from (RFC 9728), for the application's own tokens:
    /// the authorization server is found when the first token is needed, and the program says which client it
    /// is there, by the server's issuer. All else is as in [`ResourceCredentials`].
    ///
    /// ```no_run
    /// # async fn call() -> Result<(), Box<dyn std::error::Error>> {
    /// use reqwest_bearer::{ClientAuthentication, NamedClient};
    ///
    /// let orders = NamedClient::for_resource("orders", "https://api.example.com/v1", |issuer| {
    ///     let client = || ClientAuthentication::client_secret_basic("my-client", "s3cr3t");
    ///     (issuer == "https://login.example.com").then(client)
    /// })?;
    /// let order = orders.get("orders/42").send().await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the name is empty, or the URL is none of an API that a token may be sent to.
    pub fn for_resource(
        name: impl Into<String>,
        url: impl AsRef<str>,
        client_at: impl Fn(&str) -> Option<ClientAuthentication> + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let resource = ProtectedResource::new(url)?;
        let grant = ResourceCredentials::new(&resource, client_at);
        Self::new(name, resource.url(), grant)
    }

    /// Where its tokens come from.
    #[must_use]
    pub fn source(&self) -> TokenSource {
        TokenSource::new(self.0.tokens().clone())
    }
}

requests!(NamedClient);

impl fmt::Debug for NamedClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the client inside, which shows its default headers: there may be keys among them.
        formatter
            .debug_struct("NamedClient")
            .field("name", &self.name())
            .field("base_url", &self.base_url().as_str())
            .field("source", &self.0.tokens().name())
            .finish_non_exhaustive()
    }
}
