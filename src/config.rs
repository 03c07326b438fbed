//! Named clients that a configuration describes: a file, the environment, or both.

mod additions;
mod authentication;
mod builder;
#[cfg(feature = "mtls")]
mod certificate;
mod client;
#[cfg(test)]
mod documented;
mod duration;
mod faults;
mod grant;
mod key_path;
mod keys;
mod nearest;
mod parameters;
mod secret;
mod server;
mod servers;
#[cfg(feature = "signing")]
mod signed_assertion;
#[cfg(feature = "signing")]
mod signing_key;
mod source;
mod table;
mod tokens;
mod value;

use std::fmt;

use serde::{Deserialize, Deserializer};

pub use crate::config::builder::NamedClientsBuilder;

use crate::config::value::{Entries, TableOf, Value};
use crate::error::Error;
use crate::named::NamedClients;

/// The named clients of a program as its configuration describes them, read by whatever the program reads its
/// configuration with: TOML, JSON, YAML, the environment through `config` or `figment`.
///
/// [The page on configuration](crate::guide::config) has all keys. A key is called as the method of the builder
/// that it goes to, whose checks are those of clients from code.
///
/// Reading takes everything as it stands; [`build`](Self::build) judges it, and tells all that is wrong at once,
/// each with its full key. It may be a part of the program's own settings:
///
/// ```
/// use reqwest_bearer::{NamedClients, NamedClientsConfig};
///
/// #[derive(serde::Deserialize)]
/// struct Settings {
///     listen: String,
///     apis: NamedClientsConfig,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let settings: Settings = toml::from_str(
///     r#"
///     listen = "[::1]:8080"
///
///     [apis.servers.login]
///     issuer = "https://login.example.com"
///     client_id = "my-client"
///     client_secret = { file = "/run/secrets/login" }
///
///     [apis.clients.orders]
///     base_url = "https://api.example.com/v1"
///     server = "login"
///     scope = "orders:read"
///     "#,
/// )?;
/// let apis: NamedClients = settings.apis.below("apis").build()?;
/// let order = apis.get("orders")?.get("orders/42"); // then `.send().await?`
/// # Ok(())
/// # }
/// ```
///
/// Its `Debug` output has the names of the tables and nothing of what is in them.
#[derive(Clone)]
pub struct NamedClientsConfig {
    entries: Entries,
    prefix: String,
}

impl NamedClientsConfig {
    /// Says where the program has it in its own settings, so that errors name the whole key:
    /// `apis.clients.orders.base_url`.
    /// Default: keys begin with `clients`, `servers` and `sources`.
    #[must_use]
    pub fn below(mut self, key: impl Into<String>) -> Self {
        self.prefix = key.into();
        self
    }

    /// Makes the clients. Asks no server; variables of the environment are read now, files of secrets for each
    /// token request.
    ///
    /// # Errors
    /// As [`NamedClientsBuilder::build`].
    pub fn build(self) -> Result<NamedClients, Error> {
        self.builder().build()
    }

    /// The same after the program has added what only code can say.
    pub fn builder(self) -> NamedClientsBuilder {
        NamedClientsBuilder::new(self)
    }

    /// What the tables below this key are called.
    fn names(&self, key: &str) -> Vec<&str> {
        match self.entries.get(key) {
            Some(Value::Table(entries)) => entries.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

impl<'de> Deserialize<'de> for NamedClientsConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let TableOf(entries) = TableOf::deserialize(deserializer)?;
        Ok(Self {
            entries,
            prefix: String::new(),
        })
    }
}

impl fmt::Debug for NamedClientsConfig {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NamedClientsConfig")
            .field("servers", &self.names("servers"))
            .field("sources", &self.names("sources"))
            .field("clients", &self.names("clients"))
            .finish_non_exhaustive()
    }
}
