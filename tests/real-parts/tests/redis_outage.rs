//! The Redis store while Redis, or the way there, fails in every way that we could think of.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::time::Duration;

use real_parts::{RedisServer, SlowProxy};
use reqwest_bearer::{
    Error, ErrorKind, Lease, Protection, RedisStore, StoreKey, StoredRecord, TokenStore, Version,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What the crate gives a store (F11).
const LIMIT: Duration = Duration::from_secs(2);

fn at(address: SocketAddr) -> RedisStore {
    RedisStore::open(format!("redis://{address}"), Protection::plain_text()).unwrap()
}

fn key() -> StoreKey {
    StoreKey::of(["somebody"])
}

fn record(data: &str) -> StoredRecord {
    StoredRecord::new(Version::random().unwrap(), data)
}

/// Expects an error of the right kind in the right time. That is told by two timers of one runtime
/// and not by a clock: on a machine that stood still both are late, and the call still comes first.
async fn fails<T: Debug>(call: impl Future<Output = Result<T, Error>>) {
    let error = tokio::select! {
        biased;
        outcome = call => outcome.unwrap_err(),
        () = tokio::time::sleep(LIMIT) => panic!("no error within {LIMIT:?}"),
    };
    assert_eq!(error.kind(), ErrorKind::Store, "{error:?}");
    assert!(error.is_transient());
}

#[tokio::test]
async fn a_restart_between_two_calls_goes_unnoticed() {
    let mut server = RedisServer::start_persistent().await;
    let store = at(server.address());
    let first = record("first");
    assert!(store.save(&key(), first.clone(), None, DAY).await.unwrap());
    let lease = Lease::new(DAY).unwrap();
    assert!(store.lease(&key(), &lease).await.unwrap());

    for _ in 0..3 {
        server.stop();
        server.start_again().await;
        assert_eq!(store.load(&key()).await.unwrap(), Some(first.clone()));
    }
    server.stop();
    server.start_again().await;
    assert!(store.lease(&key(), &lease).await.unwrap());
    server.stop();
    server.start_again().await;
    let second = record("second");
    let expected = Some(first.version());
    assert!(
        store
            .save(&key(), second.clone(), expected, DAY)
            .await
            .unwrap()
    );
    server.stop();
    server.start_again().await;
    assert_eq!(store.remove(&key()).await.unwrap(), Some(second));
    server.stop();
    server.start_again().await;
    store.release(&key(), &lease).await.unwrap();
    assert!(
        store
            .lease(&key(), &Lease::new(DAY).unwrap())
            .await
            .unwrap()
    );
}

#[tokio::test]
async fn a_store_is_opened_while_redis_is_down_and_works_when_it_is_up() {
    // F11
    let mut server = RedisServer::start().await;
    server.stop();
    let store = at(server.address());
    for _ in 0..3 {
        fails(store.load(&key())).await;
    }
    server.start_again().await;
    assert_eq!(store.load(&key()).await.unwrap(), None);

    // Now a connection is there to break.
    server.stop();
    for _ in 0..3 {
        fails(store.load(&key())).await;
    }
    fails(store.remove(&key())).await;
    fails(store.save(&key(), record("lost"), None, DAY)).await;
    let lease = Lease::new(DAY).unwrap();
    fails(store.lease(&key(), &lease)).await;
    fails(store.release(&key(), &lease)).await;
    server.start_again().await;
    assert_eq!(store.load(&key()).await.unwrap(), None);
}

#[tokio::test]
async fn no_call_waits_long_for_a_server_that_hangs_and_the_first_one_after_it_succeeds() {
    // F11
    let server = RedisServer::start().await;
    // One store with a connection, and one that has yet to make it.
    let (connected, fresh) = (at(server.address()), at(server.address()));
    assert_eq!(connected.load(&key()).await.unwrap(), None);
    server.pause().await;
    let calls: Vec<_> = (0..100)
        .map(|number| {
            let store = [&connected, &fresh][number % 2].clone();
            tokio::spawn(async move { fails(store.load(&key())).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    fails(connected.load(&key())).await;
    server.resume().await;
    assert_eq!(connected.load(&key()).await.unwrap(), None);
    assert_eq!(fresh.load(&key()).await.unwrap(), None);
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_and_one_that_is_too_slow_is_not() {
    // F11
    let server = RedisServer::start().await;
    let proxy = SlowProxy::before(server.address()).await;
    let store = at(proxy.address());
    assert_eq!(store.load(&key()).await.unwrap(), None);
    proxy.delay(Duration::from_millis(500));
    assert_eq!(store.load(&key()).await.unwrap(), None);
    proxy.delay(Duration::from_secs(60));
    fails(store.load(&key())).await;
    proxy.heal();
    assert_eq!(store.load(&key()).await.unwrap(), None);
}

#[tokio::test]
async fn a_command_whose_answer_was_cut_is_sent_again_and_has_one_effect() {
    let server = RedisServer::start().await;
    let proxy = SlowProxy::before(server.address()).await;
    let store = at(proxy.address());
    let lease = Lease::new(DAY).unwrap();
    for bytes in [0, 1, 3] {
        assert_eq!(store.load(&key()).await.unwrap(), None);
        let (first, second) = (record("first"), record("second"));

        // The first sending has saved it, and that is no conflict.
        proxy.cut_next_answer_after(bytes);
        assert!(store.save(&key(), first.clone(), None, DAY).await.unwrap());
        proxy.cut_next_answer_after(bytes);
        assert_eq!(store.load(&key()).await.unwrap(), Some(first.clone()));
        proxy.cut_next_answer_after(bytes);
        let expected = Some(first.version());
        assert!(
            store
                .save(&key(), second.clone(), expected, DAY)
                .await
                .unwrap()
        );

        // This is one.
        proxy.cut_next_answer_after(bytes);
        assert!(
            !store
                .save(&key(), first.clone(), expected, DAY)
                .await
                .unwrap()
        );
        // And so is what was there before the call, with an answer as well as with none.
        assert!(!store.save(&key(), second.clone(), None, DAY).await.unwrap());

        proxy.cut_next_answer_after(bytes);
        assert!(store.lease(&key(), &lease).await.unwrap());
        proxy.cut_next_answer_after(bytes);
        store.release(&key(), &lease).await.unwrap();
        assert!(
            store
                .lease(&key(), &Lease::new(Duration::ZERO).unwrap())
                .await
                .unwrap()
        );

        // The first sending has removed it, and that is no reason to say that there was nothing.
        proxy.cut_next_answer_after(bytes);
        assert_eq!(store.remove(&key()).await.unwrap(), Some(second));
        assert_eq!(store.load(&key()).await.unwrap(), None);
        proxy.cut_next_answer_after(bytes);
        assert_eq!(store.remove(&key()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_connection_that_was_half_closed_is_replaced() {
    let server = RedisServer::start().await;
    let proxy = SlowProxy::before(server.address()).await;
    let store = at(proxy.address());
    assert_eq!(store.load(&key()).await.unwrap(), None);
    for _ in 0..3 {
        proxy.half_close();
        assert_eq!(store.load(&key()).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_connection_that_was_lost_without_a_word_costs_one_call() {
    // F11
    let server = RedisServer::start().await;
    let proxy = SlowProxy::before(server.address()).await;
    let store = at(proxy.address());
    assert_eq!(store.load(&key()).await.unwrap(), None);
    proxy.lose();
    fails(store.load(&key())).await;
    assert_eq!(store.load(&key()).await.unwrap(), None);
}

#[tokio::test]
async fn a_way_to_redis_that_is_closed_or_mute_costs_errors_only_as_long_as_it_lasts() {
    // F11
    let server = RedisServer::start().await;
    let proxy = SlowProxy::before(server.address()).await;
    let store = at(proxy.address());
    assert_eq!(store.load(&key()).await.unwrap(), None);
    proxy.cut();
    for _ in 0..3 {
        fails(store.load(&key())).await;
    }
    proxy.heal();
    assert_eq!(store.load(&key()).await.unwrap(), None);
    proxy.mute();
    for _ in 0..2 {
        fails(store.load(&key())).await;
    }
    proxy.heal();
    assert_eq!(store.load(&key()).await.unwrap(), None);
}

#[tokio::test]
async fn a_server_that_became_a_replica_is_an_error_until_it_is_a_master_again() {
    let server = RedisServer::start().await;
    let store = at(server.address());
    assert!(store.save(&key(), record("1"), None, DAY).await.unwrap());
    let old = store
        .load(&key())
        .await
        .unwrap()
        .map(|found| found.version());
    let _: () = server.ask(&["REPLICAOF", "127.0.0.1", "1"]).await;
    fails(store.save(&key(), record("2"), old, DAY)).await;
    let _: () = server.ask(&["REPLICAOF", "NO", "ONE"]).await;
    assert!(store.save(&key(), record("3"), old, DAY).await.unwrap());
}

#[tokio::test]
async fn when_the_address_leads_to_a_new_master_no_call_is_lost_to_the_old_one() {
    let (old, new) = (RedisServer::start().await, RedisServer::start().await);
    let proxy = SlowProxy::before(old.address()).await;
    let store = at(proxy.address());
    assert_eq!(store.load(&key()).await.unwrap(), None);
    let _: () = old.ask(&["REPLICAOF", "127.0.0.1", "1"]).await;
    proxy.lead_to(new.address());
    assert!(store.save(&key(), record("1"), None, DAY).await.unwrap());
    assert_eq!(new.ask::<i64>(&["DBSIZE"]).await, 1);
}

#[tokio::test]
async fn a_server_with_too_many_clients_is_tried_again_by_each_call() {
    let server = RedisServer::start().await;
    let store = at(server.address());
    let occupied = redis::Client::open(server.url()).unwrap();
    let mut occupied = occupied.get_multiplexed_async_connection().await.unwrap();
    let mut command = redis::cmd("CONFIG");
    command.arg(&["SET", "maxclients", "1"]);
    let () = command.query_async(&mut occupied).await.unwrap();
    for _ in 0..3 {
        fails(store.load(&key())).await;
    }
    let mut command = redis::cmd("CONFIG");
    command.arg(&["SET", "maxclients", "100"]);
    let () = command.query_async(&mut occupied).await.unwrap();
    assert_eq!(store.load(&key()).await.unwrap(), None);
}

#[tokio::test]
async fn what_is_no_redis_is_an_error_in_time() {
    // F11, D6
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 s3cr3t\r\n\r\n").await;
        }
    });
    let error = at(address).load(&key()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(
        !format!("{error} {error:?}").contains("s3cr3t"),
        "{error:?}"
    );
    fails(at(address).load(&key())).await;
}

#[test]
fn a_store_outlives_the_runtime_that_it_was_used_on_first() {
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let servers = runtime();
    let server = servers.block_on(RedisServer::start());
    let store = at(server.address());
    for _ in 0..3 {
        let (one, other) = (store.clone(), store.clone());
        assert_eq!(runtime().block_on(one.load(&key())).unwrap(), None);
        assert_eq!(runtime().block_on(other.load(&key())).unwrap(), None);
    }
}
