//! One named client for many tenants, each with credentials, a server and an API of its own (K30).

mod builder;
mod directory;
mod recipe;
mod settings;
mod slot;

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use futures_util::future::join_all;

pub use crate::named::tenants::builder::NamedTenantClientBuilder;
pub use crate::named::tenants::settings::TenantSettings;

use crate::error::Error;
use crate::named::NamedClient;
use crate::named::tenants::directory::Directory;
use crate::named::tenants::recipe::Recipe;
use crate::named::tenants::slot::unknown;

/// In bytes, as of a subject.
const LONGEST: usize = 1024;

/// A client for one API that is called for many tenants, which are known only while the program runs: each
/// with its own client id and secret, authorization server, scopes and, if it brings one, address of the API.
///
/// What a tenant needs is asked of your function, once, when it is first called for. From then on it is a
/// [`NamedClient`] like any other, with a cache, a schedule and origins of its own: no token of one tenant is
/// ever sent for another or to another's API, and a tenant whose settings cannot be had, or whose server is
/// down, is no matter of the others.
///
/// ```no_run
/// # struct Row { client_id: String, secret: String, token_url: String, api: String }
/// # async fn read(tenant: &str) -> std::io::Result<Row> { unimplemented!() }
/// # async fn call() -> Result<(), Box<dyn std::error::Error>> {
/// use reqwest_bearer::{
///     ClientAuthentication, ClientCredentials, NamedTenantClient, TenantSettings, TokenEndpoint,
/// };
///
/// let orders = NamedTenantClient::new("orders", |tenant: String| async move {
///     let row = read(&tenant).await?; // your database
///     let client = ClientAuthentication::client_secret_basic(row.client_id, row.secret);
///     let grant = ClientCredentials::new(TokenEndpoint::new(row.token_url, client)?);
///     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(TenantSettings::new(grant).base_url(row.api))
/// })?;
///
/// // in any request that is for a tenant
/// let answer = orders.for_tenant("acme").await?.get("orders/42").send().await?;
/// # Ok(())
/// # }
/// ```
///
/// Tenants of one authorization server share its limits if their endpoints are made from one by
/// [`TokenEndpoint::for_client`](crate::TokenEndpoint::for_client): one HTTP client, one queue in which the
/// tenants take turns, one breaker for the server. Endpoints that are made anew for each tenant have limits
/// of their own, and share the HTTP client by
/// [`http_client_of`](crate::TokenEndpointBuilder::http_client_of).
///
/// Users within tenants sign in at [`UserSessions`](crate::UserSessions), whose
/// [`Grant::endpoint`](crate::Grant::endpoint) may tell the server by the user.
///
/// Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct NamedTenantClient {
    recipe: Arc<Recipe>,
    directory: Arc<Directory>,
}

impl NamedTenantClient {
    /// A client with the default settings; `settings_of` is asked for those of each tenant.
    ///
    /// # Errors
    /// If the name is empty, or reqwest cannot build its client.
    pub fn new<F, S, E>(name: impl Into<String>, settings_of: F) -> Result<Self, Error>
    where
        F: Fn(String) -> S + Send + Sync + 'static,
        S: Future<Output = Result<TenantSettings, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self::builder(name, settings_of).build()
    }

    /// A client with settings.
    ///
    /// `settings_of` is called with the tenant, once for all who ask for it meanwhile, in a task of its own,
    /// and has 10 s. An error of this crate keeps its kind; of any other type it is the source of one that is
    /// [`Unavailable`](crate::ErrorKind::Unavailable). It is asked again after 1 s, doubling to 5 s (to 30 s
    /// for [`Error::rejected`], which is the word for a tenant that does not exist), and meanwhile its error
    /// serves, which says when.
    pub fn builder<F, S, E>(name: impl Into<String>, settings_of: F) -> NamedTenantClientBuilder
    where
        F: Fn(String) -> S + Send + Sync + 'static,
        S: Future<Output = Result<TenantSettings, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        NamedTenantClientBuilder::new(name.into(), recipe::settings_fn(settings_of))
    }

    /// The client of this tenant, named letter for letter: 1 to 1,024 bytes.
    ///
    /// Take it anew for each piece of work: once the settings are known that costs a look-up, and it is how
    /// the least recently used tenants are told. One that the program holds stays.
    ///
    /// # Errors
    /// What `settings_of` failed with; [`ErrorKind::Settings`](crate::ErrorKind::Settings) if what it gave
    /// cannot work; [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) or
    /// [`ErrorKind::Panicked`](crate::ErrorKind::Panicked) if it took too long or panicked;
    /// [`ErrorKind::UnknownName`](crate::ErrorKind::UnknownName) for a tenant that is empty or too long;
    /// [`ErrorKind::ShutDown`](crate::ErrorKind::ShutDown) after a shutdown, or if the tenant is removed
    /// while its settings are asked for.
    pub async fn for_tenant(&self, tenant: impl AsRef<str>) -> Result<NamedClient, Error> {
        let tenant = tenant.as_ref();
        let found = match check(tenant) {
            Ok(()) => match self.directory.slot(tenant) {
                Some(slot) => slot.client(&self.recipe, tenant).await,
                None => Err(slot::shut_down()),
            },
            Err(error) => Err(error),
        };
        found.map_err(|error| error.of_token_source(&self.recipe.name))
    }

    /// Removes a tenant: one that has left, or whose settings have changed. Its tokens leave this process at
    /// once; a client of it that the program still holds sends nothing with a token any more, and its calls
    /// end with [`ErrorKind::ShutDown`](crate::ErrorKind::ShutDown). The next
    /// [`for_tenant`](Self::for_tenant) asks for the settings anew.
    ///
    /// From the store, if there is one, it takes the records of the tokens that this process has in its
    /// cache, when the requests under way have ended, after 10 s at most. Other records of the tenant stay
    /// until they end by themselves, and its next client uses them: those of scopes and other parameters
    /// whose tokens have left the cache, and all of a tenant that this process has not called for, or that
    /// has left to make room.
    ///
    /// Other processes have a tenant until they remove it too, and may write its records anew. Tokens are not
    /// revoked. If the call is dropped before it returns, the tenant has left this process, and any of its
    /// records may stay.
    ///
    /// # Errors
    /// The first error, if the store cannot be told of a record, which then stays; it is told of all the
    /// others nevertheless. In this process the tenant is gone all the same, so that a second call finds
    /// nothing to remove.
    pub async fn remove(&self, tenant: impl AsRef<str>) -> Result<(), Error> {
        let removed = match self.directory.take(tenant.as_ref()) {
            Some(slot) => slot.remove().await,
            None => Ok(()),
        };
        removed.map_err(|error| error.of_token_source(&self.recipe.name))
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.recipe.name
    }

    /// Starts no more token requests for any tenant, and returns when those under way have ended, at the
    /// latest after 10 s; see [`TokenSource::shutdown`](crate::TokenSource::shutdown).
    ///
    /// # Errors
    /// The first error; all tenants are shut down nevertheless.
    pub async fn shutdown(&self) -> Result<(), Error> {
        let slots = self.directory.close();
        let clients = slots.iter().filter_map(|slot| slot.close());
        let all = clients.map(|client| async move { client.source().shutdown().await });
        join_all(all).await.into_iter().collect()
    }
}

impl fmt::Debug for NamedTenantClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NamedTenantClient")
            .field("name", &self.name())
            .field("tenants", &self.directory.len())
            .finish_non_exhaustive()
    }
}

/// # Errors
/// If no tenant can have this name.
fn check(tenant: &str) -> Result<(), Error> {
    if tenant.trim().is_empty() {
        return Err(unknown("the name of the tenant is empty"));
    }
    if tenant.len() > LONGEST {
        return Err(unknown("the name of the tenant is longer than 1,024 bytes"));
    }
    Ok(())
}
