//! Loading, saving and removing, one call after the other.

use std::sync::Arc;

use reqwest_bearer::{StoredRecord, TokenStore};

use crate::store_contract::{Bench, LONG, key, record};

pub(super) async fn what_was_saved_is_loaded(bench: Arc<Bench<impl TokenStore>>) {
    let (one, other) = (bench.handle().await, bench.handle().await);
    let key = key("load");
    assert_eq!(one.load(&key).await.unwrap(), None);
    let first = record("first");
    assert!(one.save(&key, first.clone(), None, LONG).await.unwrap());
    for store in [&one, &other] {
        assert_eq!(store.load(&key).await.unwrap(), Some(first.clone()));
    }
    let second = record("second");
    let expected = Some(first.version());
    assert!(
        other
            .save(&key, second.clone(), expected, LONG)
            .await
            .unwrap()
    );
    for store in [&one, &other] {
        assert_eq!(store.load(&key).await.unwrap(), Some(second.clone()));
    }
}

pub(super) async fn any_bytes_come_back(bench: Arc<Bench<impl TokenStore>>) {
    let store = bench.handle().await;
    let every_byte: Vec<u8> = (0..=255).collect();
    let mebibyte: Vec<u8> = every_byte.iter().copied().cycle().take(1 << 20).collect();
    let contents: [&[u8]; 8] = [
        b"",
        b"\0",
        b"\xff\xfe not UTF-8",
        b"a text with \"quotes\", \\ and \r\n",
        "ключ".as_bytes(),
        b"1",
        &every_byte,
        &mebibyte,
    ];
    for content in contents {
        let key = key("bytes");
        let saved = record(content);
        assert!(store.save(&key, saved.clone(), None, LONG).await.unwrap());
        // Not `assert_eq`, which would print a mebibyte.
        assert!(store.load(&key).await.unwrap() == Some(saved.clone()));
        assert!(store.remove(&key).await.unwrap() == Some(saved));
    }
}

pub(super) async fn a_save_replaces_what_it_expects(bench: Arc<Bench<impl TokenStore>>) {
    let store = bench.handle().await;
    let present = record("present");
    let other = record("another one").version();
    for (found, expected, succeeds) in [
        (None, None, true),
        (None, Some(other), false),
        (Some(&present), None, false),
        (Some(&present), Some(other), false),
        (Some(&present), Some(present.version()), true),
    ] {
        let key = key("save");
        if let Some(present) = found {
            assert!(store.save(&key, present.clone(), None, LONG).await.unwrap());
        }
        let new = record("new");
        let saved = store.save(&key, new.clone(), expected, LONG).await.unwrap();
        assert_eq!(saved, succeeds, "{found:?} {expected:?}");
        let left: Option<&StoredRecord> = if succeeds { Some(&new) } else { found };
        let loaded = store.load(&key).await.unwrap();
        assert_eq!(loaded.as_ref(), left, "{found:?} {expected:?}");
    }
}

pub(super) async fn what_is_removed_is_returned_and_gone(bench: Arc<Bench<impl TokenStore>>) {
    let (one, other) = (bench.handle().await, bench.handle().await);
    let key = key("remove");
    assert_eq!(one.remove(&key).await.unwrap(), None);
    let old = record("old");
    assert!(one.save(&key, old.clone(), None, LONG).await.unwrap());
    assert_eq!(other.remove(&key).await.unwrap(), Some(old.clone()));
    assert_eq!(one.load(&key).await.unwrap(), None);
    assert_eq!(one.remove(&key).await.unwrap(), None);
    // A flight that lands after a sign-out does not bring the record back.
    let late = one.save(&key, record("late"), Some(old.version()), LONG);
    assert!(!late.await.unwrap());
    assert_eq!(other.load(&key).await.unwrap(), None);
    // Nor does it take the place of the next sign-in.
    let new = record("new");
    assert!(one.save(&key, new.clone(), None, LONG).await.unwrap());
    let late = one.save(&key, record("late"), Some(old.version()), LONG);
    assert!(!late.await.unwrap());
    assert_eq!(other.load(&key).await.unwrap(), Some(new));
}

pub(super) async fn a_rename_moves_what_it_expects_and_takes_no_other_record_s_place(
    bench: Arc<Bench<impl TokenStore>>,
) {
    let (one, other) = (bench.handle().await, bench.handle().await);
    let (present, stranger) = (record("present"), record("stranger"));
    for (found, expected, in_the_way, succeeds) in [
        (true, present.version(), false, true),
        (true, stranger.version(), false, false),
        (true, present.version(), true, false),
        (false, present.version(), false, false),
    ] {
        let (from, to) = (key("from"), key("to"));
        if found {
            let saved = one.save(&from, present.clone(), None, LONG);
            assert!(saved.await.unwrap());
        }
        if in_the_way {
            let saved = one.save(&to, stranger.clone(), None, LONG);
            assert!(saved.await.unwrap());
        }
        let new = record("new");
        let renamed = one.rename(&from, expected, &to, new.clone(), LONG);
        let case = format!("{found} {in_the_way} {succeeds}");
        assert_eq!(renamed.await.unwrap(), succeeds, "{case}");
        let (at_from, at_to) = match succeeds {
            true => (None, Some(new)),
            false => (
                found.then(|| present.clone()),
                in_the_way.then(|| stranger.clone()),
            ),
        };
        assert_eq!(other.load(&from).await.unwrap(), at_from, "{case}");
        assert_eq!(other.load(&to).await.unwrap(), at_to, "{case}");
    }
}

pub(super) async fn keys_never_meet(bench: Arc<Bench<impl TokenStore>>) {
    let store = bench.handle().await;
    let users: Vec<_> = (0..30)
        .map(|user| (key(&format!("user {user}")), record(format!("of {user}"))))
        .collect();
    for (key, record) in &users {
        assert!(store.save(key, record.clone(), None, LONG).await.unwrap());
    }
    let (gone, changed) = (&users[7], &users[8]);
    assert_eq!(store.remove(&gone.0).await.unwrap().as_ref(), Some(&gone.1));
    let new = record("new");
    let expected = Some(changed.1.version());
    assert!(
        store
            .save(&changed.0, new.clone(), expected, LONG)
            .await
            .unwrap()
    );
    for (key, record) in &users {
        let left = match key {
            key if *key == gone.0 => None,
            key if *key == changed.0 => Some(&new),
            _ => Some(record),
        };
        assert_eq!(store.load(key).await.unwrap().as_ref(), left);
    }
}
