//! The storm: who asked, and what the second API got.

use std::sync::Arc;

use futures_util::future::join_all;
use reqwest_bearer::{ExchangedTokens, NamedExchangeClient, SubjectToken, TestClock};
use tokio::sync::Semaphore;

use crate::server::{Exchange, api, client, jwt};
use serde_json::json;

const USERS: usize = 1_000;
/// Of each user, of different rights.
const TOKENS: usize = 10;
const AT_ONCE: usize = 100;

fn calls_twice(number: usize) -> bool {
    number.is_multiple_of(5)
}

/// One incoming request: it calls the second API, in one of the three ways and some twice at once, and some
/// panic in the end.
async fn handle(number: usize, caller: SubjectToken, orders: NamedExchangeClient) {
    let path = |call| format!("{number}/{call}");
    let call = async |call| {
        let request = match number % 3 {
            0 => orders.get(path(call)),
            1 => orders.for_subject_token(&caller).get(path(call)),
            _ => orders.get(path(call)).with_extension(caller.clone()),
        };
        assert_eq!(request.send().await.unwrap().status(), 200);
    };
    let calls = async {
        if calls_twice(number) {
            tokio::join!(call("a"), call("b"));
        } else {
            call("a").await;
        }
        assert!(!number.is_multiple_of(7), "on purpose");
    };
    caller.run(calls).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_incoming_tokens_of_a_thousand_users_are_exchanged_once_each_and_never_mixed()
{
    // I1, D8: Spring and a gateway kept them by the user's name.
    let (server, api) = (Exchange::start().await, api().await);
    let tokens = ExchangedTokens::builder(server.grant())
        .cache_capacity(2 * USERS * TOKENS)
        // However busy the machine is, nothing of it comes too late.
        .clock(&TestClock::new());
    let orders = client(&api, &tokens.build().unwrap());
    let incoming: Arc<Vec<String>> = (0..USERS * TOKENS)
        .map(|number| {
            let rights = format!("right-{}", number / USERS);
            jwt(&json!({ "sub": format!("user-{}", number % USERS), "scope": rights }))
        })
        .collect::<Vec<_>>()
        .into();
    let doors = Arc::new(Semaphore::new(AT_ONCE));
    let handlers = (0..incoming.len()).map(|number| {
        let (incoming, doors, orders) = (incoming.clone(), doors.clone(), orders.clone());
        tokio::spawn(async move {
            let _permit = doors.acquire().await.unwrap();
            let caller = SubjectToken::new(incoming[number].as_str()).unwrap();
            handle(number, caller, orders).await;
        })
    });
    let ended = join_all(handlers.collect::<Vec<_>>()).await;
    let panicked = ended.iter().filter(|outcome| outcome.is_err()).count();
    assert_eq!(
        panicked,
        incoming.len().div_ceil(7),
        "those that are to panic"
    );

    let seen = api.seen();
    let twice = (0..incoming.len()).filter(|number| calls_twice(*number));
    assert_eq!(seen.len(), incoming.len() + twice.count());
    let mixed = seen.iter().filter(|seen| {
        let number: usize = seen.path.split('/').nth(1).unwrap().parse().unwrap();
        seen.token().unwrap() != format!("1~{}", incoming[number])
    });
    assert_eq!(mixed.count(), 0);
    let exchanges = server.of_each_subject();
    assert_eq!(exchanges.len(), incoming.len());
    assert!(exchanges.values().all(|count| *count == 1));
    // And nothing is left on any thread for the tasks to come.
    for _ in 0..AT_ONCE {
        let found = tokio::spawn(async { SubjectToken::current().is_some() });
        assert!(!found.await.unwrap());
    }
}
