//! Many calls at the same moment, through two handles.

use std::sync::Arc;

use reqwest_bearer::{Lease, TokenStore};
use tokio::sync::Barrier;

use crate::given_up::{give_up, moments};
use crate::store_contract::{Bench, LONG, key, pause, record};

/// Not more, here and below: a call of the file store waits 1.5 s for its turn, and all of them
/// together must not take that long, however busy the machine is.
const MANY: usize = 50;

/// Two handles to the store, and what `call` makes of them in so many tasks that begin together:
/// how many of the calls say `true`.
async fn together<S, F>(bench: &Bench<S>, call: impl Fn(Arc<S>, usize) -> F) -> usize
where
    S: TokenStore,
    F: Future<Output = bool> + Send + 'static,
{
    let handles = [bench.handle().await, bench.handle().await].map(Arc::new);
    let start = Arc::new(Barrier::new(MANY));
    let tasks: Vec<_> = (0..MANY)
        .map(|n| {
            let call = call(handles[n % 2].clone(), n);
            let start = start.clone();
            tokio::spawn(async move {
                start.wait().await;
                call.await
            })
        })
        .collect();
    let mut successes = 0;
    for task in tasks {
        successes += usize::from(task.await.unwrap());
    }
    successes
}

pub(super) async fn one_of_many_saves_succeeds(bench: Arc<Bench<impl TokenStore>>) {
    let store = bench.handle().await;
    let key = key("saves");
    // First where there is nothing, then in place of what is there.
    for _ in 0..2 {
        let before = store.load(&key).await.unwrap().map(|found| found.version());
        let records: Arc<Vec<_>> = Arc::new((0..MANY).map(|n| record(n.to_string())).collect());
        let saving = records.clone();
        let successes = together(&*bench, move |store, n| {
            let record = saving[n].clone();
            async move { store.save(&key, record, before, LONG).await.unwrap() }
        });
        assert_eq!(successes.await, 1);
        let left = store.load(&key).await.unwrap().unwrap();
        assert!(records.contains(&left));
    }
}

pub(super) async fn one_of_many_removals_gets_the_record(bench: Arc<Bench<impl TokenStore>>) {
    let store = bench.handle().await;
    let key = key("removals");
    assert!(store.save(&key, record("one"), None, LONG).await.unwrap());
    let successes = together(&*bench, move |store, _| async move {
        store.remove(&key).await.unwrap().is_some()
    });
    assert_eq!(successes.await, 1);
}

pub(super) async fn one_of_many_owners_gets_the_lease(bench: Arc<Bench<impl TokenStore>>) {
    let key = key("owners");
    let successes = together(&*bench, move |store, _| async move {
        let lease = Lease::new(LONG).unwrap();
        store.lease(&key, &lease).await.unwrap()
    });
    assert_eq!(successes.await, 1);
}

/// Counts with compare-and-set, from several tasks that are in each other's way.
pub(super) async fn no_update_is_lost(bench: Arc<Bench<impl TokenStore>>) {
    const TASKS: usize = 4;
    const EACH: usize = 5;
    let key = key("updates");
    let store = bench.handle().await;
    assert!(store.save(&key, record("0"), None, LONG).await.unwrap());
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        let store = bench.handle().await;
        tasks.push(tokio::spawn(async move {
            let mut done = 0;
            while done < EACH {
                let found = store.load(&key).await.unwrap().unwrap();
                let count = std::str::from_utf8(found.data().unwrap()).unwrap();
                let next = record((count.parse::<usize>().unwrap() + 1).to_string());
                let saved = store.save(&key, next, Some(found.version()), LONG);
                done += usize::from(saved.await.unwrap());
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let left = store.load(&key).await.unwrap().unwrap();
    assert_eq!(left.data().unwrap(), (TASKS * EACH).to_string().as_bytes());
}

/// Who calls a store gives up after 2 seconds, or goes away with its request.
pub(super) async fn a_call_that_is_given_up_locks_nothing(bench: Arc<Bench<impl TokenStore>>) {
    let store = bench.handle().await;
    for moment in moments() {
        let key = key("given up");
        let lease = Lease::new(LONG).unwrap();
        give_up(moment, store.save(&key, record("late"), None, LONG)).await;
        give_up(moment, store.lease(&key, &lease)).await;
        give_up(moment, store.remove(&key)).await;
        // Whether they were carried out nobody knows, and they may still be: so by what is found.
        loop {
            let found = store.load(&key).await.unwrap().map(|found| found.version());
            if store.save(&key, record("new"), found, LONG).await.unwrap() {
                break;
            }
            pause().await;
        }
        assert!(store.lease(&key, &lease).await.unwrap());
    }
}
