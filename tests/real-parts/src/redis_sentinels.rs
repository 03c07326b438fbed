//! Starts a real Redis with a replica, and three Sentinels that watch them, for one test.

use std::collections::HashMap;

use tokio::net::TcpSocket;

use crate::free_port::free_port;
use crate::running::{Running, until};
use crate::{Folder, RedisServer};

/// The name that the Sentinels know the master by.
const NAME: &str = "tokens";

/// A master, a replica and three Sentinels, two of which have to agree that the master is down. They end with
/// this.
#[derive(Debug)]
pub struct RedisSentinels {
    servers: [RedisServer; 2],
    sentinels: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    port: u16,
    _reservation: TcpSocket,
    // Before its folder goes.
    _running: Running,
    _folder: Folder,
}

impl RedisSentinels {
    /// Starts them, and returns when the replica has what the master has, and the Sentinels know each other.
    pub async fn start() -> Self {
        // Nobody is waited for who might want the same.
        let at_once = ["--repl-diskless-sync-delay", "0"];
        let master = RedisServer::start_with(&at_once).await;
        let port = master.address().port().to_string();
        let replica = [["--replicaof", "127.0.0.1", &port].as_slice(), &at_once].concat();
        let replica = RedisServer::start_with(&replica).await;
        until(|| async {
            let replication: String = replica.ask(&["INFO", "replication"]).await;
            replication.contains("master_link_status:up")
        })
        .await;
        let sentinels = (0..3).map(|_| Sentinel::start(&port)).collect();
        let started = Self {
            servers: [master, replica],
            sentinels,
        };
        for sentinel in &started.sentinels {
            let sees_all = async || {
                let others = sentinel.tells("num-other-sentinels").await;
                let replicas = sentinel.tells("num-slaves").await;
                others.as_deref() == Some("2") && replicas.as_deref() == Some("1")
            };
            until(sees_all).await;
        }
        started
    }

    /// The URLs of the Sentinels.
    pub fn urls(&self) -> Vec<String> {
        self.sentinels.iter().map(Sentinel::url).collect()
    }

    /// The name that they know the master by.
    pub fn name(&self) -> &'static str {
        NAME
    }

    /// The first master, and the first replica.
    pub fn servers(&mut self) -> &mut [RedisServer; 2] {
        &mut self.servers
    }

    /// Lets the master and the replica change places, as before an update of the master's machine. Returns when
    /// the Sentinels say so.
    pub async fn switch(&self) {
        let first = &self.sentinels[0];
        let _: Option<()> = first.ask(&["SENTINEL", "FAILOVER", NAME]).await;
        self.until_replica_is_master().await;
    }

    /// Returns when all Sentinels say that the first replica is the master.
    pub async fn until_replica_is_master(&self) {
        let port = self.servers[1].address().port().to_string();
        for sentinel in &self.sentinels {
            until(async || sentinel.tells("port").await.as_ref() == Some(&port)).await;
        }
    }
}

impl Sentinel {
    fn start(master: &str) -> Self {
        let (port, reservation) = free_port();
        let folder = Folder::new();
        let settings = format!(
            "port {port}\nbind 127.0.0.1\nsentinel monitor {NAME} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {NAME} 500\nsentinel failover-timeout {NAME} 5000\n"
        );
        std::fs::write(folder.join("sentinel.conf"), settings).expect("the folder is new");
        let command = ["redis-server", "sentinel.conf", "--sentinel"];
        Self {
            port,
            _reservation: reservation,
            _running: Running::start("sentinel", "KILL", &folder, &command),
            _folder: folder,
        }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// What it says of the master under this word; nothing while it does not answer yet.
    async fn tells(&self, word: &str) -> Option<String> {
        let told: HashMap<String, String> = self.ask(&["SENTINEL", "MASTER", NAME]).await?;
        told.get(word).cloned()
    }

    async fn ask<T: redis::FromRedisValue>(&self, words: &[&str]) -> Option<T> {
        let client = redis::Client::open(self.url()).expect("a URL of Redis");
        let mut connection = client.get_multiplexed_async_connection().await.ok()?;
        let mut command = redis::Cmd::new();
        command.arg(words);
        command.query_async(&mut connection).await.ok()
    }
}
