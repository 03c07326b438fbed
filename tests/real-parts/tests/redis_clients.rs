//! The Redis store over what programs have already: a connection manager, pools, connections that a function makes.

use std::fmt::Debug;
use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bb8_redis::RedisConnectionManager;
use deadpool_redis::{Config, Pool, Runtime};
use real_parts::{RedisServer, SlowProxy};
use redis::aio::{ConnectionLike, ConnectionManager, MultiplexedConnection};
use redis::{Client, Cmd, Pipeline, RedisFuture, Value};
use reqwest_bearer::{
    Error, ErrorKind, Lease, Protection, RedisStore, StoreKey, StoredRecord, TokenStore, Version,
};
use reqwest_bearer_testing::StoreContract;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What the crate gives a store (F11).
const LIMIT: Duration = Duration::from_secs(2);

/// What programs have.
#[derive(Clone, Copy, Debug)]
enum Way {
    Manager,
    Deadpool,
    Bb8,
    Function,
}

const WAYS: [Way; 4] = [Way::Manager, Way::Deadpool, Way::Bb8, Way::Function];

impl Way {
    /// A store over this at a URL, as another process would open it.
    async fn open(self, url: &str) -> RedisStore {
        let client = Client::open(url).unwrap();
        let plain = Protection::plain_text();
        let store = match self {
            Self::Manager => RedisStore::over(ConnectionManager::new(client).await.unwrap(), plain),
            Self::Deadpool => over_deadpool(deadpool(url, 4)),
            Self::Bb8 => {
                let manager = RedisConnectionManager::new(url).unwrap();
                let pool = bb8_redis::bb8::Pool::builder().max_size(4);
                let pool = pool.build(manager).await.unwrap();
                let get = move || {
                    let pool = pool.clone();
                    async move { pool.get().await.map(|connection| connection.clone()) }
                };
                RedisStore::over_pool(get, plain)
            }
            Self::Function => {
                let connect = move || {
                    let client = client.clone();
                    async move { client.get_multiplexed_async_connection().await }
                };
                RedisStore::connected_by(connect, plain)
            }
        };
        store.build().unwrap()
    }
}

fn deadpool(url: &str, size: usize) -> Pool {
    let pool = Config::from_url(url).builder().unwrap();
    let pool = pool.max_size(size).runtime(Runtime::Tokio1);
    pool.build().unwrap()
}

fn over_deadpool(pool: Pool) -> reqwest_bearer::RedisStoreBuilder {
    let get = move || {
        let pool = pool.clone();
        async move { pool.get().await }
    };
    RedisStore::over_pool(get, Protection::plain_text())
}

fn key() -> StoreKey {
    StoreKey::of(["somebody"])
}

fn record(data: &str) -> StoredRecord {
    StoredRecord::new(Version::random().unwrap(), data)
}

/// Expects an error of the right kind in the right time, as in `redis_outage.rs`.
async fn fails<T: Debug>(call: impl Future<Output = Result<T, Error>>) -> Error {
    let error = tokio::select! {
        biased;
        outcome = call => outcome.unwrap_err(),
        () = tokio::time::sleep(LIMIT) => panic!("no error within {LIMIT:?}"),
    };
    assert_eq!(error.kind(), ErrorKind::Store, "{error:?}");
    assert!(error.is_transient());
    error
}

async fn keeps_the_contract(way: Way) {
    let server = RedisServer::start().await;
    let url = server.url().to_owned();
    let open = move || {
        let url = url.clone();
        async move { way.open(&url).await }
    };
    StoreContract::opened_by(open).hold().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_connection_manager_the_store_keeps_the_contract() {
    keeps_the_contract(Way::Manager).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_pool_of_deadpool_s_the_store_keeps_the_contract() {
    keeps_the_contract(Way::Deadpool).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_a_pool_of_bb8_s_the_store_keeps_the_contract() {
    keeps_the_contract(Way::Bb8).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_connections_that_a_function_makes_the_store_keeps_the_contract() {
    keeps_the_contract(Way::Function).await;
}

#[tokio::test]
async fn one_server_has_one_set_of_records_whichever_way_leads_there() {
    let server = RedisServer::start().await;
    let mut stores = vec![RedisStore::open(server.url(), Protection::plain_text()).unwrap()];
    for way in WAYS {
        stores.push(way.open(&server.url()).await);
    }
    let mut expected = None;
    for (number, writer) in stores.iter().enumerate() {
        let new = record(&number.to_string());
        let saved = writer.save(&key(), new.clone(), expected, DAY).await;
        assert!(saved.unwrap(), "{number}");
        for reader in &stores {
            assert_eq!(reader.load(&key()).await.unwrap(), Some(new.clone()));
        }
        expected = Some(new.version());
    }
    let renewed = StoreKey::of(["renewed"]);
    for (number, mover) in stores.iter().enumerate() {
        let (from, to) = match number % 2 {
            0 => (key(), renewed),
            _ => (renewed, key()),
        };
        let new = record("moved");
        let moved = mover.rename(&from, expected.unwrap(), &to, new.clone(), DAY);
        assert!(moved.await.unwrap(), "{number}");
        assert_eq!(stores[0].load(&from).await.unwrap(), None);
        assert_eq!(stores[0].load(&to).await.unwrap(), Some(new.clone()));
        expected = Some(new.version());
    }
}

#[tokio::test]
async fn a_restart_between_two_calls_goes_unnoticed_whoever_has_the_connection() {
    // F11
    for way in WAYS {
        let mut server = RedisServer::start_persistent().await;
        let store = way.open(&server.url()).await;
        let kept = record("kept");
        assert!(store.save(&key(), kept.clone(), None, DAY).await.unwrap());
        for _ in 0..2 {
            server.stop();
            server.start_again().await;
            let found = store.load(&key()).await;
            assert_eq!(found.unwrap(), Some(kept.clone()), "{way:?}");
        }
    }
}

#[tokio::test]
async fn no_call_waits_long_for_a_server_that_hangs_whoever_has_the_connection() {
    // F11
    let hanging = |way: Way| async move {
        let server = RedisServer::start().await;
        let store = way.open(&server.url()).await;
        assert_eq!(store.load(&key()).await.unwrap(), None);
        server.pause().await;
        let lease = Lease::new(DAY).unwrap();
        fails(store.load(&key())).await;
        fails(store.lease_and_load(&key(), &lease)).await;
        server.resume().await;
        assert_eq!(store.load(&key()).await.unwrap(), None, "{way:?}");
    };
    let tried: Vec<_> = WAYS.map(|way| tokio::spawn(hanging(way))).into();
    for way in tried {
        way.await.unwrap();
    }
}

#[tokio::test]
async fn no_call_waits_long_for_a_pool_whose_connections_are_all_taken() {
    // F11
    let server = RedisServer::start().await;
    let pool = deadpool(&server.url(), 1);
    let store = over_deadpool(pool.clone()).build().unwrap();
    let taken = pool.get().await.unwrap();
    fails(store.load(&key())).await;
    drop(taken);
    assert_eq!(store.load(&key()).await.unwrap(), None);
}

#[tokio::test]
async fn a_connection_goes_back_to_its_pool_also_after_a_call_that_was_given_up() {
    let server = RedisServer::start().await;
    let proxy = SlowProxy::before(server.address()).await;
    let pool = deadpool(&format!("redis://{}", proxy.address()), 1);
    let store = over_deadpool(pool).build().unwrap();
    assert_eq!(store.load(&key()).await.unwrap(), None);
    proxy.delay(Duration::from_secs(60));
    fails(store.load(&key())).await;
    proxy.heal();
    assert_eq!(store.load(&key()).await.unwrap(), None);
}

#[tokio::test]
async fn what_a_function_says_in_place_of_a_connection_is_not_quoted() {
    // D6
    let error = || std::io::Error::other("AUTH s3cr3t");
    let plain = Protection::plain_text;
    let pool = move || ready(Err::<MultiplexedConnection, _>(error()));
    for store in [
        RedisStore::over_pool(pool, plain()),
        RedisStore::connected_by(pool, plain()),
    ] {
        let error = fails(store.build().unwrap().load(&key())).await;
        let source = std::error::Error::source(&error);
        let shown = format!("{error} {error:?} {source:?}");
        assert!(!shown.contains("s3cr3t"), "{shown}");
        assert!(shown.contains("gave no connection"), "{shown}");
    }
}

#[tokio::test]
async fn what_redis_says_below_a_pool_s_error_is_told_by_its_code() {
    // D6
    let server = RedisServer::start_with(&["--requirepass", "first-pass"]).await;
    let url = format!("redis://:s3cr3t@{}", server.address());
    for way in [Way::Deadpool, Way::Function] {
        let error = fails(way.open(&url).await.load(&key())).await;
        let shown = format!("{error} {error:?}");
        assert!(shown.contains("password"), "{way:?} {shown}");
        assert!(!shown.contains("s3cr3t"), "{way:?} {shown}");
    }
}

#[tokio::test]
async fn a_function_that_fails_or_panics_is_called_again_by_the_next_call() {
    let server = RedisServer::start().await;
    let client = Client::open(server.url()).unwrap();
    let calls = Arc::new(AtomicUsize::new(0));
    let called = calls.clone();
    let connect = move || {
        let (client, number) = (client.clone(), called.fetch_add(1, Ordering::Relaxed));
        async move {
            match number {
                0 => Err(std::io::Error::other("not yet")),
                1 => panic!("by intent"),
                _ => {
                    let connection = client.get_multiplexed_async_connection().await;
                    connection.map_err(std::io::Error::other)
                }
            }
        }
    };
    let store = RedisStore::connected_by(connect, Protection::plain_text());
    let store = store.build().unwrap();
    fails(store.load(&key())).await;
    fails(store.load(&key())).await;
    for _ in 0..3 {
        assert_eq!(store.load(&key()).await.unwrap(), None);
    }
    assert_eq!(calls.load(Ordering::Relaxed), 3, "one connection is kept");
}

#[tokio::test]
async fn a_function_finds_the_new_master_when_the_old_one_says_that_it_is_none_or_is_alone() {
    let none: &[&str] = &["REPLICAOF", "127.0.0.1", "1"];
    let alone: &[&str] = &["CONFIG", "SET", "min-replicas-to-write", "1"];
    for words in [none, alone] {
        let (old, new) = (RedisServer::start().await, RedisServer::start().await);
        let urls = [old.url(), new.url()];
        let calls = Arc::new(AtomicUsize::new(0));
        let connect = move || {
            let number = calls.fetch_add(1, Ordering::Relaxed);
            let client = Client::open(urls[number.min(1)].as_str()).unwrap();
            async move { client.get_multiplexed_async_connection().await }
        };
        let store = RedisStore::connected_by(connect, Protection::plain_text());
        let store = store.build().unwrap();
        assert_eq!(store.load(&key()).await.unwrap(), None);
        let _: () = old.ask(words).await;
        assert!(store.save(&key(), record("1"), None, DAY).await.unwrap());
        assert_eq!(new.ask::<i64>(&["DBSIZE"]).await, 1, "{words:?}");
    }
}

/// Sends each command twice without a word, as a client of a cluster does whose first answer was lost.
#[derive(Clone)]
struct Twice(MultiplexedConnection);

impl ConnectionLike for Twice {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        Box::pin(async move {
            self.0.req_packed_command(command).await?;
            self.0.req_packed_command(command).await
        })
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        self.0.req_packed_commands(pipeline, offset, count)
    }

    fn get_db(&self) -> i64 {
        self.0.get_db()
    }
}

#[tokio::test]
async fn what_a_client_repeats_without_a_word_has_one_effect_and_the_first_answer() {
    let server = RedisServer::start().await;
    let client = Client::open(server.url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let store = RedisStore::over(Twice(connection), Protection::plain_text());
    let store = store.build().unwrap();
    let user = key();
    let (first, second, third) = (record("first"), record("second"), record("third"));
    assert!(store.save(&user, first.clone(), None, DAY).await.unwrap());
    assert_eq!(store.load(&user).await.unwrap(), Some(first.clone()));
    let expected = Some(first.version());
    let saved = store.save(&user, second.clone(), expected, DAY).await;
    assert!(saved.unwrap());
    let late = store.save(&user, first.clone(), expected, DAY).await;
    assert!(!late.unwrap());

    let lease = Lease::new(DAY).unwrap();
    let leased = store.lease_and_load(&user, &lease).await.unwrap();
    assert_eq!(leased, Some(Some(second.clone())));
    let other = Lease::new(DAY).unwrap();
    assert_eq!(store.lease_and_load(&user, &other).await.unwrap(), None);
    let expected = Some(second.version());
    let saved = store.save_and_release(&user, third.clone(), expected, DAY, &lease);
    assert!(saved.await.unwrap());
    assert!(store.lease(&user, &other).await.unwrap(), "it was released");

    let renewed = StoreKey::of(["renewed"]);
    let moved = store.rename(&user, third.version(), &renewed, first.clone(), DAY);
    assert!(moved.await.unwrap());

    // What was removed is told, and a removal by another call finds nothing.
    assert_eq!(store.remove(&renewed).await.unwrap(), Some(first.clone()));
    assert_eq!(store.load(&renewed).await.unwrap(), None);
    assert_eq!(store.remove(&renewed).await.unwrap(), None);
    // What is left of it is in no sign-in's way.
    let saved = store.save(&renewed, second.clone(), None, DAY).await;
    assert!(saved.unwrap());
    assert_eq!(store.remove(&renewed).await.unwrap(), Some(second));
    let name = format!("reqwest-bearer:{{{renewed}}}:record");
    let left: i64 = server.ask(&["PTTL", &name]).await;
    assert!(left <= 3000, "{left}");
}

#[tokio::test]
async fn what_is_no_record_of_ours_is_removed_once_and_told_twice() {
    // F7
    let server = RedisServer::start().await;
    let client = Client::open(server.url()).unwrap();
    let connection = client.get_multiplexed_async_connection().await.unwrap();
    let store = RedisStore::over(Twice(connection), Protection::plain_text());
    let store = store.build().unwrap();
    let name = format!("reqwest-bearer:{{{}}}:record", key());
    for words in [["SET", &name, "garbage"], ["RPUSH", &name, "a"]] {
        let _: Value = server.ask(&words).await;
        let removed = store.remove(&key()).await.unwrap().expect("it was there");
        assert!(removed.data().is_err(), "{words:?}");
        assert_eq!(store.load(&key()).await.unwrap(), None);
        assert_eq!(store.remove(&key()).await.unwrap(), None);
        let _: i64 = server.ask(&["DEL", &name]).await;
    }
}
