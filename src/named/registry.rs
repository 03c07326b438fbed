//! All the named clients of a program, by their names.

use std::collections::BTreeMap;

use futures_util::future::join_all;

use crate::error::{Error, ErrorKind};
use crate::named::NamedClient;
use crate::named::exchange_client::NamedExchangeClient;
use crate::named::parts::Parts;
use crate::named::user_client::NamedUserClient;

/// All the named clients of a program: built once at start, taken by name anywhere.
///
/// ```
/// # fn apis(grant: impl reqwest_bearer::Grant, users: &reqwest_bearer::UserSessions)
/// # -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::{NamedClient, NamedClients, NamedUserClient};
///
/// let billing = NamedClient::new("billing", "https://billing.example.com/v2", grant)?;
/// let orders = NamedUserClient::new("orders", "https://orders.example.com", users)?;
/// let apis = NamedClients::new([billing])?.with_user_clients([orders])?;
///
/// let invoice = apis.get("billing")?.get("invoices/7");
/// let orders = apis.user_client("orders")?; // then `.for_subject(&session)`
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
pub struct NamedClients {
    clients: BTreeMap<String, NamedClient>,
    user_clients: BTreeMap<String, NamedUserClient>,
    exchange_clients: BTreeMap<String, NamedExchangeClient>,
}

impl NamedClients {
    /// The registry of these clients.
    ///
    /// # Errors
    /// If two have the same name.
    pub fn new(clients: impl IntoIterator<Item = NamedClient>) -> Result<Self, Error> {
        let mut registry = Self::default();
        for client in clients {
            registry.is_free(client.name())?;
            registry.clients.insert(client.name().to_owned(), client);
        }
        Ok(registry)
    }

    /// The same registry with these clients for users besides.
    ///
    /// # Errors
    /// If two have the same name, of whichever kind they are.
    pub fn with_user_clients(
        mut self,
        clients: impl IntoIterator<Item = NamedUserClient>,
    ) -> Result<Self, Error> {
        for client in clients {
            self.is_free(client.name())?;
            self.user_clients.insert(client.name().to_owned(), client);
        }
        Ok(self)
    }

    /// The same registry with these clients for those who call this service besides.
    ///
    /// # Errors
    /// If two have the same name, of whichever kind they are.
    pub fn with_exchange_clients(
        mut self,
        clients: impl IntoIterator<Item = NamedExchangeClient>,
    ) -> Result<Self, Error> {
        for client in clients {
            self.is_free(client.name())?;
            self.exchange_clients
                .insert(client.name().to_owned(), client);
        }
        Ok(self)
    }

    /// The client of this name.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownName`] with the names that there are; of a client of another kind it says which
    /// method has it.
    pub fn get(&self, name: &str) -> Result<&NamedClient, Error> {
        self.clients.get(name).ok_or_else(|| self.unknown(name))
    }

    /// The client for users of this name.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn user_client(&self, name: &str) -> Result<&NamedUserClient, Error> {
        let client = self.user_clients.get(name);
        client.ok_or_else(|| self.unknown(name))
    }

    /// The client of this name for those who call this service.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn exchange_client(&self, name: &str) -> Result<&NamedExchangeClient, Error> {
        let client = self.exchange_clients.get(name);
        client.ok_or_else(|| self.unknown(name))
    }

    /// The names of all kinds, in alphabetical order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let own = self.clients.keys();
        let mut names: Vec<_> = own
            .chain(self.user_clients.keys())
            .chain(self.exchange_clients.keys())
            .collect();
        names.sort_unstable();
        names.into_iter().map(String::as_str)
    }

    /// The clients, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &NamedClient> {
        self.clients.values()
    }

    /// The clients for users, in the order of their names.
    pub fn iter_user_clients(&self) -> impl Iterator<Item = &NamedUserClient> {
        self.user_clients.values()
    }

    /// The clients for those who call this service, in the order of their names.
    pub fn iter_exchange_clients(&self) -> impl Iterator<Item = &NamedExchangeClient> {
        self.exchange_clients.values()
    }

    /// Gets the first token of every client, of all at once; of clients for users and for callers it finds
    /// the token endpoint.
    ///
    /// # Errors
    /// The first error, of the clients before those for users, of these before those for callers, and each in
    /// the order of the names; the tokens that came all the same are kept.
    pub async fn warm_up(&self) -> Result<(), Error> {
        let all = self.parts().map(|parts| parts.tokens().warm_up());
        join_all(all).await.into_iter().collect()
    }

    /// Shuts every source of tokens down, all at once; see
    /// [`TokenSource::shutdown`](crate::TokenSource::shutdown).
    ///
    /// # Errors
    /// The first error in the same order; all sources are shut down nevertheless.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let all = self.parts().map(|parts| parts.tokens().shut_down());
        join_all(all).await.into_iter().collect()
    }

    fn parts(&self) -> impl Iterator<Item = &Parts> {
        let own = self.clients.values().map(|client| &client.0);
        own.chain(self.user_clients.values().map(NamedUserClient::parts))
            .chain(
                self.exchange_clients
                    .values()
                    .map(NamedExchangeClient::parts),
            )
    }

    /// Whom the client of this name is for, and which method has it.
    fn kind_of(&self, name: &str) -> Option<(&str, &str)> {
        if self.clients.contains_key(name) {
            Some(("the application", "get"))
        } else if self.user_clients.contains_key(name) {
            Some(("users", "user_client"))
        } else if self.exchange_clients.contains_key(name) {
            Some(("callers of this service", "exchange_client"))
        } else {
            None
        }
    }

    fn is_free(&self, name: &str) -> Result<(), Error> {
        if self.kind_of(name).is_some() {
            return Err(Error::settings(format!(
                "two named clients are called `{name}`; give each a name of its own"
            )));
        }
        Ok(())
    }

    fn unknown(&self, name: &str) -> Error {
        let known: Vec<_> = self.names().collect();
        let message = if let Some((whose, method)) = self.kind_of(name) {
            format!("the client `{name}` is for {whose}: take it by `{method}(\"{name}\")`")
        } else if known.is_empty() {
            format!("no client is called `{name}`; there are none")
        } else {
            format!(
                "no client is called `{name}`; there are: {}",
                known.join(", ")
            )
        };
        Error::new(ErrorKind::UnknownName, message)
    }
}
