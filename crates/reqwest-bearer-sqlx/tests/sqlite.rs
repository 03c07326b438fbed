//! The store on SQLite: what is in there, how long, and what it makes of foreign things.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use std::time::Duration;

use reqwest_bearer::{
    EncryptionKeys, Error, ErrorKind, Lease, Protection, StoreKey, TokenStore, Version,
};
use reqwest_bearer_sqlx::SqlxStore;
use reqwest_bearer_sqlx::sqlx::sqlite::{SqliteConnectOptions, SqlitePool, SqlitePoolOptions};
use reqwest_bearer_sqlx::sqlx::{AssertSqlSafe, query_scalar, raw_sql};

mod support;

use support::{DAY, File, record};

const TABLE: &str = "reqwest_bearer_tokens";

async fn tell(pool: &SqlitePool, statement: &str) {
    raw_sql(AssertSqlSafe(statement))
        .execute(pool)
        .await
        .unwrap();
}

async fn count(pool: &SqlitePool) -> i64 {
    let rows = format!("SELECT count(*) FROM {TABLE}");
    query_scalar(AssertSqlSafe(rows))
        .fetch_one(pool)
        .await
        .unwrap()
}

/// Moves the moments of the table, as if so much time had passed for the database.
async fn pass(pool: &SqlitePool, by: Duration) {
    let by = by.as_millis();
    let past = format!(
        "UPDATE {TABLE} SET expires_at = expires_at - {by}, lease_until = lease_until - {by}"
    );
    tell(pool, &past).await;
}

fn lease(duration: Duration) -> Lease {
    Lease::new(duration).unwrap()
}

/// Looks until it is so.
#[expect(clippy::disallowed_methods, reason = "a database keeps real time")]
async fn until(is_so: impl AsyncFn() -> bool) {
    let looking = async { while !is_so().await {} };
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, looking).await.unwrap();
}

/// What the call failed with, which is within the time that the crate gives a store.
#[expect(clippy::disallowed_methods, reason = "a database keeps real time")]
async fn failure<T: std::fmt::Debug>(call: impl Future<Output = Result<T, Error>>) -> Error {
    let error = tokio::select! {
        biased;
        outcome = call => outcome.unwrap_err(),
        () = tokio::time::sleep(Duration::from_secs(2)) => panic!("no error in time"),
    };
    assert_eq!(error.kind(), ErrorKind::Store, "{error:?}");
    error
}

#[tokio::test]
async fn a_lease_and_a_record_last_as_long_as_they_should() {
    // F6, F9
    let file = File::new();
    let (mine, theirs, pool) = (file.store().await, file.store().await, file.pool());
    let key = StoreKey::of(["time"]);
    let (one, other) = (lease(DAY), lease(DAY));
    let saved = record("saved");
    assert!(mine.lease(&key, &one).await.unwrap());
    assert!(mine.save(&key, saved.clone(), None, 2 * DAY).await.unwrap());
    pass(&pool, DAY - Duration::from_secs(60)).await;
    assert!(!theirs.lease(&key, &other).await.unwrap());
    assert!(mine.lease(&key, &one).await.unwrap());
    pass(&pool, DAY - Duration::from_secs(60)).await;
    assert!(!theirs.lease(&key, &other).await.unwrap());
    assert_eq!(theirs.load(&key).await.unwrap(), Some(saved));
    pass(&pool, Duration::from_secs(120)).await;
    assert_eq!(
        theirs.lease_and_load(&key, &other).await.unwrap(),
        Some(None)
    );
    mine.release(&key, &one).await.unwrap();
    assert!(!mine.lease(&key, &one).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn eight_processes_that_migrate_at_once_have_one_table() {
    for _ in 0..5 {
        let file = File::new();
        let migrations: Vec<_> = (0..8)
            .map(|_| {
                let store = SqlxStore::sqlite(file.pool(), Protection::plain_text());
                let store = store.build().unwrap();
                tokio::spawn(async move { store.migrate().await })
            })
            .collect();
        for migration in migrations {
            migration.await.unwrap().unwrap();
        }
        assert_eq!(count(&file.pool()).await, 0);
    }
}

#[tokio::test]
async fn a_table_that_is_not_there_and_a_file_that_is_no_database_are_errors_that_say_so() {
    // D6
    let file = File::new();
    let store = SqlxStore::sqlite(file.pool(), Protection::plain_text());
    let store = store.build().unwrap();
    let key = StoreKey::of(["a"]);
    let error = failure(store.load(&key)).await;
    assert!(error.to_string().contains("migrate"), "{error}");
    store.migrate().await.unwrap();
    assert_eq!(store.load(&key).await.unwrap(), None);

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s3cr3t.txt");
    std::fs::write(&path, "s3cr3t".repeat(1000)).unwrap();
    let pool = SqlitePool::connect_lazy_with(SqliteConnectOptions::new().filename(&path));
    let store = SqlxStore::sqlite(pool, Protection::plain_text());
    let store = store.build().unwrap();
    let error = failure(store.load(&key)).await;
    let shown = format!("{error} {error:?} {store:?}");
    assert!(shown.contains("26") && !shown.contains("s3cr3t"), "{shown}");
}

#[tokio::test]
async fn stores_with_two_tables_share_a_database_and_nothing_else() {
    let file = File::new();
    let mut stores = Vec::new();
    for table in ["main.order", "select"] {
        let store = SqlxStore::sqlite(file.pool(), Protection::plain_text());
        let store = store.table(table).build().unwrap();
        store.migrate().await.unwrap();
        stores.push(store);
    }
    let key = StoreKey::of(["shared"]);
    assert!(stores[0].save(&key, record("1"), None, DAY).await.unwrap());
    assert!(stores[0].lease(&key, &lease(DAY)).await.unwrap());
    assert_eq!(stores[1].load(&key).await.unwrap(), None);
    assert!(stores[1].lease(&key, &lease(DAY)).await.unwrap());
}

#[tokio::test]
async fn a_database_in_memory_lives_in_the_one_connection_of_its_pool() {
    let pool = SqlitePoolOptions::new().max_connections(1);
    let pool = pool.connect_lazy("sqlite::memory:").unwrap();
    let keys = EncryptionKeys::new("k1", &[7; 32]).unwrap();
    let store = SqlxStore::sqlite(pool, Protection::encrypted(keys));
    let store = store.build().unwrap();
    store.migrate().await.unwrap();
    let (key, saved) = (StoreKey::of(["memory"]), record("saved"));
    assert!(store.save(&key, saved.clone(), None, DAY).await.unwrap());
    // Calls that are given up leave it where it is.
    for _ in 0..50 {
        let abandoned = store.load(&key);
        tokio::select! { biased; _ = abandoned => {} () = std::future::ready(()) => {} }
    }
    assert_eq!(store.load(&key).await.unwrap(), Some(saved));
}

#[tokio::test]
async fn whoever_reads_the_file_finds_no_encrypted_token_and_no_session() {
    // F8, D6
    let file = File::new();
    let keys = EncryptionKeys::new("k1", &[7; 32]).unwrap();
    let store = SqlxStore::sqlite(file.pool(), Protection::encrypted(keys));
    let store = store.build().unwrap();
    store.migrate().await.unwrap();
    let key = StoreKey::of(["https://as.example", "session-4711"]);
    assert!(
        store
            .save(&key, record("token-0815"), None, DAY)
            .await
            .unwrap()
    );
    assert!(store.lease(&key, &lease(DAY)).await.unwrap());
    let written = file.everything_written();
    for secret in ["token-0815", "4711", "as.example"] {
        let found = written
            .windows(secret.len())
            .any(|part| part == secret.as_bytes());
        assert!(!found, "{secret}");
    }
}

#[tokio::test]
async fn what_has_had_its_time_is_swept_and_nothing_else() {
    // F9
    let file = File::new();
    let (store, pool) = (file.store().await, file.pool());
    let short = Duration::from_secs(60);
    for (name, kept_for, leased_for) in [
        ("dead", Some(short), None),
        ("dead with a dead lease", Some(short), Some(short)),
        ("a dead lease", None, Some(short)),
        ("stays", Some(DAY), None),
        ("stays with a dead lease", Some(DAY), Some(short)),
        ("dead, and its lease stays", Some(short), Some(DAY)),
        ("a lease that stays", None, Some(DAY)),
        ("removed", Some(DAY), None),
    ] {
        let key = StoreKey::of([name]);
        if let Some(kept_for) = kept_for {
            assert!(
                store
                    .save(&key, record(name), None, kept_for)
                    .await
                    .unwrap()
            );
        }
        if let Some(leased_for) = leased_for {
            assert!(store.lease(&key, &lease(leased_for)).await.unwrap());
        }
    }
    store
        .remove(&StoreKey::of(["removed"]))
        .await
        .unwrap()
        .unwrap();
    pass(&pool, Duration::from_secs(61)).await;
    store.sweep().await.unwrap();
    assert_eq!(count(&pool).await, 4);
    for stays in ["stays", "stays with a dead lease"] {
        let found = store.load(&StoreKey::of([stays])).await.unwrap();
        assert!(found.is_some(), "{stays}");
    }
    for leased in ["dead, and its lease stays", "a lease that stays"] {
        let taken = store
            .lease(&StoreKey::of([leased]), &lease(DAY))
            .await
            .unwrap();
        assert!(!taken, "{leased}");
    }
    assert_eq!(store.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn a_save_is_followed_by_a_sweep_and_by_another_one_if_there_was_too_much() {
    // F9
    let file = File::new();
    let (store, pool) = (file.store().await, file.pool());
    let dead = format!(
        "WITH RECURSIVE counted(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM counted WHERE n < 1500) \
         INSERT INTO {TABLE} (key, expires_at) SELECT 'dead ' || n, 1 FROM counted"
    );
    tell(&pool, &dead).await;
    let save = async || {
        let key = StoreKey::of([Version::random().unwrap().to_string()]);
        assert!(store.save(&key, record("1"), None, DAY).await.unwrap());
    };
    let dead = format!("SELECT count(*) FROM {TABLE} WHERE version IS NULL");
    let dead = async || -> i64 {
        let dead = query_scalar(AssertSqlSafe(dead.as_str())).fetch_one(&pool);
        dead.await.unwrap()
    };
    save().await;
    until(async || dead().await == 500).await;
    until(async || {
        save().await;
        dead().await == 0
    })
    .await;
}

#[tokio::test]
async fn a_database_that_another_process_has_locked_is_an_error_in_time() {
    // F11
    let file = File::new();
    let (store, pool) = (file.store().await, file.pool());
    let key = StoreKey::of(["locked"]);
    let first = record("first");
    assert!(store.save(&key, first.clone(), None, DAY).await.unwrap());
    let mut other = pool.acquire().await.unwrap();
    raw_sql("BEGIN IMMEDIATE")
        .execute(&mut *other)
        .await
        .unwrap();
    failure(store.lease(&key, &lease(DAY))).await;
    // Here the connections do not wait themselves.
    let impatient = (*pool.connect_options())
        .clone()
        .busy_timeout(Duration::ZERO);
    let impatient = SqlitePool::connect_lazy_with(impatient);
    let impatient = SqlxStore::sqlite(impatient, Protection::plain_text());
    let impatient = impatient.table("another").build().unwrap();
    assert!(
        failure(impatient.migrate())
            .await
            .to_string()
            .contains("(5)")
    );
    assert!(
        failure(impatient.lease(&key, &lease(DAY)))
            .await
            .is_transient()
    );
    // Readers and the writer do not wait for each other.
    assert_eq!(store.load(&key).await.unwrap(), Some(first));
    raw_sql("ROLLBACK").execute(&mut *other).await.unwrap();
    impatient.migrate().await.unwrap();
    let second = StoreKey::of(["second"]);
    assert!(store.lease(&second, &lease(DAY)).await.unwrap());
}

#[tokio::test]
async fn a_pool_whose_connections_others_have_is_an_error_in_time() {
    // F11
    let file = File::new();
    let pool = file.pool_of(1);
    let store = SqlxStore::sqlite(pool.clone(), Protection::plain_text());
    let store = store.build().unwrap();
    store.migrate().await.unwrap();
    let taken = pool.acquire().await.unwrap();
    failure(store.load(&StoreKey::of(["a"]))).await;
    drop(taken);
    assert_eq!(store.load(&StoreKey::of(["a"])).await.unwrap(), None);
}
