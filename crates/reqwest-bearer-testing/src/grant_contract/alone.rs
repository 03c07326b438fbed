//! What a grant does without anything around it.

use std::sync::Arc;

use reqwest_bearer::{Grant, TokenOwner};

use crate::given_up::{give_up, moments};
use crate::grant_contract::Bench;

/// Tokens are kept under what it says; one whose name changes finds none of its own again.
pub(super) async fn says_the_same_of_itself_each_time(bench: Arc<Bench<impl Grant>>) {
    let mut attempts = bench.attempts();
    let (name, parameters) = (
        attempts.grant.name().to_owned(),
        attempts.grant.parameters(),
    );
    assert!(!name.is_empty(), "the name is empty");
    let needs_refresh_token = attempts.grant.needs_refresh_token();
    attempts.next().await.unwrap();
    let grant = attempts.grant;
    assert_eq!(grant.name(), name);
    assert_eq!(grant.parameters(), parameters);
    assert_eq!(grant.needs_refresh_token(), needs_refresh_token);
    grant.endpoint(&TokenOwner::Application).await.unwrap();
    let another = (bench.make)();
    assert_eq!(another.name(), name);
    assert_eq!(another.parameters(), parameters);
}

pub(super) async fn shows_no_secret(bench: Arc<Bench<impl Grant>>) {
    let mut attempts = bench.attempts();
    let before = bench.show.map(|show| show(&attempts.grant));
    let seed = attempts.refresh_token.clone();
    let response = attempts.next().await.unwrap();
    let after = bench.show.map(|show| show(&attempts.grant));
    let grant = &attempts.grant;
    let shown = format!(
        "{} {:?} {} {}",
        grant.name(),
        grant.parameters(),
        before.unwrap_or_default(),
        after.unwrap_or_default()
    );
    bench.check_for_secrets(&shown);
    let tokens = [Some(response.access_token()), response.refresh_token()];
    for token in tokens.into_iter().flatten().chain(&seed) {
        assert!(!shown.contains(token.expose()), "a token is in {shown}");
    }
}

/// A source gives each token key an attempt of its own, and leaves one that takes too long.
pub(super) async fn attempts_are_in_nobody_s_way(bench: Arc<Bench<impl Grant>>) {
    let grant = Arc::new(bench.attempts());
    for moment in moments() {
        give_up(moment, grant.grant.obtain(grant.request())).await;
    }
    let at_once: Vec<_> = (0..20)
        .map(|_| {
            let grant = grant.clone();
            tokio::spawn(async move { grant.grant.obtain(grant.request()).await })
        })
        .collect();
    for attempt in at_once {
        attempt.await.unwrap().unwrap();
    }
}
