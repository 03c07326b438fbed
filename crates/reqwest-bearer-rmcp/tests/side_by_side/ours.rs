//! This package, over a file store.

use std::time::Duration;

use reqwest_bearer::{
    ClientAuthentication, Error, FileStore, Lease, NamedUserClient, StoreKey, StoredRecord,
    Subject, TokenEndpoint, TokenSet, TokenStore, UserSessions, Version,
};
use reqwest_bearer_rmcp::McpHttpClient;

use crate::client::{Disk, Place};

pub(crate) struct Ours(UserSessions);

impl Ours {
    pub(crate) fn new(place: &Place) -> Self {
        let client = ClientAuthentication::client_secret_basic("client", "secret");
        let endpoint = TokenEndpoint::new(&place.token_url, client).unwrap();
        let store = FullableStore {
            files: FileStore::new(&place.file).unwrap(),
            disk: place.disk.clone(),
        };
        let users = UserSessions::builder(&endpoint).store(store);
        Self(users.build().unwrap())
    }

    pub(crate) async fn sign_in(&self, tokens: TokenSet) {
        self.0.sign_in(&me(), tokens).await.unwrap();
        self.0.shutdown().await.unwrap();
    }

    pub(crate) fn http(&self, place: &Place) -> McpHttpClient {
        let client = NamedUserClient::new("notes", &place.mcp, &self.0).unwrap();
        client.for_subject(&me()).into()
    }

    pub(crate) async fn shut_down(&self) {
        self.0.shutdown().await.unwrap();
    }
}

fn me() -> Subject {
    Subject::new("me").unwrap()
}

/// A file store on a disk that can be full.
struct FullableStore {
    files: FileStore,
    disk: Disk,
}

impl TokenStore for FullableStore {
    async fn load(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        self.files.load(key).await
    }

    async fn save(
        &self,
        key: &StoreKey,
        record: StoredRecord,
        expected: Option<Version>,
        keep_for: Duration,
    ) -> Result<bool, Error> {
        if self.disk.is_full() {
            return Err(Error::store("the disk is full"));
        }
        self.files.save(key, record, expected, keep_for).await
    }

    async fn remove(&self, key: &StoreKey) -> Result<Option<StoredRecord>, Error> {
        self.files.remove(key).await
    }

    async fn lease(&self, key: &StoreKey, lease: &Lease) -> Result<bool, Error> {
        self.files.lease(key, lease).await
    }

    async fn release(&self, key: &StoreKey, lease: &Lease) -> Result<(), Error> {
        self.files.release(key, lease).await
    }
}
