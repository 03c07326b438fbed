//! A store that the processes of a fleet share, in a real server of either kind.

use std::net::SocketAddr;
use std::time::Duration;

use redis::cluster::ClusterClient;
use reqwest_bearer::{Protection, RedisStore};
use reqwest_bearer_sqlx::SqlxStore;

use crate::fleet::Place;
use crate::postgres_server::{pool, url};
use crate::{PostgresServer, RedisCluster, RedisServer};

/// Which server it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Redis, which has each write in its log.
    Redis,
    /// A Redis Cluster, each of whose nodes has so and a replica.
    Cluster,
    /// Postgres, with a trigger that writes down each record.
    Postgres,
}

/// A server that processes share a store in. It ends with this.
#[derive(Debug)]
pub enum SharedStore {
    /// Of [`Kind::Redis`].
    Redis(RedisServer),
    /// Of [`Kind::Cluster`].
    Cluster(RedisCluster),
    /// Of [`Kind::Postgres`].
    Postgres(PostgresServer),
}

impl SharedStore {
    /// Starts a server that keeps what it has while it is down.
    pub async fn start(kind: Kind) -> Self {
        match kind {
            Kind::Redis => Self::Redis(RedisServer::start_persistent().await),
            Kind::Cluster => Self::Cluster(RedisCluster::start_with_replicas().await),
            Kind::Postgres => {
                let server = PostgresServer::start().await;
                let store = postgres(&server.url());
                store.migrate().await.expect("Postgres is up");
                let watch = "CREATE TABLE written (data BYTEA);
                     CREATE FUNCTION write_down() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                         INSERT INTO written VALUES (NEW.data);
                         RETURN NULL;
                     END $$;
                     CREATE TRIGGER write_down AFTER INSERT OR UPDATE OF data
                         ON reqwest_bearer_tokens FOR EACH ROW EXECUTE FUNCTION write_down()";
                server.tell(watch).await;
                Self::Postgres(server)
            }
        }
    }

    /// Where it listens: the same address for all its life. Of a cluster the first node.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Redis(server) => server.address(),
            Self::Cluster(cluster) => cluster.nodes()[0].address(),
            Self::Postgres(server) => server.address(),
        }
    }

    /// Where a process finds it that is told this address: its own, or that of a proxy. The nodes of a cluster
    /// tell each other's addresses, so no proxy goes before those.
    pub fn place(&self, address: SocketAddr) -> Place {
        match self {
            Self::Redis(_) => Place::Redis(format!("redis://{address}")),
            Self::Cluster(cluster) => Place::Cluster(cluster.urls()),
            Self::Postgres(_) => Place::Postgres(url(address)),
        }
    }

    /// Everything that was ever stored: what is not in there never was.
    pub async fn everything_written(&self) -> Vec<u8> {
        match self {
            Self::Redis(server) => server.everything_written(),
            Self::Cluster(cluster) => cluster.everything_written(),
            Self::Postgres(server) => {
                let written = server.ask("SELECT data FROM written WHERE data IS NOT NULL");
                let written: Vec<Vec<u8>> = written.await;
                written.concat()
            }
        }
    }

    /// Ends it at once, as a crash does; of a cluster the first node.
    pub fn stop(&mut self) {
        match self {
            Self::Redis(server) => server.stop(),
            Self::Cluster(cluster) => cluster.node_mut(0).stop(),
            Self::Postgres(server) => server.stop(),
        }
    }

    /// Lets it answer nobody, as one that hangs does; of a cluster the first node.
    pub async fn pause(&self) {
        match self {
            Self::Redis(server) => server.pause().await,
            Self::Cluster(cluster) => cluster.nodes()[0].pause().await,
            Self::Postgres(server) => server.pause().await,
        }
    }

    /// Lets it go on.
    pub async fn resume(&self) {
        match self {
            Self::Redis(server) => server.resume().await,
            Self::Cluster(cluster) => cluster.nodes()[0].resume().await,
            Self::Postgres(server) => server.resume().await,
        }
    }

    /// Starts it again at the same address with what it had. Returns when it answers.
    pub async fn start_again(&mut self) {
        match self {
            Self::Redis(server) => server.start_again().await,
            Self::Cluster(cluster) => cluster.node_mut(0).start_again().await,
            Self::Postgres(server) => server.start_again().await,
        }
    }
}

/// The store in the Redis at this URL, in plain text, so that a test can read it.
pub fn redis(url: &str) -> RedisStore {
    RedisStore::open(url, Protection::plain_text()).expect("a URL of Redis")
}

/// The store in the Redis Cluster of these nodes, in plain text as well. Its client takes no node for gone
/// that is slow on a busy machine: the store's own limit is enough.
pub async fn cluster(urls: &[String]) -> RedisStore {
    let client = ClusterClient::builder(urls.to_vec()).response_timeout(Duration::from_secs(2));
    let client = client.build().expect("URLs of Redis");
    let connection = client.get_async_connection().await;
    let connection = connection.expect("the cluster is up");
    let store = RedisStore::over(connection, Protection::plain_text());
    store.build().expect("the usual keys")
}

/// The store in the Postgres at this URL, in plain text as well, with a few connections.
pub fn postgres(url: &str) -> SqlxStore {
    let store = SqlxStore::postgres(pool(url, 4), Protection::plain_text());
    store.build().expect("the usual table")
}
