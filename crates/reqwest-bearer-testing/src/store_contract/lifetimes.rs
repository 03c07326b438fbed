//! How long a record stays.

use std::sync::Arc;
use std::time::Duration;

use reqwest_bearer::{StoreKey, TokenStore};

use crate::store_contract::{Began, Bench, LONG, key, record};

pub(super) async fn a_record_leaves_when_its_time_is_up(bench: Arc<Bench<impl TokenStore>>) {
    let store = bench.handle().await;
    let key = key("lifetime");
    let short = record("short");
    let span = bench.span();
    let began = Began::now();
    assert!(store.save(&key, short.clone(), None, span).await.unwrap());
    bench.pass(span * 3 / 4).await;
    let found = store.load(&key).await.unwrap();
    began.holds_for(span, found.as_ref() == Some(&short), "a record");
    bench.pass(span / 4).await;
    until_gone(&bench, &store, &key).await;
    // It is as absent as if it had never been.
    let late = store.save(&key, record("late"), Some(short.version()), LONG);
    assert!(!late.await.unwrap());
    assert_eq!(store.remove(&key).await.unwrap(), None);
    assert!(store.save(&key, record("new"), None, LONG).await.unwrap());
}

pub(super) async fn the_last_save_decides(bench: Arc<Bench<impl TokenStore>>) {
    let store = bench.handle().await;
    let (shortened, prolonged) = (key("shortened"), key("prolonged"));
    let span = bench.span();
    let first = record("first");
    let version = Some(first.version());
    for (key, before, after) in [(&shortened, LONG, span), (&prolonged, span, LONG)] {
        loop {
            let began = Began::now();
            assert!(store.save(key, first.clone(), None, before).await.unwrap());
            let saved = store.save(key, record("second"), version, after);
            if saved.await.unwrap() {
                break;
            }
            began.holds_for(before, false, "a record");
        }
    }
    bench.pass(span).await;
    until_gone(&bench, &store, &shortened).await;
    assert!(store.load(&prolonged).await.unwrap().is_some());
}

pub(super) async fn none_is_too_short_or_too_long(bench: Arc<Bench<impl TokenStore>>) {
    let store = bench.handle().await;
    for nothing in [Duration::ZERO, Duration::from_nanos(1)] {
        let key = key("too short");
        assert!(
            store
                .save(&key, record("gone"), None, nothing)
                .await
                .unwrap()
        );
        bench.pass(Duration::from_millis(1)).await;
        until_gone(&bench, &store, &key).await;
        // In place of another one it takes that away.
        let old = record("old");
        assert!(store.save(&key, old.clone(), None, LONG).await.unwrap());
        let saved = store.save(&key, record("gone"), Some(old.version()), nothing);
        assert!(saved.await.unwrap());
        bench.pass(Duration::from_millis(1)).await;
        until_gone(&bench, &store, &key).await;
    }
    let key = key("too long");
    let forever = record("forever");
    let saved = store.save(&key, forever.clone(), None, Duration::MAX);
    assert!(saved.await.unwrap());
    assert_eq!(store.load(&key).await.unwrap(), Some(forever));
}

async fn until_gone<S: TokenStore>(bench: &Bench<S>, store: &S, key: &StoreKey) {
    while store.load(key).await.unwrap().is_some() {
        bench
            .look_again("a record has had its time, and stays")
            .await;
    }
}
