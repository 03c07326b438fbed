//! The store of `reqwest-bearer-sqlx` while Postgres, or the way there, fails in every way that we could think
//! of.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Duration;

use real_parts::postgres_server::{pool, url};
use real_parts::{PostgresServer, SlowProxy};
use reqwest_bearer::{
    Error, ErrorKind, Lease, Protection, StoreKey, StoredRecord, TokenStore, Version,
};
use reqwest_bearer_sqlx::sqlx::postgres::{PgPool, PgPoolOptions};
use reqwest_bearer_sqlx::{SqlxStore, SqlxStoreBuilder, sqlx};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What the crate gives a store (F11).
const LIMIT: Duration = Duration::from_secs(2);

const WAYS: [fn(SqlxStoreBuilder) -> SqlxStoreBuilder; 2] =
    [|builder| builder, SqlxStoreBuilder::prepared_statements];

/// A server with a table.
async fn server() -> PostgresServer {
    let server = PostgresServer::start().await;
    at(server.address()).migrate().await.unwrap();
    server
}

fn at(address: SocketAddr) -> SqlxStore {
    let store = SqlxStore::postgres(pool(&url(address), 4), Protection::plain_text());
    store.build().unwrap()
}

/// Without the question that a pool asks each connection first, and which would notice what happens to it.
fn unasked(url: &str, connections: u32) -> PgPool {
    let options = PgPoolOptions::new().max_connections(connections);
    let options = options.test_before_acquire(false);
    options.connect_lazy(url).unwrap()
}

static KEY: LazyLock<StoreKey> = LazyLock::new(|| StoreKey::of(["somebody"]));

fn record(data: &str) -> StoredRecord {
    StoredRecord::new(Version::random().unwrap(), data)
}

fn lease() -> Lease {
    Lease::new(DAY).unwrap()
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

/// Asks until the way there is whole again: what was lost without a word costs each connection one call.
async fn recovers(store: &SqlxStore) {
    let mut failed = 0;
    while store.load(&KEY).await.is_err() {
        failed += 1;
        assert!(failed <= 4, "more failures than connections");
    }
}

/// With every connection that the pool may have waiting in it, to break.
async fn restart(server: &mut PostgresServer, pool: &PgPool) {
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(pool.acquire().await.unwrap());
    }
    drop(taken);
    let back = async {
        while pool.num_idle() < 4 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, back).await.unwrap();
    server.stop();
    server.start_again().await;
}

#[tokio::test]
async fn a_restart_between_two_calls_goes_unnoticed() {
    // F11
    let mut server = server().await;
    for way in WAYS {
        let pool = unasked(&server.url(), 4);
        let store = way(SqlxStore::postgres(pool.clone(), Protection::plain_text()));
        let store = store.build().unwrap();
        let (first, second) = (record("first"), record("second"));
        assert!(store.save(&KEY, first.clone(), None, DAY).await.unwrap());
        let mine = lease();
        for _ in 0..3 {
            restart(&mut server, &pool).await;
            assert_eq!(store.load(&KEY).await.unwrap(), Some(first.clone()));
        }
        restart(&mut server, &pool).await;
        assert!(store.lease(&KEY, &mine).await.unwrap());
        restart(&mut server, &pool).await;
        let saved = store.save(&KEY, second.clone(), Some(first.version()), DAY);
        assert!(saved.await.unwrap());
        restart(&mut server, &pool).await;
        store.release(&KEY, &mine).await.unwrap();
        assert_eq!(store.remove(&KEY).await.unwrap(), Some(second));
    }
}

#[tokio::test]
async fn a_store_is_opened_while_the_database_is_down_and_works_when_it_is_up() {
    // F11
    let mut server = server().await;
    server.stop();
    let store = at(server.address());
    fails(store.load(&KEY)).await;
    server.start_again().await;
    assert_eq!(store.load(&KEY).await.unwrap(), None);

    // Now a connection is there to break.
    server.stop();
    fails(store.load(&KEY)).await;
    fails(store.remove(&KEY)).await;
    fails(store.save(&KEY, record("lost"), None, DAY)).await;
    let lease = lease();
    fails(store.lease(&KEY, &lease)).await;
    fails(store.release(&KEY, &lease)).await;
    server.start_again().await;
    assert_eq!(store.load(&KEY).await.unwrap(), None);
}

#[tokio::test]
async fn no_call_waits_long_for_a_server_that_hangs_and_it_is_used_again_after_that() {
    // F11
    let server = server().await;
    let (connected, fresh) = (at(server.address()), at(server.address()));
    assert_eq!(connected.load(&KEY).await.unwrap(), None);
    server.pause().await;
    let calls: Vec<_> = (0..100)
        .map(|number| {
            let store = [&connected, &fresh][number % 2].clone();
            tokio::spawn(async move { fails(store.load(&KEY)).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    fails(connected.load(&KEY)).await;
    server.resume().await;
    recovers(&connected).await;
    recovers(&fresh).await;
}

#[tokio::test]
async fn a_slow_answer_is_waited_for_and_one_that_is_too_slow_is_not() {
    // F11
    let server = server().await;
    let proxy = SlowProxy::before(server.address()).await;
    let store = at(proxy.address());
    assert_eq!(store.load(&KEY).await.unwrap(), None);
    proxy.delay(Duration::from_millis(150));
    assert_eq!(store.load(&KEY).await.unwrap(), None);
    proxy.delay(Duration::from_secs(60));
    fails(store.load(&KEY)).await;
    proxy.heal();
    recovers(&store).await;
}

#[tokio::test]
async fn a_statement_whose_answer_was_cut_is_sent_again_and_has_one_effect() {
    // F2: at each of the round trips that it takes.
    let server = server().await;
    for (way, round_trips) in WAYS.into_iter().zip([4, 2]) {
        let proxy = SlowProxy::before(server.address()).await;
        let pool = unasked(&url(proxy.address()), 1);
        let store = way(SqlxStore::postgres(pool.clone(), Protection::plain_text()));
        let store = store.build().unwrap();
        for round_trip in 0..round_trips {
            let cut = async || {
                // What the pool asks a connection that comes back is answered when it is there again.
                while pool.num_idle() != pool.size() as usize {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                proxy.heal();
                proxy.cut_after_answers(round_trip, 3);
            };
            store.load(&KEY).await.unwrap();
            let (first, second, third) = (record("first"), record("second"), record("third"));
            cut().await;
            assert!(store.save(&KEY, first.clone(), None, DAY).await.unwrap());
            cut().await;
            assert_eq!(store.load(&KEY).await.unwrap(), Some(first.clone()));
            cut().await;
            let expected = Some(first.version());
            let saved = store.save(&KEY, second.clone(), expected, DAY);
            assert!(saved.await.unwrap());

            // These are conflicts, with an answer as well as with none.
            cut().await;
            let saved = store.save(&KEY, first.clone(), expected, DAY);
            assert!(!saved.await.unwrap());
            cut().await;
            assert!(!store.save(&KEY, first, None, DAY).await.unwrap());

            cut().await;
            let to = StoreKey::of(["somebody else"]);
            let renamed = store.rename(&KEY, second.version(), &to, third.clone(), DAY);
            assert!(renamed.await.unwrap());
            assert_eq!(store.load(&KEY).await.unwrap(), None);

            let mine = lease();
            cut().await;
            assert!(store.lease(&KEY, &mine).await.unwrap());
            cut().await;
            store.release(&KEY, &mine).await.unwrap();
            let blink = Lease::new(Duration::ZERO).unwrap();
            assert!(store.lease(&KEY, &blink).await.unwrap());

            // What was removed is returned, or lost, and nobody says that there was nothing.
            cut().await;
            match store.remove(&to).await {
                Ok(removed) => assert_eq!(removed, Some(third)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Store),
            }
            assert_eq!(store.load(&to).await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn a_connection_that_was_lost_without_a_word_costs_one_call_and_no_place_in_the_pool() {
    // F11
    let server = server().await;
    let proxy = SlowProxy::before(server.address()).await;
    for pool in [
        pool(&url(proxy.address()), 1),
        unasked(&url(proxy.address()), 1),
    ] {
        let store = SqlxStore::postgres(pool.clone(), Protection::plain_text());
        let store = store.build().unwrap();
        for _ in 0..3 {
            assert_eq!(store.load(&KEY).await.unwrap(), None);
            while pool.num_idle() == 0 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            proxy.lose();
            fails(store.load(&KEY)).await;
        }
        assert_eq!(store.load(&KEY).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_way_to_the_database_that_is_closed_or_mute_costs_errors_only_as_long_as_it_lasts() {
    // F11
    let server = server().await;
    let proxy = SlowProxy::before(server.address()).await;
    let store = at(proxy.address());
    assert_eq!(store.load(&KEY).await.unwrap(), None);
    proxy.cut();
    for _ in 0..3 {
        fails(store.load(&KEY)).await;
    }
    proxy.heal();
    assert_eq!(store.load(&KEY).await.unwrap(), None);
    proxy.mute();
    for _ in 0..2 {
        fails(store.load(&KEY)).await;
    }
    proxy.heal();
    recovers(&store).await;
}

#[tokio::test]
async fn a_pool_whose_connections_others_have_is_an_error_in_time_and_works_when_they_give_one_back()
 {
    // F11
    let server = server().await;
    let pool = pool(&server.url(), 2);
    let store = SqlxStore::postgres(pool.clone(), Protection::plain_text());
    let store = store.build().unwrap();
    let taken = [pool.acquire().await.unwrap(), pool.acquire().await.unwrap()];
    for _ in 0..3 {
        fails(store.load(&KEY)).await;
    }
    fails(store.save(&KEY, record("lost"), None, DAY)).await;
    drop(taken);
    assert_eq!(store.load(&KEY).await.unwrap(), None);
    pool.close().await;
    fails(store.load(&KEY)).await;
}

#[tokio::test]
async fn a_row_that_another_transaction_keeps_is_an_error_in_time_and_nothing_is_done_afterwards() {
    // F11
    let server = server().await;
    let store = at(server.address());
    assert!(store.save(&KEY, record("1"), None, DAY).await.unwrap());
    let old = store.load(&KEY).await.unwrap();
    let expected = old.as_ref().map(StoredRecord::version);
    let mut other = server.pool(1).begin().await.unwrap();
    let locks = "SELECT 1 FROM reqwest_bearer_tokens FOR UPDATE";
    sqlx::query(locks).execute(&mut *other).await.unwrap();
    fails(store.save(&KEY, record("2"), expected, DAY)).await;
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let limit = Duration::from_secs(20);
    let given_up = async { while server.ask::<i64>(waiting).await[0] != 0 {} };
    tokio::time::timeout(limit, given_up).await.unwrap();
    other.rollback().await.unwrap();
    assert_eq!(store.load(&KEY).await.unwrap(), old);
}

#[tokio::test]
async fn a_server_that_became_a_replica_is_an_error_until_it_is_a_primary_again() {
    let server = server().await;
    let store = at(server.address());
    assert!(store.save(&KEY, record("1"), None, DAY).await.unwrap());
    let old = store.load(&KEY).await.unwrap().map(|found| found.version());
    be_replica(&server, true).await;
    fails(store.save(&KEY, record("2"), old, DAY)).await;
    be_replica(&server, false).await;
    assert!(store.save(&KEY, record("3"), old, DAY).await.unwrap());
}

#[tokio::test]
async fn when_the_address_leads_to_a_new_primary_no_call_is_lost_to_the_old_one() {
    let (old, new) = (server().await, server().await);
    let proxy = SlowProxy::before(old.address()).await;
    let store = at(proxy.address());
    assert_eq!(store.load(&KEY).await.unwrap(), None);
    be_replica(&old, true).await;
    proxy.lead_to(new.address());
    assert!(store.save(&KEY, record("1"), None, DAY).await.unwrap());
    let rows = "SELECT count(*) FROM reqwest_bearer_tokens";
    assert_eq!(new.ask::<i64>(rows).await, [1]);
}

#[tokio::test]
async fn what_is_no_postgres_is_an_error_in_time() {
    // F11, D6
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        use tokio::io::AsyncWriteExt as _;
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"HTTP/1.1 400 s3cr3t\r\n\r\n").await;
        }
    });
    let error = at(address).load(&KEY).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(
        !format!("{error} {error:?}").contains("s3cr3t"),
        "{error:?}"
    );
    fails(at(address).load(&KEY)).await;
}

/// A replica refuses to write as this does, also by the sessions that it has.
async fn be_replica(server: &PostgresServer, is_replica: bool) {
    let mode = if is_replica { "on" } else { "off" };
    let sets = format!("ALTER SYSTEM SET default_transaction_read_only = {mode}");
    server.tell(&sets).await;
    server.tell("SELECT pg_reload_conf()").await;
    let limit = Duration::from_secs(20);
    let told = async {
        while server
            .ask::<String>("SHOW default_transaction_read_only")
            .await
            != [mode]
        {}
    };
    tokio::time::timeout(limit, told).await.unwrap();
}
