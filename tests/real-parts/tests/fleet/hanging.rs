//! A store that hangs: it takes connections, and answers nobody.

use real_parts::fleet::Place;
use real_parts::shared_store::{self, Kind, SharedStore};
use reqwest_bearer::{
    ClientAuthentication, Error, ErrorKind, Subject, TokenEndpoint, TokenSet, TokenStore,
    UserSessions,
};
use tokio::task::JoinSet;

use crate::subject;

/// How many calls in a row have to find a store silent.
const ENOUGH: usize = 3;

fn process(store: impl TokenStore) -> UserSessions {
    // Nobody listens there, and nobody asks: all that is wanted here is in the store.
    let client = ClientAuthentication::none("web");
    let endpoint = TokenEndpoint::new("http://127.0.0.1:1/token", client).unwrap();
    UserSessions::builder(&endpoint)
        .store(store)
        .build()
        .unwrap()
}

async fn process_at(shared: &SharedStore) -> UserSessions {
    let users = match shared.place(shared.address()) {
        Place::Redis(url) => process(shared_store::redis(&url)),
        Place::Postgres(url) => process(shared_store::postgres(&url)),
        place => unreachable!("no test lets {place:?} hang"),
    };
    // With a connection, which is what hangs.
    users.status_of(&subject("nobody")).await.unwrap();
    users
}

async fn refused(users: &UserSessions, user: &Subject) -> Error {
    let error = users.for_subject(user).token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Store, "{error:?}");
    assert!(error.is_transient() && error.retry_at().is_some());
    error
}

fn is_left_alone(error: &Error) -> bool {
    error.to_string().contains("is left alone")
}

async fn hang(kind: Kind) {
    let shared = SharedStore::start(kind).await;
    let users: Vec<_> = (0..10)
        .map(|number| subject(&format!("user-{number}")))
        .collect();
    let first = process_at(&shared).await;
    for user in &users {
        let tokens = TokenSet::new("access").with_refresh_token("refresh");
        first.sign_in(user, tokens).await.unwrap();
    }
    // In this process all of them need the store.
    let second = process_at(&shared).await;
    shared.pause().await;
    let (patient, others) = users.split_at(ENOUGH);
    for user in patient {
        assert!(!is_left_alone(&refused(&second, user).await));
    }
    let calls = others.iter().cloned().map(|user| {
        let second = second.clone();
        async move { refused(&second, &user).await }
    });
    let errors = calls.collect::<JoinSet<_>>().join_all().await;
    let asked = errors.iter().filter(|error| !is_left_alone(error)).count();
    assert!(
        asked <= 1,
        "more than one probe, on a machine that stood still: {errors:?}"
    );

    shared.resume().await;
    let mut failed = 0;
    for user in &users {
        while let Err(error) = second.for_subject(user).token().await {
            failed += 1;
            assert!(failed <= 20, "still: {error:?}");
            assert_eq!(error.kind(), ErrorKind::Store, "{error:?}");
            let back_at = error.retry_at().expect("a pause that ends");
            let pause = back_at.duration_since(std::time::SystemTime::now());
            tokio::time::sleep(pause.unwrap_or_default()).await;
        }
    }
}

#[tokio::test]
async fn a_redis_that_hangs_costs_three_calls_their_patience_and_no_other() {
    // A7, F11
    hang(Kind::Redis).await;
}

#[tokio::test]
async fn a_postgres_that_hangs_costs_three_calls_their_patience_and_no_other() {
    // A7, F11
    hang(Kind::Postgres).await;
}
