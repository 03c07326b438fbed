//! How the client of one tenant is made: what all tenants have in common, and what each brings.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::named::NamedClient;
use crate::named::builder::NamedClientBuilder;
use crate::named::tenants::settings::TenantSettings;
use crate::redirect::HttpClient;
use crate::source::TokenSourceBuilder;

/// How long the program may take to say what a tenant is called with.
const SETTINGS_TIMEOUT: Duration = Duration::from_secs(10);

type Asked = Pin<Box<dyn Future<Output = Result<TenantSettings, Error>> + Send>>;

/// The program's function that knows the tenants.
pub(super) type SettingsFn = Arc<dyn Fn(String) -> Asked + Send + Sync>;

/// What the program does to each source of tokens, and to each client.
pub(super) type Change<T> = Arc<dyn Fn(T) -> T + Send + Sync>;

/// What all tenants have in common.
pub(super) struct Recipe {
    pub(super) name: Arc<str>,
    pub(super) settings_of: SettingsFn,
    pub(super) base_url: Option<String>,
    /// One pool of connections for all.
    pub(super) http: HttpClient,
    pub(super) each_source: Option<Change<TokenSourceBuilder>>,
    pub(super) each_client: Option<Change<NamedClientBuilder>>,
    pub(super) clock: Clock,
}

/// The boxed twin of a function of the program's.
pub(super) fn settings_fn<F, S, E>(settings_of: F) -> SettingsFn
where
    F: Fn(String) -> S + Send + Sync + 'static,
    S: Future<Output = Result<TenantSettings, E>> + Send + 'static,
    E: Into<Box<dyn StdError + Send + Sync>>,
{
    Arc::new(move |tenant| {
        let asked = settings_of(tenant);
        Box::pin(async move { asked.await.map_err(|error| failed(error.into())) })
    })
}

impl Recipe {
    /// Asks for the settings of a tenant, and makes its client.
    ///
    /// # Errors
    /// If they cannot be had in time, or cannot work.
    pub(super) async fn client(&self, tenant: &str) -> Result<NamedClient, Error> {
        // Within the future: a function may panic before it has anything to await, and so may what is done
        // to each source.
        let made = async {
            let settings = (self.settings_of)(tenant.to_owned()).await?;
            self.make(tenant, settings)
        };
        let made = AssertUnwindSafe(made).catch_unwind();
        let late = self.clock.sleep(SETTINGS_TIMEOUT);
        tokio::select! {
            biased;
            made = made => made.unwrap_or_else(|_| Err(Error::new(
                ErrorKind::Panicked,
                "the function that knows the tenants panicked",
            ))),
            () = late => Err(Error::new(
                ErrorKind::Timeout,
                "the settings of the tenant did not come in time",
            )),
        }
    }

    fn make(&self, tenant: &str, settings: TenantSettings) -> Result<NamedClient, Error> {
        let mut source = TokenSourceBuilder::new(settings.grant)
            .name(&*self.name)
            .with_clock(self.clock.clone());
        if let Some(each_source) = &self.each_source {
            source = each_source(source);
        }
        // Last, so that nothing takes it away again: it keeps the tenant's records apart.
        let source = source.of_tenant(tenant).build()?;
        let Some(base_url) = settings.base_url.or_else(|| self.base_url.clone()) else {
            return Err(Error::settings(
                "neither the tenant nor the client has a base URL; give one of them one",
            ));
        };
        let tokens = source.handle().clone();
        let mut client = NamedClientBuilder::new(self.name.to_string(), base_url, tokens);
        client = client.client(&self.http);
        if let Some(each_client) = &self.each_client {
            client = each_client(client);
        }
        for origin in settings.origins {
            client = client.origin(origin);
        }
        client.build()
    }
}

fn failed(error: Box<dyn StdError + Send + Sync>) -> Error {
    match error.downcast::<Error>() {
        Ok(own) => *own,
        Err(foreign) => Error::unavailable("the settings of the tenant could not be had")
            .with_boxed_source(foreign),
    }
}

impl fmt::Debug for Recipe {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Recipe")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
