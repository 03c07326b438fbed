//! object_store: the credential and the cache of its Azure store, whose authorization server can be named.

use adapter::{Call, Failure, Library, Setup, serve};
use object_store::azure::{AzureCredential, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::path::Path;
use object_store::{ObjectStoreExt, PutPayload, RetryConfig};

struct ObjectStore(MicrosoftAzure);

impl Library for ObjectStore {
    async fn new(setup: Setup) -> Result<Self, String> {
        if setup.refresh_token.is_some() {
            return Err("its tokens are the application's".to_owned());
        }
        let server = setup.token_url.strip_suffix("/tenant/oauth2/v2.0/token");
        let server = server.ok_or("the URL is another")?;
        MicrosoftAzureBuilder::new()
            .with_account("account")
            .with_container_name("container")
            .with_client_secret_authorization(setup.client_id, setup.client_secret, "tenant")
            .with_authority_host(server)
            .with_endpoint(setup.api)
            .with_allow_http(true)
            .with_retry(retries())
            .build()
            .map(Self)
            .map_err(|error| error.to_string())
    }

    async fn call(&self, call: Call) -> Result<u16, Failure> {
        let path = Path::from(call.url.rsplit('/').next().expect("it has a path"));
        let result = match call.method {
            "POST" => self
                .0
                .put(&path, PutPayload::from(call.body()))
                .await
                .map(|_| ()),
            _ => self.0.get(&path).await.map(|_| ()),
        };
        match result {
            Ok(()) => Ok(200),
            Err(object_store::Error::Unauthenticated { .. }) => Ok(401),
            Err(error) => Err(Failure::of(error)),
        }
    }

    async fn header(&self) -> bool {
        match self.0.credentials().get_credential().await.as_deref() {
            Ok(AzureCredential::BearerToken(token)) => !format!("Bearer {token}").is_empty(),
            _ => false,
        }
    }

    fn debug(&self) -> String {
        format!("{:?}", self.0)
    }
}

/// As often as this crate. By default each caller would try up to ten times, for up to three minutes, and
/// the next one after it.
fn retries() -> RetryConfig {
    RetryConfig {
        max_retries: 2,
        ..RetryConfig::default()
    }
}

fn main() {
    serve::<ObjectStore>();
}
