//! The store of `reqwest-bearer-sqlx` keeps the contract that all stores keep, on a real Postgres and in real
//! time: straight and behind a pooler, and whatever the isolation of the pool's transactions.

use std::sync::Arc;

use real_parts::postgres_server::{pool, url};
use real_parts::{Pooler, PostgresServer};
use reqwest_bearer::{EncryptionKeys, Protection};
use reqwest_bearer_sqlx::sqlx::PgPool;
use reqwest_bearer_sqlx::sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use reqwest_bearer_sqlx::{SqlxStore, SqlxStoreBuilder};
use reqwest_bearer_testing::StoreContract;

struct Postgres {
    server: PostgresServer,
    pooler: Option<Pooler>,
    isolation: &'static str,
    protection: fn() -> Protection,
    settings: fn(SqlxStoreBuilder) -> SqlxStoreBuilder,
}

impl Postgres {
    async fn new() -> Self {
        Self {
            server: PostgresServer::start().await,
            pooler: None,
            isolation: "read committed",
            protection: Protection::plain_text,
            settings: |builder| builder,
        }
    }

    fn pool(&self) -> PgPool {
        if let Some(pooler) = &self.pooler {
            return pool(&url(pooler.address()), 5);
        }
        let options: PgConnectOptions = url(self.server.address()).parse().unwrap();
        let options = options.options([("default_transaction_isolation", self.isolation)]);
        let pool = PgPoolOptions::new().max_connections(10);
        pool.connect_lazy_with(options)
    }
}

impl Postgres {
    /// With a pool of its own, as another process has.
    async fn open(&self) -> SqlxStore {
        let store = SqlxStore::postgres(self.pool(), (self.protection)());
        let store = (self.settings)(store).build().unwrap();
        store.migrate().await.unwrap();
        store
    }
}

async fn hold(postgres: Postgres) {
    let postgres = Arc::new(postgres);
    let open = move || {
        let postgres = postgres.clone();
        async move { postgres.open().await }
    };
    StoreContract::opened_by(open).hold().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract_on_postgres_in_plain_text() {
    hold(Postgres::new().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract_on_postgres_encrypted_and_with_prepared_statements() {
    // F8
    hold(Postgres {
        protection: || Protection::encrypted(EncryptionKeys::new("2025-06", &[7; 32]).unwrap()),
        settings: SqlxStoreBuilder::prepared_statements,
        ..Postgres::new().await
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract_where_transactions_are_serializable() {
    for settings in [|builder| builder, SqlxStoreBuilder::prepared_statements] {
        hold(Postgres {
            isolation: "serializable",
            settings,
            ..Postgres::new().await
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_store_keeps_the_contract_behind_a_pooler_that_gives_each_transaction_another_session()
{
    let server = PostgresServer::start().await;
    // Fewer than the connections that ask: hardly any statement follows another one of the same process.
    let pooler = Pooler::before(server.address(), 3).await;
    hold(Postgres {
        pooler: Some(pooler),
        server,
        ..Postgres::new().await
    })
    .await;
}
