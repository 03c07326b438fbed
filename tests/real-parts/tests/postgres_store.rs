//! The store of `reqwest-bearer-sqlx` on a real Postgres: what is in there, how long by its clock, and what it
//! makes of foreign things.

use std::time::Duration;

use real_parts::PostgresServer;
use reqwest_bearer::{
    EncryptionKeys, ErrorKind, Lease, Protection, StoreKey, StoredRecord, TokenStore, Version,
};
use reqwest_bearer_sqlx::{SqlxStore, sqlx};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const TABLE: &str = "reqwest_bearer_tokens";

async fn plain(server: &PostgresServer) -> SqlxStore {
    with(server, Protection::plain_text()).await
}

async fn with(server: &PostgresServer, protection: Protection) -> SqlxStore {
    let store = SqlxStore::postgres(server.pool(5), protection)
        .build()
        .unwrap();
    store.migrate().await.unwrap();
    store
}

fn keys(name: &str) -> Protection {
    Protection::encrypted(EncryptionKeys::new(name, &[7; 32]).unwrap())
}

fn record(data: &str) -> StoredRecord {
    StoredRecord::new(Version::random().unwrap(), data)
}

fn lease(duration: Duration) -> Lease {
    Lease::new(duration).unwrap()
}

/// Looks until it is so.
async fn until(is_so: impl AsyncFn() -> bool) {
    let looking = async { while !is_so().await {} };
    let limit = Duration::from_secs(20);
    tokio::time::timeout(limit, looking).await.unwrap();
}

/// Moves the moments of the table, as if so much time had passed for the database.
async fn pass(server: &PostgresServer, by: Duration) {
    let seconds = by.as_secs();
    let past = format!(
        "UPDATE {TABLE} SET expires_at = expires_at - interval '{seconds} s', \
         lease_until = lease_until - interval '{seconds} s'"
    );
    server.tell(&past).await;
}

#[tokio::test]
async fn of_a_hundred_saves_with_one_expectation_through_two_pools_one_succeeds() {
    let server = PostgresServer::start().await;
    let stores = [plain(&server).await, plain(&server).await];
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
async fn how_long_a_lease_and_a_record_last_is_told_by_the_clock_of_the_database() {
    // F6, F9
    let server = PostgresServer::start().await;
    let (mine, theirs) = (plain(&server).await, plain(&server).await);
    let key = StoreKey::of(["time"]);
    let (one, other) = (lease(DAY), lease(DAY));
    let saved = record("saved");
    assert!(mine.lease(&key, &one).await.unwrap());
    assert!(mine.save(&key, saved.clone(), None, 2 * DAY).await.unwrap());
    for (column, least, most) in [
        ("lease_until", 86_340, 86_400),
        ("expires_at", 172_740, 172_800),
    ] {
        let left = format!(
            "SELECT ceil(extract(epoch FROM {column} - clock_timestamp()))::bigint FROM {TABLE}"
        );
        let left: i64 = server.ask(&left).await[0];
        assert!((least..=most).contains(&left), "{column}: {left}");
    }
    pass(&server, DAY - Duration::from_secs(60)).await;
    assert!(!theirs.lease(&key, &other).await.unwrap());
    // The renewal counts from now on.
    assert!(mine.lease(&key, &one).await.unwrap());
    pass(&server, DAY - Duration::from_secs(60)).await;
    assert!(!theirs.lease(&key, &other).await.unwrap());
    assert_eq!(theirs.load(&key).await.unwrap(), Some(saved.clone()));
    pass(&server, Duration::from_secs(120)).await;
    assert_eq!(theirs.load(&key).await.unwrap(), None);
    assert_eq!(
        theirs.lease_and_load(&key, &other).await.unwrap(),
        Some(None)
    );
    // Whoever has lost it cannot give it back, nor take it.
    mine.release(&key, &one).await.unwrap();
    assert!(!mine.lease(&key, &one).await.unwrap());
    let late = mine.save(&key, record("late"), Some(saved.version()), DAY);
    assert!(!late.await.unwrap());
}

#[tokio::test]
async fn a_statement_that_has_waited_reads_the_clock_when_it_gets_its_turn() {
    // F3: by the time of its beginning it would find a lease that has ended meanwhile, and give one that is
    // shorter than its owner thinks.
    let server = PostgresServer::start().await;
    let store = plain(&server).await;
    let key = StoreKey::of(["waits"]);
    assert!(store.lease(&key, &lease(DAY)).await.unwrap());
    let mut other = server.pool(1).begin().await.unwrap();
    let locks = format!("UPDATE {TABLE} SET lease_until = clock_timestamp() + interval '0.3 s'");
    let locks = sqlx::AssertSqlSafe(locks);
    sqlx::query(locks).execute(&mut *other).await.unwrap();
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.lease(&key, &lease(DAY)).await }
    });
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    until(async || server.ask::<i64>(waits).await[0] > 0).await;
    // What the row says becomes true while the statement waits for it.
    let is_over = "SELECT bool_and(clock_timestamp() > query_start + interval '0.4 s') \
                   FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    until(async || server.ask::<Option<bool>>(is_over).await[0] != Some(false)).await;
    other.commit().await.unwrap();
    assert!(waiting.await.unwrap().unwrap());
}

#[tokio::test]
async fn eight_processes_that_migrate_at_once_have_one_table() {
    let server = PostgresServer::start().await;
    for round in 0..5 {
        let table = format!("tokens_{round}");
        let migrations: Vec<_> = (0..8)
            .map(|_| {
                let store = SqlxStore::postgres(server.pool(2), Protection::plain_text());
                let store = store.table(&table).build().unwrap();
                tokio::spawn(async move { store.migrate().await })
            })
            .collect();
        for migration in migrations {
            migration.await.unwrap().unwrap();
        }
    }
    let tables = "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'tokens\\_%'";
    assert_eq!(server.ask::<i64>(tables).await, [5]);
    // And once more, with records in it.
    let store = plain(&server).await;
    let (key, saved) = (StoreKey::of(["migrated"]), record("saved"));
    assert!(store.save(&key, saved.clone(), None, DAY).await.unwrap());
    store.migrate().await.unwrap();
    assert_eq!(store.load(&key).await.unwrap(), Some(saved));
}

#[tokio::test]
async fn the_statements_of_the_schema_are_what_migrating_does() {
    let server = PostgresServer::start().await;
    let store = SqlxStore::postgres(server.pool(2), Protection::plain_text());
    let store = store.table("tokens").build().unwrap();
    for statement in store.schema() {
        server.tell(statement).await;
    }
    let key = StoreKey::of(["by hand"]);
    assert!(store.save(&key, record("1"), None, DAY).await.unwrap());
}

#[tokio::test]
async fn a_table_that_is_not_there_is_an_error_that_names_the_way_out() {
    let server = PostgresServer::start().await;
    for protection in [Protection::plain_text(), keys("k1")] {
        let store = SqlxStore::postgres(server.pool(2), protection)
            .build()
            .unwrap();
        let error = store.load(&StoreKey::of(["a"])).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(error.to_string().contains("migrate"), "{error}");
    }
    // One of somebody else's.
    server.tell("CREATE TABLE foreign_one (id BIGINT)").await;
    let store = SqlxStore::postgres(server.pool(2), Protection::plain_text());
    let store = store.table("foreign_one").build().unwrap();
    assert!(store.migrate().await.is_err());
    let error = store.load(&StoreKey::of(["a"])).await.unwrap_err();
    assert!(error.to_string().contains("42703"), "{error}");
    for bad in ["", "a b", "a;b", "a\"b", "a.b.c"] {
        let store = SqlxStore::postgres(server.pool(2), Protection::plain_text());
        let error = store.table(bad).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings, "{bad:?}");
    }
}

#[tokio::test]
async fn stores_with_two_tables_share_a_database_and_nothing_else() {
    let server = PostgresServer::start().await;
    server.tell("CREATE SCHEMA \"Auth\"").await;
    let mut stores = Vec::new();
    for table in ["Auth.user", "user"] {
        let store = SqlxStore::postgres(server.pool(2), Protection::plain_text());
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
async fn no_row_names_a_session_and_no_encrypted_one_shows_a_token() {
    // F8, D6
    let server = PostgresServer::start().await;
    for (store, shows) in [
        (plain(&server).await, true),
        (with(&server, keys("k1")).await, false),
    ] {
        server.tell(&format!("TRUNCATE {TABLE}")).await;
        let key = StoreKey::of(["https://as.example", "session-4711"]);
        assert!(store.lease(&key, &lease(DAY)).await.unwrap());
        assert!(
            store
                .save(&key, record("token-0815"), None, DAY)
                .await
                .unwrap()
        );
        let row = format!(
            "SELECT key::text || version || lease_owner || encode(data, 'escape') FROM {TABLE}"
        );
        let rows: Vec<String> = server.ask(&row).await;
        assert_eq!(rows.len(), 1);
        assert!(!rows[0].contains("4711") && !rows[0].contains("as.example"));
        assert_eq!(rows[0].contains("token-0815"), shows, "{store:?}");
    }
}

#[tokio::test]
async fn whoever_has_another_key_finds_a_record_unreadable_and_can_replace_it() {
    // F7, F8
    let server = PostgresServer::start().await;
    let key = StoreKey::of(["rotated"]);
    let store = with(&server, keys("k1")).await;
    assert!(store.save(&key, record("old"), None, DAY).await.unwrap());
    // And one whose bytes somebody has changed.
    let other = with(&server, keys("k2")).await;
    let found = other.load(&key).await.unwrap().unwrap();
    assert!(found.data().is_err());
    let expected = Some(found.version());
    assert!(
        other
            .save(&key, record("new"), expected, DAY)
            .await
            .unwrap()
    );
    server
        .tell(&format!("UPDATE {TABLE} SET data = data || 'x'"))
        .await;
    let found = other.load(&key).await.unwrap().unwrap();
    assert!(found.data().is_err());
    let expected = Some(found.version());
    assert!(
        other
            .save(&key, record("new"), expected, DAY)
            .await
            .unwrap()
    );
    assert!(other.load(&key).await.unwrap().unwrap().data().is_ok());
}

#[tokio::test]
async fn what_has_had_its_time_is_swept_and_nothing_else() {
    // F9
    let server = PostgresServer::start().await;
    let store = plain(&server).await;
    let key = |name: &str| StoreKey::of([name]);
    let short = Duration::from_secs(60);
    // Which of the rows is to stay is its name.
    for (name, kept_for, leased_for) in [
        ("dead", Some(short), None),
        ("dead with a dead lease", Some(short), Some(short)),
        ("a dead lease", None, Some(short)),
        ("stays", Some(DAY), None),
        ("stays with a dead lease", Some(DAY), Some(short)),
        ("dead, and its lease stays", Some(short), Some(DAY)),
        ("a lease that stays", None, Some(DAY)),
    ] {
        if let Some(kept_for) = kept_for {
            let key = key(name);
            let saved = store.save(&key, record(name), None, kept_for);
            assert!(saved.await.unwrap());
        }
        if let Some(leased_for) = leased_for {
            assert!(store.lease(&key(name), &lease(leased_for)).await.unwrap());
        }
    }
    // What was removed or moved leaves a row without a record.
    for name in ["removed", "moved"] {
        assert!(
            store
                .save(&key(name), record(name), None, DAY)
                .await
                .unwrap()
        );
    }
    store.remove(&key("removed")).await.unwrap().unwrap();
    let moved = store.load(&key("moved")).await.unwrap().unwrap().version();
    let (from, to) = (key("moved"), key("stays, moved"));
    let renamed = store.rename(&from, moved, &to, record("m"), DAY);
    assert!(renamed.await.unwrap());
    pass(&server, Duration::from_secs(61)).await;

    // The store may have begun itself, behind the first save.
    store.sweep().await.unwrap();
    let left: i64 = server.ask(&format!("SELECT count(*) FROM {TABLE}")).await[0];
    assert_eq!(left, 5);
    for stays in ["stays", "stays with a dead lease", "stays, moved"] {
        assert!(store.load(&key(stays)).await.unwrap().is_some(), "{stays}");
    }
    for leased in ["dead, and its lease stays", "a lease that stays"] {
        assert!(
            !store.lease(&key(leased), &lease(DAY)).await.unwrap(),
            "{leased}"
        );
    }
    assert_eq!(store.sweep().await.unwrap(), 0);
}

#[tokio::test]
async fn a_save_is_followed_by_a_sweep_and_by_another_one_if_there_was_too_much() {
    // F9
    let server = PostgresServer::start().await;
    let store = plain(&server).await;
    let dead = format!(
        "INSERT INTO {TABLE} (key, version, data, expires_at) \
         SELECT decode(md5(n::text), 'hex'), md5(n::text), 'x', now() - interval '1 s' \
         FROM generate_series(1, 2500) AS n"
    );
    server.tell(&dead).await;
    let save = async || {
        let key = StoreKey::of([Version::random().unwrap().to_string()]);
        assert!(store.save(&key, record("1"), None, DAY).await.unwrap());
    };
    let dead = format!("SELECT count(*) FROM {TABLE} WHERE expires_at < now()");
    let dead = async || server.ask::<i64>(&dead).await[0];
    save().await;
    until(async || dead().await == 1500).await;
    until(async || {
        save().await;
        dead().await == 0
    })
    .await;
}

#[tokio::test]
async fn a_rename_whose_rows_change_under_it_changes_neither() {
    // F12
    let server = PostgresServer::start().await;
    let store = plain(&server).await;
    let (from, to) = (StoreKey::of(["from"]), StoreKey::of(["to"]));
    let (first, second) = (record("first"), record("second"));
    // Another process signs somebody in there, or refreshes here, after the statement has looked.
    for (changed, data) in [(&to, "stranger"), (&from, "refreshed")] {
        server.tell(&format!("TRUNCATE {TABLE}")).await;
        assert!(store.save(&from, first.clone(), None, DAY).await.unwrap());
        assert!(store.lease(&to, &lease(DAY)).await.unwrap());
        let mut other = server.pool(1).begin().await.unwrap();
        let version = Version::random().unwrap();
        let changes = format!(
            "UPDATE {TABLE} SET version = '{version}', data = '{data}', \
             expires_at = now() + interval '1 day' WHERE key = decode('{changed}', 'hex')"
        );
        let changes = sqlx::AssertSqlSafe(changes);
        sqlx::query(changes).execute(&mut *other).await.unwrap();
        let renaming = tokio::spawn({
            let (store, second, expected) = (store.clone(), second.clone(), first.version());
            async move { store.rename(&from, expected, &to, second, DAY).await }
        });
        let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        until(async || server.ask::<i64>(waits).await[0] > 0).await;
        other.commit().await.unwrap();
        assert!(!renaming.await.unwrap().unwrap());
        let expected = StoredRecord::new(version, data);
        assert_eq!(store.load(changed).await.unwrap(), Some(expected));
        let is_left = store.load(&from).await.unwrap().is_some();
        assert!(is_left);
        assert_eq!(store.load(&to).await.unwrap().is_some(), changed == &to);
    }
}

#[tokio::test]
async fn what_is_removed_under_a_refresh_is_what_the_refresh_has_written() {
    // F10: or the refresh token that came last would not be revoked.
    let server = PostgresServer::start().await;
    let store = plain(&server).await;
    let key = StoreKey::of(["removed"]);
    assert!(store.save(&key, record("old"), None, DAY).await.unwrap());
    let mut other = server.pool(1).begin().await.unwrap();
    let version = Version::random().unwrap();
    let refreshes = format!("UPDATE {TABLE} SET version = '{version}', data = 'new'");
    let refreshes = sqlx::query(sqlx::AssertSqlSafe(refreshes));
    refreshes.execute(&mut *other).await.unwrap();
    let removing = tokio::spawn({
        let store = store.clone();
        async move { store.remove(&key).await }
    });
    let waits = "SELECT count(*) FROM pg_locks WHERE NOT granted";
    until(async || server.ask::<i64>(waits).await[0] > 0).await;
    other.commit().await.unwrap();
    let removed = removing.await.unwrap().unwrap();
    assert_eq!(removed, Some(StoredRecord::new(version, "new")));
    assert_eq!(store.load(&key).await.unwrap(), None);
}

#[tokio::test]
async fn a_wrong_password_is_an_error_of_the_call_and_stands_nowhere() {
    // D6
    let server = PostgresServer::start_with_password("first-pass").await;
    let open = |password: &str| {
        let url = server
            .url()
            .replace("postgres@", &format!("postgres:{password}@"));
        let pool = sqlx::PgPool::connect_lazy(&url).unwrap();
        let builder = SqlxStore::postgres(pool, Protection::plain_text());
        assert!(!format!("{builder:?}").contains(password), "{builder:?}");
        builder.build().unwrap()
    };
    let key = StoreKey::of(["password"]);
    let store = open("first-pass");
    store.migrate().await.unwrap();
    assert_eq!(store.load(&key).await.unwrap(), None);
    let store = open("second-pass");
    let error = store.load(&key).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store);
    assert!(error.to_string().contains("password"), "{error}");
    let shown = format!("{error} {error:?} {store:?}");
    assert!(!shown.contains("second-pass"), "{shown}");
    server
        .tell("ALTER USER postgres PASSWORD 'second-pass'")
        .await;
    assert_eq!(store.load(&key).await.unwrap(), None);
}

#[tokio::test]
async fn the_transaction_of_a_statement_ends_by_itself_if_its_process_does_not_go_on() {
    // F6: a process that is stopped in the middle must not keep the row from all the others.
    let server = PostgresServer::start().await;
    let store = plain(&server).await;
    let watch = format!(
        "CREATE TABLE seen (idle TEXT, busy TEXT);
         CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO seen VALUES (current_setting('idle_in_transaction_session_timeout'),
                                      current_setting('statement_timeout'));
             RETURN NEW;
         END $$;
         CREATE TRIGGER look BEFORE INSERT ON {TABLE} FOR EACH ROW EXECUTE FUNCTION look()"
    );
    server.tell(&watch).await;
    assert!(
        store
            .lease(&StoreKey::of(["a"]), &lease(DAY))
            .await
            .unwrap()
    );
    let seen: Vec<String> = server.ask("SELECT idle || ' ' || busy FROM seen").await;
    assert_eq!(seen, ["1500ms 1500ms"]);
}
