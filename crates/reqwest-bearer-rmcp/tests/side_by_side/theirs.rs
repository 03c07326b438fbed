//! rmcp's own OAuth, as its documentation has it: an `AuthClient` with a `CredentialStore` of the program's.

use std::fs;
use std::path::PathBuf;
use std::time::SystemTime;

use reqwest_bearer::TokenSet;
use rmcp::transport::auth::{
    AuthClient, AuthError, AuthorizationManager, AuthorizationMetadata, CredentialRefreshGuard,
    CredentialStore, OAuthClientConfig, StoredCredentials,
};
use serde_json::json;

use crate::client::{Disk, Place, beside};

/// Keeps the credentials in a file, which is written whole or not at all.
struct FileCredentials {
    file: PathBuf,
    disk: Disk,
    is_locked: bool,
}

impl FileCredentials {
    fn write(&self, text: &str) -> Result<(), AuthError> {
        if self.disk.is_full() {
            return Err(failed("the disk is full"));
        }
        let new = beside(&self.file, "new");
        let written = fs::write(&new, text).and_then(|()| fs::rename(&new, &self.file));
        written.map_err(failed)
    }
}

fn failed(error: impl ToString) -> AuthError {
    AuthError::CredentialStoreError(error.to_string())
}

#[async_trait::async_trait]
impl CredentialStore for FileCredentials {
    async fn load(&self) -> Result<Option<StoredCredentials>, AuthError> {
        let text = fs::read_to_string(&self.file).map_err(failed)?;
        serde_json::from_str(&text).map_err(failed)
    }

    async fn save(&self, credentials: StoredCredentials) -> Result<(), AuthError> {
        let text = serde_json::to_string(&Some(credentials)).map_err(failed)?;
        self.write(&text)
    }

    async fn clear(&self) -> Result<(), AuthError> {
        self.write("null")
    }

    async fn acquire_refresh_guard(&self) -> Result<Option<CredentialRefreshGuard>, AuthError> {
        if !self.is_locked {
            return Ok(None);
        }
        let path = beside(&self.file, "lock");
        let locking = tokio::task::spawn_blocking(move || {
            let file = fs::File::create(path)?;
            file.lock()?;
            Ok::<_, std::io::Error>(file)
        });
        let file = locking.await.map_err(failed)?.map_err(failed)?;
        Ok(Some(CredentialRefreshGuard::new(file)))
    }
}

pub(crate) async fn sign_in(place: &Place, tokens: &TokenSet) {
    let since = |at: SystemTime| at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let (issued, expires) = (tokens.issued_at().unwrap(), tokens.expires_at().unwrap());
    let response = serde_json::from_value(json!({
        "access_token": tokens.access_token().unwrap().expose(),
        "refresh_token": tokens.refresh_token().unwrap().expose(),
        "token_type": "Bearer",
        "expires_in": since(expires) - since(issued),
    }));
    let credentials = StoredCredentials::new(
        "client".to_owned(),
        Some(response.unwrap()),
        Vec::new(),
        Some(since(issued)),
    );
    let text = serde_json::to_string(&Some(credentials)).unwrap();
    fs::write(&place.file, text).unwrap();
}

pub(crate) async fn http(place: &Place, is_locked: bool) -> AuthClient<reqwest::Client> {
    let mut manager = AuthorizationManager::new(place.mcp.as_str()).await.unwrap();
    let metadata = json!({
        "authorization_endpoint": place.token_url,
        "token_endpoint": place.token_url,
    });
    let metadata: AuthorizationMetadata = serde_json::from_value(metadata).unwrap();
    manager.set_metadata(metadata);
    let client = OAuthClientConfig::new("client", "http://127.0.0.1/callback");
    let client = client.with_client_secret("secret");
    manager.configure_client(client).unwrap();
    manager.set_credential_store(FileCredentials {
        file: place.file.clone(),
        disk: place.disk.clone(),
        is_locked,
    });
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    AuthClient::new(http, manager)
}
