//! Starts a real Redis Cluster for one test: three masters, with a replica each where a master is to die.

use std::time::Duration;

use crate::RedisServer;
use crate::free_port::free_port;
use crate::running::until;

/// The slots of a cluster, in equal shares of its masters.
const SHARES: [[u16; 2]; 3] = [[0, 5460], [5461, 10922], [10923, 16383]];

/// How long a node may be silent that is not dead: longer than any machine stands still.
const PATIENCE: Duration = Duration::from_secs(60);

/// A cluster on free ports of loopback. It ends with this.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<RedisServer>,
    /// The sockets that keep the ports of the nodes' own connections free.
    _reservations: Vec<tokio::net::TcpSocket>,
}

impl RedisCluster {
    /// Three masters.
    pub async fn start() -> Self {
        Self::start_with(0, PATIENCE).await
    }

    /// Three masters, and a replica of each one, which takes no place by itself.
    pub async fn start_with_replicas() -> Self {
        Self::start_with(SHARES.len(), PATIENCE).await
    }

    /// The same, and a master that is silent for two seconds is replaced.
    pub async fn start_with_eager_replicas() -> Self {
        Self::start_with(SHARES.len(), Duration::from_secs(2)).await
    }

    async fn start_with(replicas: usize, patience: Duration) -> Self {
        let mut cluster = Self {
            nodes: Vec::new(),
            _reservations: Vec::new(),
        };
        let patience = patience.as_millis().to_string();
        let mut buses = Vec::new();
        for _ in 0..SHARES.len() + replicas {
            let (bus, reservation) = free_port();
            let bus = bus.to_string();
            let settings = [
                ["--cluster-enabled", "yes"],
                ["--cluster-port", &bus],
                ["--cluster-node-timeout", &patience],
                ["--appendonly", "yes"],
                ["--appendfsync", "no"],
                ["--auto-aof-rewrite-percentage", "0"],
                // Nobody is waited for who might want the same.
                ["--repl-diskless-sync-delay", "0"],
            ];
            let node = RedisServer::start_with(&settings.concat()).await;
            cluster.nodes.push(node);
            cluster._reservations.push(reservation);
            buses.push(bus);
        }
        for (node, [first, last]) in cluster.nodes.iter().zip(SHARES) {
            let (first, last) = (first.to_string(), last.to_string());
            let _: () = node.ask(&["CLUSTER", "ADDSLOTSRANGE", &first, &last]).await;
        }
        for (number, node) in cluster.nodes.iter().enumerate() {
            let epoch = (number + 1).to_string();
            let _: () = node.ask(&["CLUSTER", "SET-CONFIG-EPOCH", &epoch]).await;
            let (first, port) = (&cluster.nodes[0], node.address().port().to_string());
            let meet = ["CLUSTER", "MEET", "127.0.0.1", &port, &buses[number]];
            let _: () = first.ask(&meet).await;
        }
        cluster.until_each_knows_all().await;
        for number in SHARES.len()..cluster.nodes.len() {
            let master = cluster.id(number - SHARES.len()).await;
            let node = &cluster.nodes[number];
            let _: () = node.ask(&["CLUSTER", "REPLICATE", &master]).await;
        }
        for node in &cluster.nodes[SHARES.len()..] {
            until(|| async {
                let replication: String = node.ask(&["INFO", "replication"]).await;
                replication.contains("master_link_status:up")
            })
            .await;
        }
        cluster.until_ok().await;
        cluster
    }

    /// The URLs of all nodes.
    pub fn urls(&self) -> Vec<String> {
        self.nodes.iter().map(RedisServer::url).collect()
    }

    /// Its nodes: the masters, and then their replicas in the same order.
    pub fn nodes(&self) -> &[RedisServer] {
        &self.nodes
    }

    /// The same, to be stopped and started again.
    pub fn node_mut(&mut self, number: usize) -> &mut RedisServer {
        &mut self.nodes[number]
    }

    /// Everything that was ever written to any node.
    pub fn everything_written(&self) -> Vec<u8> {
        let nodes = self.nodes.iter();
        nodes.flat_map(RedisServer::everything_written).collect()
    }

    /// The slot of a key.
    pub async fn slot(&self, key: &str) -> u16 {
        let node = self.nodes.iter().find(|node| node.runs());
        let node = node.expect("not all of them are stopped");
        node.ask(&["CLUSTER", "KEYSLOT", key]).await
    }

    /// The master that the slot was given to at the start.
    pub fn owner(slot: u16) -> usize {
        let share = |[first, last]: &[u16; 2]| (*first..=*last).contains(&slot);
        let owner = SHARES.iter().position(share);
        owner.expect("all slots are somebody's")
    }

    /// Opens a slot, so that it can move from one master to another. New keys go to the other one from now on.
    pub async fn begin_move(&self, slot: u16, from: usize, to: usize) {
        self.set_slot(to, slot, "IMPORTING", from).await;
        self.set_slot(from, slot, "MIGRATING", to).await;
    }

    /// Moves the keys of an open slot that are there.
    pub async fn move_keys(&self, slot: u16, from: usize, to: usize) {
        let port = self.nodes[to].address().port().to_string();
        let slot = slot.to_string();
        let keys = ["CLUSTER", "GETKEYSINSLOT", &slot, "1000"];
        let keys: Vec<String> = self.nodes[from].ask(&keys).await;
        for key in keys {
            let to = ["MIGRATE", "127.0.0.1", &port, &key, "0", "10000"];
            let _: redis::Value = self.nodes[from].ask(&to).await;
        }
    }

    /// Gives an open slot without keys to its new master.
    pub async fn end_move(&self, slot: u16, from: usize, to: usize) {
        for node in [to, from] {
            self.set_slot(node, slot, "NODE", to).await;
        }
    }

    /// Lets a master's replica take its place, as before an update of the master's machine: nothing that was
    /// written is lost. Returns when it has.
    pub async fn switch(&self, master: usize) {
        let replica = &self.nodes[master + SHARES.len()];
        let _: () = replica.ask(&["CLUSTER", "FAILOVER"]).await;
        until(|| async {
            let replication: String = replica.ask(&["INFO", "replication"]).await;
            replication.contains("role:master")
        })
        .await;
    }

    /// Returns when every node that answers says that all slots are served.
    pub async fn until_ok(&self) {
        self.until_all_say("cluster_state:ok").await;
    }

    async fn until_each_knows_all(&self) {
        let known = format!("cluster_known_nodes:{}", self.nodes.len());
        self.until_all_say(&known).await;
    }

    async fn until_all_say(&self, line: &str) {
        for node in self.nodes.iter().filter(|node| node.runs()) {
            until(|| async {
                let info: String = node.ask(&["CLUSTER", "INFO"]).await;
                info.contains(line)
            })
            .await;
        }
    }

    async fn set_slot(&self, node: usize, slot: u16, state: &str, other: usize) {
        let (slot, other) = (slot.to_string(), self.id(other).await);
        let words = ["CLUSTER", "SETSLOT", &slot, state, &other];
        let _: () = self.nodes[node].ask(&words).await;
    }

    async fn id(&self, node: usize) -> String {
        self.nodes[node].ask(&["CLUSTER", "MYID"]).await
    }
}
