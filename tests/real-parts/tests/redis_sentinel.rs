//! The Redis store on a master that real Sentinels name, while the master changes or dies.

use std::sync::Arc;
use std::time::Duration;

use real_parts::RedisSentinels;
use redis::sentinel::{SentinelClient, SentinelServerType};
use reqwest_bearer::{
    Error, ErrorKind, Protection, RedisStore, StoreKey, StoredRecord, TokenStore, Version,
};
use tokio::sync::Mutex;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What the crate gives a store (F11).
const LIMIT: Duration = Duration::from_secs(2);

fn open(sentinels: &RedisSentinels) -> RedisStore {
    let name = sentinels.name().to_owned();
    let master = SentinelServerType::Master;
    let client = SentinelClient::build(sentinels.urls(), name, None, master).unwrap();
    let client = Arc::new(Mutex::new(client));
    let connect = move || {
        let client = client.clone();
        async move { client.lock().await.get_async_connection().await }
    };
    let store = RedisStore::connected_by(connect, Protection::plain_text());
    store.build().unwrap()
}

fn key() -> StoreKey {
    StoreKey::of(["somebody"])
}

fn record(data: &str) -> StoredRecord {
    StoredRecord::new(Version::random().unwrap(), data)
}

/// Returns when the replica has a record: a master answers before, and takes along what it has not passed on.
async fn until_passed_on(sentinels: &mut RedisSentinels) {
    let replica = &sentinels.servers()[1];
    let passed_on = async { while replica.ask::<i64>(&["DBSIZE"]).await == 0 {} };
    let passed_on = tokio::time::timeout(Duration::from_secs(60), passed_on).await;
    passed_on.expect("the replica hears of it");
}

/// Saves again and again until the store says that it is saved, each time in time. Returns how often it
/// could not.
async fn until_saved(store: &RedisStore, new: &StoredRecord, expected: Version) -> usize {
    for failed in 0..600 {
        let key = key();
        let saved = store.save(&key, new.clone(), Some(expected), DAY);
        let saved: Result<bool, Error> = tokio::select! {
            biased;
            saved = saved => saved,
            () = tokio::time::sleep(LIMIT) => panic!("no outcome within {LIMIT:?}"),
        };
        match saved {
            Ok(true) => return failed,
            // An earlier one has arrived, whose answer was lost.
            Ok(false) => {
                let found = store.load(&key).await.unwrap();
                assert_eq!(found.as_ref(), Some(new), "another record took its place");
                return failed;
            }
            Err(error) => assert_eq!(error.kind(), ErrorKind::Store, "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no other master within half a minute");
}

#[tokio::test]
async fn when_the_master_dies_calls_fail_in_time_until_the_sentinels_name_another_one() {
    // F11
    let mut sentinels = RedisSentinels::start().await;
    let store = open(&sentinels);
    let first = record("first");
    assert!(store.save(&key(), first.clone(), None, DAY).await.unwrap());
    until_passed_on(&mut sentinels).await;

    sentinels.servers()[0].stop();
    let second = record("second");
    let failed = until_saved(&store, &second, first.version()).await;
    assert!(failed > 0, "the master was dead");
    sentinels.until_replica_is_master().await;
    assert_eq!(store.load(&key()).await.unwrap(), Some(second.clone()));

    // The old one comes back, and is a replica before long; who has a connection stays with the new master.
    sentinels.servers()[0].start_again().await;
    let third = record("third");
    assert_eq!(until_saved(&store, &third, second.version()).await, 0);
    assert_eq!(store.load(&key()).await.unwrap(), Some(third));
}

#[tokio::test]
async fn a_master_that_writes_nothing_alone_takes_no_write_along_when_another_one_is_named() {
    // F11
    let mut sentinels = RedisSentinels::start().await;
    let (early, late) = (open(&sentinels), open(&sentinels));
    let first = record("first");
    assert!(early.save(&key(), first.clone(), None, DAY).await.unwrap());
    until_passed_on(&mut sentinels).await;

    // Otherwise the old master takes writes until it hears that it is none, and they go with it.
    let fence = ["CONFIG", "SET", "min-replicas-to-write", "1"];
    let _: () = sentinels.servers()[0].ask(&fence).await;
    sentinels.switch().await;
    let second = record("second");
    until_saved(&early, &second, first.version()).await;
    // A process that asks for the first time is told the new master at once.
    assert_eq!(late.load(&key()).await.unwrap(), Some(second.clone()));
    let name = format!("reqwest-bearer:{{{}}}:record", key());
    let kept: String = sentinels.servers()[1].ask(&["GET", &name]).await;
    assert!(kept.ends_with("second"), "{kept}");
}
