//! `object_store` with tokens of `reqwest-bearer`: [`NamedClientConnector`] sends what a store wants sent by
//! a named client; [`TokenCredentials`] gives a store the token alone.

mod connector;
mod credentials;

use std::sync::Arc;

use object_store::gcp::GoogleCloudStorageBuilder;
use reqwest_bearer::NamedClient;

pub use connector::NamedClientConnector;
pub use credentials::TokenCredentials;

/// Google's store by this client, whose origin is that of the store: `https://storage.googleapis.com`.
pub fn by_client(
    store: GoogleCloudStorageBuilder,
    client: &NamedClient,
) -> GoogleCloudStorageBuilder {
    store
        .with_credentials(Arc::new(TokenCredentials::new(client.source())))
        .with_http_connector(NamedClientConnector::new(client.clone()))
}
