//! The Redis store on a real Redis Cluster: its contract, slots that move, and nodes that die.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use real_parts::RedisCluster;
use redis::aio::ConnectionLike;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::{Arg, Cmd, Pipeline, RedisFuture, Value};
use reqwest_bearer::{
    EncryptionKeys, Error, ErrorKind, Lease, Protection, RedisStore, StoreKey, StoredRecord,
    TokenStore, Version,
};
use reqwest_bearer_testing::StoreContract;
use tokio::sync::{Notify, Semaphore};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What the crate gives a store (F11).
const LIMIT: Duration = Duration::from_secs(2);

/// With the settings that people have: none.
async fn open(cluster: &RedisCluster, protection: Protection) -> RedisStore {
    let client = ClusterClient::new(cluster.urls()).unwrap();
    let connection = client.get_async_connection().await.unwrap();
    RedisStore::over(connection, protection).build().unwrap()
}

async fn plain(cluster: &RedisCluster) -> RedisStore {
    open(cluster, Protection::plain_text()).await
}

fn record(data: &str) -> StoredRecord {
    StoredRecord::new(Version::random().unwrap(), data)
}

fn of_record(key: &StoreKey) -> String {
    format!("reqwest-bearer:{{{key}}}:record")
}

/// A key whose record is on this node.
async fn key_on(cluster: &RedisCluster, node: usize) -> (StoreKey, u16) {
    loop {
        let key = StoreKey::of([Version::random().unwrap().to_string()]);
        let slot = cluster.slot(&of_record(&key)).await;
        if RedisCluster::owner(slot) == node {
            return (key, slot);
        }
    }
}

/// Expects an outcome in the right time, as in `redis_outage.rs`.
async fn in_time<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    tokio::select! {
        biased;
        outcome = call => outcome,
        () = tokio::time::sleep(LIMIT) => panic!("no outcome within {LIMIT:?}"),
    }
}

async fn fails<T: Debug>(call: impl Future<Output = Result<T, Error>>) {
    let error = in_time(call).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store, "{error:?}");
    assert!(error.is_transient());
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster_the_store_keeps_the_contract() {
    let cluster = Arc::new(RedisCluster::start().await);
    let opening = cluster.clone();
    let open_one = move || {
        let cluster = opening.clone();
        async move {
            let keys = EncryptionKeys::new("k1", &[7; 32]).unwrap();
            open(&cluster, Protection::encrypted(keys)).await
        }
    };
    StoreContract::opened_by(open_one).hold().await;
}

#[tokio::test]
async fn a_session_is_renamed_from_one_node_to_another() {
    // F12
    let cluster = RedisCluster::start().await;
    let store = plain(&cluster).await;
    for (from, to) in [(0, 1), (1, 2), (2, 2)] {
        let ((from, _), (to, _)) = (key_on(&cluster, from).await, key_on(&cluster, to).await);
        let (old, new) = (record("old"), record("new"));
        assert!(store.save(&from, old.clone(), None, DAY).await.unwrap());
        let version = old.version();
        let moved = store.rename(&from, version, &to, new.clone(), DAY).await;
        assert!(moved.unwrap());
        assert_eq!(store.load(&from).await.unwrap(), None);
        assert_eq!(store.load(&to).await.unwrap(), Some(new.clone()));
        let again = store.rename(&from, version, &to, new.clone(), DAY).await;
        assert!(!again.unwrap());
    }
}

#[tokio::test]
async fn a_session_stays_where_it_is_when_the_node_that_it_was_to_go_to_is_silent() {
    // F11, F12
    let cluster = RedisCluster::start().await;
    let store = plain(&cluster).await;
    let ((from, _), (to, _)) = (key_on(&cluster, 0).await, key_on(&cluster, 1).await);
    let old = record("old");
    assert!(store.save(&from, old.clone(), None, DAY).await.unwrap());
    cluster.nodes()[1].pause().await;
    fails(store.rename(&from, old.version(), &to, record("new"), DAY)).await;
    cluster.nodes()[1].resume().await;
    cluster.until_ok().await;
    assert_eq!(store.load(&to).await.unwrap(), None);
    assert_eq!(store.load(&from).await.unwrap(), Some(old));
}

/// The client of a cluster, through which no record gets to this key before the gate is open.
#[derive(Clone)]
struct Gated {
    cluster: ClusterConnection,
    to: String,
    reached: Arc<Notify>,
    gate: Arc<Semaphore>,
}

impl Gated {
    fn is_save(&self, command: &Cmd) -> bool {
        let says = |word: &str| {
            command.args_iter().any(|argument| match argument {
                Arg::Simple(text) => String::from_utf8_lossy(text).contains(word),
                _ => false,
            })
        };
        says("'SET'") && says(&self.to) && !says("KEYS[2]")
    }
}

impl ConnectionLike for Gated {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            if self.is_save(command) {
                self.reached.notify_one();
                self.gate.acquire().await.unwrap().forget();
            }
            self.cluster.req_packed_command(command).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.cluster.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.cluster.get_db()
    }
}

#[tokio::test]
async fn a_session_on_its_way_to_another_node_is_not_lost_with_the_caller_who_gives_up() {
    // F12
    let cluster = RedisCluster::start().await;
    let store = plain(&cluster).await;
    let ((from, _), (to, _)) = (key_on(&cluster, 0).await, key_on(&cluster, 1).await);
    let old = record("old");
    assert!(store.save(&from, old.clone(), None, DAY).await.unwrap());
    let client = ClusterClient::new(cluster.urls()).unwrap();
    let gated = Gated {
        cluster: client.get_async_connection().await.unwrap(),
        to: of_record(&to),
        reached: Arc::default(),
        gate: Arc::new(Semaphore::new(0)),
    };
    let (reached, gate) = (gated.reached.clone(), gated.gate.clone());
    let gated = RedisStore::over(gated, Protection::plain_text());
    let gated = gated.build().unwrap();
    let caller = tokio::spawn(async move {
        let renamed = gated.rename(&from, old.version(), &to, record("new"), DAY);
        renamed.await.unwrap()
    });
    reached.notified().await;
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    gate.add_permits(10);
    // There, or, where a machine stood still for longer than a call has, back.
    let is_somewhere = async {
        loop {
            let arrived = store.load(&to).await.unwrap();
            let returned = store.load(&from).await.unwrap();
            if arrived.or(returned).is_some() {
                break;
            }
        }
    };
    let limit = Duration::from_secs(30);
    let found = tokio::time::timeout(limit, is_somewhere).await;
    found.expect("the session is somewhere");
}

#[tokio::test]
async fn a_session_is_refreshed_while_its_slot_is_on_its_way_to_another_node() {
    let cluster = RedisCluster::start().await;
    let store = plain(&cluster).await;
    let (key, slot) = key_on(&cluster, 0).await;
    let mut kept = record("first");
    assert!(store.save(&key, kept.clone(), None, DAY).await.unwrap());

    // Each time the record is still where it was, and a new lease is where the slot goes; or both have moved.
    cluster.begin_move(slot, 0, 1).await;
    for has_moved in [false, true] {
        if has_moved {
            cluster.move_keys(slot, 0, 1).await;
        }
        for number in 0..3 {
            let lease = Lease::new(DAY).unwrap();
            let found = in_time(store.lease_and_load(&key, &lease)).await;
            assert_eq!(found.unwrap(), Some(Some(kept.clone())));
            let other = Lease::new(DAY).unwrap();
            let taken = in_time(store.lease_and_load(&key, &other)).await;
            assert_eq!(taken.unwrap(), None, "the lease is one, wherever it is");
            let new = record(&number.to_string());
            let expected = Some(kept.version());
            let saved = store.save_and_release(&key, new.clone(), expected, DAY, &lease);
            assert!(in_time(saved).await.unwrap());
            kept = new;
        }
    }
    cluster.end_move(slot, 0, 1).await;
    assert_eq!(in_time(store.load(&key)).await.unwrap(), Some(kept));
    let there: i64 = cluster.nodes()[1].ask(&["EXISTS", &of_record(&key)]).await;
    assert_eq!(there, 1);
}

#[tokio::test]
async fn a_lease_has_one_owner_while_its_slot_moves_there_and_back() {
    // F3
    let cluster = RedisCluster::start().await;
    let (one, other) = (plain(&cluster).await, plain(&cluster).await);
    let (key, slot) = key_on(&cluster, 0).await;
    let (mine, theirs) = (Lease::new(DAY).unwrap(), Lease::new(DAY).unwrap());
    assert!(one.lease(&key, &mine).await.unwrap());
    for (from, to) in [(0, 1), (1, 0)] {
        cluster.begin_move(slot, from, to).await;
        assert!(!in_time(other.lease(&key, &theirs)).await.unwrap());
        cluster.move_keys(slot, from, to).await;
        assert!(!in_time(other.lease(&key, &theirs)).await.unwrap());
        assert!(in_time(one.lease(&key, &mine)).await.unwrap());
        cluster.end_move(slot, from, to).await;
        assert!(!in_time(other.lease(&key, &theirs)).await.unwrap());
    }
    one.release(&key, &mine).await.unwrap();
    assert!(in_time(other.lease(&key, &theirs)).await.unwrap());
}

#[tokio::test]
async fn when_a_node_dies_calls_for_its_records_fail_in_time_until_its_replica_has_taken_over() {
    // F11
    let mut cluster = RedisCluster::start_with_eager_replicas().await;
    let store = plain(&cluster).await;
    let (key, _) = key_on(&cluster, 0).await;
    let first = record("first");
    assert!(store.save(&key, first.clone(), None, DAY).await.unwrap());
    // A master answers before its replica knows; what it had not passed on would be gone with it.
    let passed_on = async { while cluster.nodes()[3].ask::<i64>(&["DBSIZE"]).await == 0 {} };
    let limit = Duration::from_secs(60);
    let passed_on = tokio::time::timeout(limit, passed_on).await;
    passed_on.expect("the replica hears of it");

    cluster.node_mut(0).stop();
    let mut failed = 0;
    let found = loop {
        match in_time(store.load(&key)).await {
            Ok(found) => break found,
            Err(error) => assert_eq!(error.kind(), ErrorKind::Store, "{error:?}"),
        }
        failed += 1;
        assert!(failed < 60, "the replica has not taken over");
    };
    assert!(failed > 0, "the master was dead");
    assert_eq!(found, Some(first.clone()));
    let second = record("second");
    let expected = Some(first.version());
    while in_time(store.save(&key, second.clone(), expected, DAY))
        .await
        .is_err()
    {
        failed += 1;
        assert!(failed < 60, "the replica takes no record");
    }
    assert_eq!(store.load(&key).await.unwrap(), Some(second));
}
