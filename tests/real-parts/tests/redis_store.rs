//! The Redis store on a real Redis: what is in there, how long, and what it makes of foreign things.

use std::sync::Arc;
use std::time::Duration;

use real_parts::RedisServer;
use reqwest_bearer::{
    EncryptionKeys, ErrorKind, Lease, Protection, RedisStore, StoreKey, StoredRecord, TokenStore,
    Version,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn plain(server: &RedisServer) -> RedisStore {
    RedisStore::open(server.url(), Protection::plain_text()).unwrap()
}

fn encrypted(server: &RedisServer) -> RedisStore {
    let keys = EncryptionKeys::new("k1", &[7; 32]).unwrap();
    RedisStore::open(server.url(), Protection::encrypted(keys)).unwrap()
}

fn record(data: &str) -> StoredRecord {
    StoredRecord::new(Version::random().unwrap(), data)
}

fn of_record(key: &StoreKey) -> String {
    format!("reqwest-bearer:{{{key}}}:record")
}

fn of_lease(key: &StoreKey) -> String {
    format!("reqwest-bearer:{{{key}}}:lease")
}

async fn until_gone(server: &RedisServer, name: &str) {
    let gone = async { while server.ask::<i64>(&["EXISTS", name]).await != 0 {} };
    let limit = Duration::from_secs(10);
    tokio::time::timeout(limit, gone).await.expect("it is gone");
}

#[tokio::test]
async fn of_a_hundred_saves_with_one_expectation_through_two_clients_one_succeeds() {
    let server = RedisServer::start().await;
    let stores = [plain(&server), plain(&server)];
    let key = StoreKey::of(["race"]);
    let mut expected = None;
    // First with nothing there, then with a record.
    for _ in 0..2 {
        let saves: Vec<_> = (0..100)
            .map(|number| {
                let store = stores[number % 2].clone();
                let record = record(&number.to_string());
                tokio::spawn(async move {
                    let saved = store.save(&key, record.clone(), expected, DAY).await;
                    saved.unwrap().then_some(record)
                })
            })
            .collect();
        let mut winners = Vec::new();
        for save in saves {
            winners.extend(save.await.unwrap());
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(stores[0].load(&key).await.unwrap(), winners.pop());
        expected = stores[1].load(&key).await.unwrap().map(|r| r.version());
    }
}

#[tokio::test]
async fn of_a_hundred_owners_through_two_clients_one_gets_the_lease() {
    let server = RedisServer::start().await;
    let stores = [plain(&server), plain(&server)];
    let key = StoreKey::of(["race"]);
    let takers: Vec<_> = (0..100)
        .map(|number| {
            let store = stores[number % 2].clone();
            tokio::spawn(async move {
                let lease = Lease::new(DAY).unwrap();
                store.lease(&key, &lease).await.unwrap()
            })
        })
        .collect();
    let mut taken = 0;
    for taker in takers {
        taken += usize::from(taker.await.unwrap());
    }
    assert_eq!(taken, 1);
}

#[tokio::test]
async fn a_record_leaves_by_itself_and_redis_knows_when() {
    // F9
    let server = RedisServer::start().await;
    let store = plain(&server);
    let key = StoreKey::of(["ttl"]);
    let first = record("first");
    assert!(store.save(&key, first.clone(), None, DAY).await.unwrap());
    let left: i64 = server.ask(&["PTTL", &of_record(&key)]).await;
    assert!((86_300_000..=86_400_000).contains(&left), "{left}");

    // The next save sets it anew, down as well as up.
    let expected = Some(first.version());
    let soon = Duration::from_millis(300);
    assert!(store.save(&key, record("2"), expected, soon).await.unwrap());
    until_gone(&server, &of_record(&key)).await;
    assert_eq!(store.load(&key).await.unwrap(), None);
    assert!(!store.save(&key, record("3"), expected, DAY).await.unwrap());
}

#[tokio::test]
async fn no_time_is_too_short_or_too_long_for_redis() {
    let server = RedisServer::start().await;
    let store = plain(&server);
    let key = StoreKey::of(["extremes"]);
    let short = record("short");
    assert!(store.save(&key, short, None, Duration::ZERO).await.unwrap());
    until_gone(&server, &of_record(&key)).await;
    let long = record("long");
    assert!(store.save(&key, long, None, Duration::MAX).await.unwrap());
    let left: i64 = server.ask(&["PTTL", &of_record(&key)]).await;
    assert!(left > 3_153_000_000_000, "{left}");

    let blink = Lease::new(Duration::ZERO).unwrap();
    assert!(store.lease(&key, &blink).await.unwrap());
    until_gone(&server, &of_lease(&key)).await;
    let forever = Lease::new(Duration::MAX).unwrap();
    assert!(store.lease(&key, &forever).await.unwrap());
}

#[tokio::test]
async fn a_lease_ends_by_itself_unless_it_is_renewed() {
    // F6
    let server = RedisServer::start().await;
    let (mine, theirs) = (plain(&server), plain(&server));
    let key = StoreKey::of(["lease"]);
    // Longer than any machine needs for the next call, since others are kept out that long.
    let lease = Lease::new(Duration::from_secs(3)).unwrap();
    let other = Lease::new(DAY).unwrap();
    assert!(mine.lease(&key, &lease).await.unwrap());
    assert!(!theirs.lease(&key, &other).await.unwrap());
    let _: () = server.ask(&["PEXPIRE", &of_lease(&key), "1"]).await;
    until_gone(&server, &of_lease(&key)).await;
    assert!(mine.lease(&key, &lease).await.unwrap());

    // Renewing sets the whole time again.
    let _: () = server.ask(&["PEXPIRE", &of_lease(&key), "60000"]).await;
    assert!(mine.lease(&key, &lease).await.unwrap());
    let left: i64 = server.ask(&["PTTL", &of_lease(&key)]).await;
    assert!((0..=3000).contains(&left), "{left}");
    until_gone(&server, &of_lease(&key)).await;
    assert!(theirs.lease(&key, &other).await.unwrap());

    // Whoever has lost it cannot give it back, nor take it.
    mine.release(&key, &lease).await.unwrap();
    assert!(!mine.lease(&key, &lease).await.unwrap());
    theirs.release(&key, &other).await.unwrap();
    assert!(mine.lease(&key, &lease).await.unwrap());
}

#[tokio::test]
async fn what_is_no_record_of_ours_is_unreadable_and_the_next_save_replaces_it() {
    // F7
    let server = RedisServer::start().await;
    let digits = "0123456789abcdef0123456789abcdef";
    let written: [&[&str]; 11] = [
        &["SET", "KEY", "garbage"],
        &["SET", "KEY", ""],
        &["SET", "KEY", digits],
        &["SET", "KEY", &format!("2 {digits} data")],
        &["SET", "KEY", &format!("1 {digits}")],
        &["SET", "KEY", &format!("1 {} data", digits.to_uppercase())],
        &["SET", "KEY", &format!("1 {digits}0 data")],
        &["RPUSH", "KEY", "a", "b"],
        &["HSET", "KEY", "version", digits, "data", "x"],
        &["SADD", "KEY", "a"],
        &["ZADD", "KEY", "1", "a"],
    ];
    for (number, words) in written.iter().enumerate() {
        for store in [plain(&server), encrypted(&server)] {
            let key = StoreKey::of(["foreign", &number.to_string()]);
            let name = of_record(&key);
            let command: Vec<&str> = words
                .iter()
                .map(|&word| if word == "KEY" { &name } else { word })
                .collect();
            let _: i64 = server.ask(&["DEL", &name]).await;
            let _: redis::Value = server.ask(&command).await;

            let found = store.load(&key).await.unwrap().expect("something is there");
            assert!(found.data().is_err(), "{words:?}");
            let new = record("new");
            assert!(!store.save(&key, new.clone(), None, DAY).await.unwrap());
            let other = Some(Version::random().unwrap());
            assert!(!store.save(&key, new.clone(), other, DAY).await.unwrap());
            let expected = Some(found.version());
            assert!(store.save(&key, new.clone(), expected, DAY).await.unwrap());
            assert!(
                !store
                    .save(&key, record("late"), expected, DAY)
                    .await
                    .unwrap()
            );
            assert_eq!(store.load(&key).await.unwrap(), Some(new.clone()));
            assert!(server.ask::<i64>(&["PTTL", &name]).await > 0);

            assert_eq!(store.remove(&key).await.unwrap(), Some(new));
            let _: i64 = server.ask(&["DEL", &name]).await;
            let _: redis::Value = server.ask(&command).await;
            let removed = store.remove(&key).await.unwrap().expect("it was there");
            assert!(removed.data().is_err(), "{words:?}");
            // For as long as a removal may be sent again, what it was is there and counts as nothing.
            assert!(server.ask::<i64>(&["PTTL", &name]).await <= 3000);
            assert_eq!(store.load(&key).await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn what_is_no_lease_of_ours_is_in_nobodys_way_for_good() {
    let server = RedisServer::start().await;
    let store = plain(&server);
    let key = StoreKey::of(["lease"]);
    let name = of_lease(&key);
    let lease = Lease::new(DAY).unwrap();
    let foreign: [&[&str]; 2] = [&["SET", &name, "somebody"], &["RPUSH", &name, "a"]];
    for words in foreign {
        let _: i64 = server.ask(&["DEL", &name]).await;
        let _: redis::Value = server.ask(words).await;
        store.release(&key, &lease).await.unwrap();
        assert_eq!(server.ask::<i64>(&["EXISTS", &name]).await, 1);
        assert!(store.lease(&key, &lease).await.unwrap(), "{words:?}");

        let _: i64 = server.ask(&["DEL", &name]).await;
        let _: redis::Value = server.ask(words).await;
        let _: i64 = server.ask(&["PEXPIRE", &name, "60000"]).await;
        assert!(!store.lease(&key, &lease).await.unwrap(), "{words:?}");
    }
}

#[tokio::test]
async fn no_key_names_a_session_and_no_encrypted_value_shows_a_token() {
    // F8, D6
    let server = RedisServer::start().await;
    for (store, shows) in [(plain(&server), true), (encrypted(&server), false)] {
        let _: () = server.ask(&["FLUSHALL"]).await;
        let key = StoreKey::of(["https://as.example", "session-4711"]);
        let token = record("token-0815");
        assert!(store.save(&key, token, None, DAY).await.unwrap());
        assert!(store.lease(&key, &Lease::new(DAY).unwrap()).await.unwrap());
        let names: Vec<String> = server.ask(&["KEYS", "*"]).await;
        assert_eq!(names.len(), 2);
        let mut seen = false;
        for name in names {
            assert!(name.starts_with("reqwest-bearer:{"), "{name}");
            assert!(!name.contains("4711") && !name.contains("as.example"));
            let value: Vec<u8> = server.ask(&["GET", &name]).await;
            let value = String::from_utf8_lossy(&value).into_owned();
            assert!(!value.contains("4711"), "{value}");
            seen |= value.contains("0815");
        }
        assert_eq!(seen, shows, "{store:?}");
    }
}

#[tokio::test]
async fn whoever_has_another_key_finds_a_record_unreadable_and_can_replace_it() {
    // F7, F8
    let server = RedisServer::start().await;
    let key = StoreKey::of(["rotated"]);
    let old = record("old");
    assert!(
        encrypted(&server)
            .save(&key, old.clone(), None, DAY)
            .await
            .unwrap()
    );
    let keys = EncryptionKeys::new("k2", &[8; 32]).unwrap();
    let other = RedisStore::open(server.url(), Protection::encrypted(keys)).unwrap();
    let found = other.load(&key).await.unwrap().unwrap();
    assert!(found.data().is_err());
    let new = record("new");
    let expected = Some(found.version());
    assert!(other.save(&key, new, expected, DAY).await.unwrap());
}

#[tokio::test]
async fn stores_with_two_prefixes_share_a_server_and_nothing_else() {
    let server = RedisServer::start().await;
    let with = |prefix: &str| {
        let builder = RedisStore::builder(server.url(), Protection::plain_text());
        builder.key_prefix(prefix).build().unwrap()
    };
    let (one, two) = (with("one:"), with("two:"));
    let key = StoreKey::of(["shared"]);
    assert!(one.save(&key, record("1"), None, DAY).await.unwrap());
    assert!(one.lease(&key, &Lease::new(DAY).unwrap()).await.unwrap());
    assert_eq!(two.load(&key).await.unwrap(), None);
    assert!(two.lease(&key, &Lease::new(DAY).unwrap()).await.unwrap());
    let names: Vec<String> = server.ask(&["KEYS", "one:*"]).await;
    assert_eq!(names.len(), 2);
}

#[tokio::test]
async fn a_wrong_password_is_an_error_of_the_call_until_the_server_takes_it() {
    // D6
    let server = RedisServer::start_with(&["--requirepass", "first-pass"]).await;
    let open = |password: &str| {
        let url = format!("redis://:{password}@{}", server.address());
        RedisStore::open(url, Protection::plain_text()).unwrap()
    };
    let key = StoreKey::of(["password"]);
    assert_eq!(open("first-pass").load(&key).await.unwrap(), None);
    for (store, words) in [
        (open("second-pass"), "password"),
        (plain(&server), "NOAUTH"),
    ] {
        let error = store.load(&key).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(error.to_string().contains(words), "{error}");
        let shown = format!("{error} {error:?} {store:?}");
        assert!(!shown.contains("second-pass"), "{shown}");
    }
    let store = open("second-pass");
    store.load(&key).await.unwrap_err();
    let administrator = format!("redis://:first-pass@{}", server.address());
    let administrator = redis::Client::open(administrator).unwrap();
    let mut connection = administrator
        .get_multiplexed_async_connection()
        .await
        .unwrap();
    let mut command = redis::cmd("CONFIG");
    command.arg(&["SET", "requirepass", "second-pass"]);
    let () = command.query_async(&mut connection).await.unwrap();
    assert_eq!(store.load(&key).await.unwrap(), None);
}

#[tokio::test]
async fn a_redis_without_room_says_so_and_keeps_what_it_has() {
    let server = RedisServer::start().await;
    let store = Arc::new(plain(&server));
    let key = StoreKey::of(["room"]);
    let old = record("old");
    assert!(store.save(&key, old.clone(), None, DAY).await.unwrap());
    let _: () = server.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    let new = record("new");
    let expected = Some(old.version());
    let error = store
        .save(&key, new.clone(), expected, DAY)
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains("OOM"), "{error}");
    assert_eq!(store.load(&key).await.unwrap(), Some(old));
    let _: () = server.ask(&["CONFIG", "SET", "maxmemory", "0"]).await;
    assert!(store.save(&key, new.clone(), expected, DAY).await.unwrap());
    // A sign-out needs no room.
    let _: () = server.ask(&["CONFIG", "SET", "maxmemory", "1"]).await;
    assert_eq!(store.remove(&key).await.unwrap(), Some(new));
    assert_eq!(store.load(&key).await.unwrap(), None);
}
