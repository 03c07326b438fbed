//! Who has the lease of a key, and for how long.

use std::sync::Arc;
use std::time::Duration;

use reqwest_bearer::{Lease, StoreKey, TokenStore};

use crate::store_contract::{Began, Bench, LONG, key, record};

fn lease(duration: Duration) -> Lease {
    Lease::new(duration).unwrap()
}

pub(super) async fn a_lease_has_one_owner(bench: Arc<Bench<impl TokenStore>>) {
    let (one, other) = (bench.handle().await, bench.handle().await);
    let (key, another) = (key("lease"), key("another"));
    let (mine, theirs) = (lease(LONG), lease(LONG));
    assert!(one.lease(&key, &mine).await.unwrap());
    // As often as the owner likes, and through whichever handle.
    for store in [&one, &other, &one] {
        assert!(store.lease(&key, &mine).await.unwrap());
        assert!(!store.lease(&key, &theirs).await.unwrap());
    }
    // Another key has another lease.
    assert!(one.lease(&another, &theirs).await.unwrap());
    assert!(!other.lease(&another, &mine).await.unwrap());
    assert!(one.lease(&key, &mine).await.unwrap());
}

pub(super) async fn a_lease_ends_by_itself(bench: Arc<Bench<impl TokenStore>>) {
    let store = bench.handle().await;
    let key = key("ends");
    let span = bench.span();
    let (mine, theirs) = (lease(span), lease(LONG));
    let began = Began::now();
    assert!(store.lease(&key, &mine).await.unwrap());
    bench.pass(span * 3 / 4).await;
    let refused = !store.lease(&key, &theirs).await.unwrap();
    began.holds_for(span, refused, "a lease");
    bench.pass(span / 4).await;
    until_taken(&bench, &store, &key, &theirs).await;
    assert!(!store.lease(&key, &mine).await.unwrap());
}

pub(super) async fn a_renewed_lease_lasts_from_its_renewal(bench: Arc<Bench<impl TokenStore>>) {
    let store = bench.handle().await;
    let key = key("renewed");
    let span = bench.span();
    let (mine, theirs) = (lease(span), lease(span));
    assert!(store.lease(&key, &mine).await.unwrap());
    bench.pass(span * 3 / 4).await;
    let renewed = Began::now();
    assert!(store.lease(&key, &mine).await.unwrap());
    // Without the renewal it would be over by now.
    bench.pass(span * 3 / 4).await;
    let refused = !store.lease(&key, &theirs).await.unwrap();
    renewed.holds_for(span, refused, "a renewed lease");
    bench.pass(span / 4).await;
    until_taken(&bench, &store, &key, &theirs).await;
}

pub(super) async fn only_the_owner_releases_a_lease(bench: Arc<Bench<impl TokenStore>>) {
    let store = bench.handle().await;
    let key = key("release");
    let span = bench.span();
    let (mine, theirs, third) = (lease(span), lease(LONG), lease(LONG));
    // Of what nobody has there is nothing to release.
    store.release(&key, &mine).await.unwrap();
    assert!(store.lease(&key, &theirs).await.unwrap());
    store.release(&key, &mine).await.unwrap();
    assert!(!store.lease(&key, &mine).await.unwrap());
    store.release(&key, &theirs).await.unwrap();
    assert!(store.lease(&key, &mine).await.unwrap());
    // Whoever lost the lease, because it ended, does not take it from the next owner.
    bench.pass(span).await;
    until_taken(&bench, &store, &key, &theirs).await;
    store.release(&key, &mine).await.unwrap();
    assert!(!store.lease(&key, &third).await.unwrap());
    store.release(&key, &theirs).await.unwrap();
    store.release(&key, &theirs).await.unwrap();
    assert!(store.lease(&key, &third).await.unwrap());
}

pub(super) async fn two_steps_in_one_do_what_the_two_do(bench: Arc<Bench<impl TokenStore>>) {
    let (one, other) = (bench.handle().await, bench.handle().await);
    let key = key("two in one");
    let (mine, theirs) = (lease(LONG), lease(LONG));
    assert_eq!(one.lease_and_load(&key, &mine).await.unwrap(), Some(None));
    assert_eq!(other.lease_and_load(&key, &theirs).await.unwrap(), None);
    let first = record("first");
    let saved = one.save_and_release(&key, first.clone(), None, LONG, &mine);
    assert!(saved.await.unwrap());
    // The lease is free, and the record there.
    let leased = other.lease_and_load(&key, &theirs).await.unwrap();
    assert_eq!(leased, Some(Some(first.clone())));
    assert!(!one.lease(&key, &mine).await.unwrap());
    // What is not saved leaves the lease to its owner.
    let second = record("second");
    let saved = other.save_and_release(&key, second.clone(), None, LONG, &theirs);
    assert!(!saved.await.unwrap());
    assert!(!one.lease(&key, &mine).await.unwrap());
    assert_eq!(one.load(&key).await.unwrap(), Some(first.clone()));
    // Whoever has lost the lease gives nobody else's back.
    let expected = Some(first.version());
    let saved = one.save_and_release(&key, second.clone(), expected, LONG, &mine);
    assert!(saved.await.unwrap());
    assert!(!one.lease(&key, &mine).await.unwrap());
    // An owner renews by it, too.
    let leased = other.lease_and_load(&key, &theirs).await.unwrap();
    assert_eq!(leased, Some(Some(second)));
}

pub(super) async fn records_and_leases_are_apart(bench: Arc<Bench<impl TokenStore>>) {
    let store = bench.handle().await;
    let key = key("apart");
    let (mine, theirs) = (lease(LONG), lease(LONG));
    assert!(store.lease(&key, &mine).await.unwrap());
    assert_eq!(store.load(&key).await.unwrap(), None);
    // The lease is no lock on the record: that is what versions are for.
    let saved = record("saved");
    assert!(store.save(&key, saved.clone(), None, LONG).await.unwrap());
    assert_eq!(store.remove(&key).await.unwrap(), Some(saved));
    assert!(!store.lease(&key, &theirs).await.unwrap());
    let saved = record("again");
    assert!(store.save(&key, saved.clone(), None, LONG).await.unwrap());
    store.release(&key, &mine).await.unwrap();
    assert_eq!(store.load(&key).await.unwrap(), Some(saved));
}

async fn until_taken<S: TokenStore>(bench: &Bench<S>, store: &S, key: &StoreKey, lease: &Lease) {
    while !store.lease(key, lease).await.unwrap() {
        bench
            .look_again("a lease is over, and the next owner does not get it")
            .await;
    }
}
