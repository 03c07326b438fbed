//! The settings that all tenants of a client have in common.

use std::fmt;
use std::sync::Arc;

use crate::clock::Clock;
use crate::error::Error;
use crate::named::builder::NamedClientBuilder;
use crate::named::tenants::NamedTenantClient;
use crate::named::tenants::directory::Directory;
use crate::named::tenants::recipe::{Change, Recipe, SettingsFn};
use crate::path;
use crate::redirect::{HttpClient, http_client};
use crate::source::TokenSourceBuilder;

#[cfg(any(test, feature = "test-util"))]
use crate::clock::TestClock;

/// Makes a [`NamedTenantClient`].
#[must_use = "a builder makes nothing until `build` is called"]
pub struct NamedTenantClientBuilder {
    name: String,
    settings_of: SettingsFn,
    base_url: Option<String>,
    http: Option<HttpClient>,
    each_source: Option<Change<TokenSourceBuilder>>,
    each_client: Option<Change<NamedClientBuilder>>,
    capacity: usize,
    clock: Clock,
}

impl NamedTenantClientBuilder {
    pub(super) fn new(name: String, settings_of: SettingsFn) -> Self {
        Self {
            name,
            settings_of,
            base_url: None,
            http: None,
            each_source: None,
            each_client: None,
            capacity: 10_000,
            clock: Clock::system(),
        }
    }

    /// Where the API of the tenants is that bring none of their own. Default: each has to bring one.
    pub fn base_url(mut self, base_url: impl Into<String>) -> Self {
        self.base_url = Some(base_url.into());
        self
    }

    /// A client that this crate has built, to share one pool of connections with other named clients.
    /// Default: one for all tenants.
    pub fn client(mut self, client: &HttpClient) -> Self {
        self.http = Some(client.clone());
        self
    }

    /// What is set for the source of each tenant's tokens: margins, time-outs, events, a store. A store keeps
    /// the tenants apart whatever their grants have in common. Default: nothing.
    ///
    /// ```
    /// # fn build(settings_of: fn(String) -> std::future::Ready<
    /// #     Result<reqwest_bearer::TenantSettings, reqwest_bearer::Error>>,
    /// #     store: impl reqwest_bearer::TokenStore + Clone) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::NamedTenantClient;
    ///
    /// let orders = NamedTenantClient::builder("orders", settings_of)
    ///     .base_url("https://api.example.com/v1")
    ///     .each_source(move |source| source.store(store.clone()))
    ///     .each_client(|client| client.header("X-Access-Token").without_scheme())
    ///     .capacity(1_000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn each_source(
        mut self,
        change: impl Fn(TokenSourceBuilder) -> TokenSourceBuilder + Send + Sync + 'static,
    ) -> Self {
        self.each_source = Some(Arc::new(change));
        self
    }

    /// What is set for the client of each tenant: middleware, header and scheme. An origin that is added here
    /// is one of every tenant. Default: nothing.
    pub fn each_client(
        mut self,
        change: impl Fn(NamedClientBuilder) -> NamedClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.each_client = Some(Arc::new(change));
        self
    }

    /// How many tenants are kept ready in this process, those included whose settings could not be had. The
    /// least recently used go first, with their tokens, and are asked for again when they come back; never
    /// one whose client the program holds. Default: 10,000.
    pub fn capacity(mut self, tenants: usize) -> Self {
        self.capacity = tenants;
        self
    }

    /// Takes time and timers from a clock that a test sets, for each tenant too. Default: the machine's.
    #[cfg(any(test, feature = "test-util"))]
    pub fn clock(mut self, clock: &TestClock) -> Self {
        self.clock = Clock::Test(clock.clone());
        self
    }

    /// Makes the client. Asks nobody.
    ///
    /// # Errors
    /// If the name is empty, the base URL is no URL, the capacity is zero, or reqwest cannot build its
    /// client.
    pub fn build(self) -> Result<NamedTenantClient, Error> {
        if self.name.trim().is_empty() {
            return Err(Error::settings(
                "the name of a named client is empty; give it one to take it by",
            ));
        }
        if self.capacity == 0 {
            return Err(Error::settings(
                "capacity is zero; at least one tenant has to be kept",
            ));
        }
        if let Some(base_url) = &self.base_url {
            path::base_url(base_url)?;
        }
        let http = match self.http {
            Some(http) => http,
            None => http_client(reqwest::Client::builder())?,
        };
        Ok(NamedTenantClient {
            recipe: Arc::new(Recipe {
                name: self.name.into(),
                settings_of: self.settings_of,
                base_url: self.base_url,
                http,
                each_source: self.each_source,
                each_client: self.each_client,
                clock: self.clock,
            }),
            directory: Arc::new(Directory::new(self.capacity)),
        })
    }
}

impl fmt::Debug for NamedTenantClientBuilder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the base URL, which is not yet checked for passwords.
        formatter
            .debug_struct("NamedTenantClientBuilder")
            .field("name", &self.name)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
