//! K31: a token that is kept fresh for what makes no calls.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

mod support;

use std::time::Duration;

use futures_util::future::join_all;
use futures_util::poll;
use reqwest_bearer::{
    ConstantToken, Error, ErrorKind, TestClock, TokenOptions, TokenParameters, TokenResponse,
    TokenSource, TokenWatch,
};
use support::api::Api;
use support::issuer::{Issuer, failure};
use support::{landed, soon, time_passes, until, while_time_passes};

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

/// The next token that a watch tells.
async fn next(tokens: &mut TokenWatch) -> Result<String, ErrorKind> {
    match soon(tokens.changed()).await {
        Ok(token) => Ok(token.expose().to_owned()),
        Err(error) => Err(error.kind()),
    }
}

/// Whether a watch has nothing to tell.
async fn is_silent(tokens: &mut TokenWatch) -> bool {
    poll!(Box::pin(tokens.changed())).is_pending()
}

/// A clock, an issuer of tokens of 600 s, and a watch that has told the first one.
async fn watching() -> (TestClock, Issuer, TokenSource, TokenWatch) {
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.source(&clock);
    let mut tokens = source.keep_fresh().unwrap();
    assert_eq!(next(&mut tokens).await.as_deref(), Ok("token-1"));
    (clock, issuer, source, tokens)
}

fn present(tokens: &TokenWatch) -> Option<String> {
    tokens.present().map(|token| token.expose().to_owned())
}

#[tokio::test]
async fn a_watch_tells_each_token_ahead_of_the_expiry_of_the_one_before_and_nobody_calls() {
    // K31
    let (clock, issuer, _source, mut tokens) = watching().await;
    for round in 2..6 {
        time_passes(&clock, secs(479.9)).await;
        assert!(is_silent(&mut tokens).await);
        assert_eq!(issuer.requests(), round - 1);
        clock.advance(secs(0.1));
        let expected = format!("token-{round}");
        assert_eq!(next(&mut tokens).await.as_ref(), Ok(&expected));
        assert_eq!(present(&tokens), Some(expected));
        assert_eq!(issuer.requests(), round);
    }
}

#[tokio::test]
async fn a_thousand_watches_of_one_token_make_one_request_at_each_refresh() {
    // K31, A1
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.source(&clock);
    let watches = (0..1000).map(|_| source.keep_fresh().unwrap());
    let mut watches: Vec<_> = watches.collect();
    for round in 1..4 {
        let told = join_all(watches.iter_mut().map(next)).await;
        assert_eq!(told, vec![Ok(format!("token-{round}")); 1000]);
        assert_eq!(issuer.requests(), round);
        clock.advance(secs(480.0));
    }
}

#[tokio::test]
async fn the_work_ends_with_the_last_clone_and_there_is_none_before_a_watch() {
    // K31
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.source(&clock);
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    source.token().await.unwrap();
    until(async || tasks() == 0).await;
    let first = source.keep_fresh().unwrap();
    let second = first.clone();
    assert_eq!(tasks(), 1);
    drop(first);
    time_passes(&clock, secs(480.0)).await;
    issuer.until_requests(2).await;
    landed(&source).await;
    drop(second);
    until(async || tasks() == 0).await;
    time_passes(&clock, secs(6000.0)).await;
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn clones_have_seen_what_the_one_before_had_and_hear_of_the_newest_alone() {
    // K31
    let (clock, issuer, source, mut tokens) = watching().await;
    let mut clone = tokens.clone();
    assert!(is_silent(&mut clone).await);
    clock.advance(secs(480.0));
    assert_eq!(next(&mut tokens).await.as_deref(), Ok("token-2"));
    clock.advance(secs(480.0));
    assert_eq!(next(&mut tokens).await.as_deref(), Ok("token-3"));
    assert_eq!(next(&mut clone).await.as_deref(), Ok("token-3"));
    assert!(is_silent(&mut clone).await);
    // A call that was dropped before it told anything has taken nothing away.
    issuer.hold();
    clock.advance(secs(480.0));
    issuer.until_requests(4).await;
    assert!(is_silent(&mut tokens).await);
    issuer.release();
    landed(&source).await;
    assert_eq!(next(&mut tokens).await.as_deref(), Ok("token-4"));
}

#[tokio::test]
async fn a_refresh_that_fails_is_tried_again_by_the_pauses_of_calls_and_not_told_while_a_token_is_good()
 {
    // K31, B5
    let (clock, issuer, source, mut tokens) = watching().await;
    issuer.always(failure());
    clock.advance(secs(480.0));
    issuer.until_requests(2).await;
    landed(&source).await;
    // The pauses: 24 s each, since the draw is 0 and a quarter of the soft lead 30 s.
    for failed in 2..5 {
        time_passes(&clock, secs(23.9)).await;
        assert_eq!(issuer.requests(), failed);
        time_passes(&clock, secs(0.1)).await;
        issuer.until_requests(failed + 1).await;
        landed(&source).await;
    }
    assert!(is_silent(&mut tokens).await);
    assert_eq!(present(&tokens).as_deref(), Some("token-1"));
    // One more when the hard window begins (480 + 72 + 18), and none of a rule of its own.
    time_passes(&clock, secs(17.9)).await;
    assert_eq!(issuer.requests(), 5);
    issuer.mend();
    time_passes(&clock, secs(0.1)).await;
    assert_eq!(next(&mut tokens).await.as_deref(), Ok("token-6"));
}

#[tokio::test]
async fn an_outage_that_outlasts_the_token_is_told_once_and_so_is_the_token_after_it() {
    // K31, B6
    let (clock, issuer, _source, mut tokens) = watching().await;
    issuer.always(Error::unavailable("down"));
    let told = while_time_passes(&clock, tokens.changed()).await;
    let error = told.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.retry_at().is_some());
    assert!(!tokens.has_ended() && tokens.present().is_none());
    let asked = issuer.requests();
    for _ in 0..60 {
        time_passes(&clock, secs(5.0)).await;
    }
    assert!(is_silent(&mut tokens).await);
    // Flights of three attempts, which take half a second, and 5 s between them: less in the beginning.
    let attempts = issuer.requests() - asked;
    assert!((150..=180).contains(&attempts), "{attempts}");
    issuer.mend();
    let mended = while_time_passes(&clock, tokens.changed()).await;
    assert_eq!(
        mended.unwrap().expose(),
        format!("token-{}", issuer.requests())
    );
}

#[tokio::test]
async fn a_wrong_secret_is_told_at_once_and_its_mending_too() {
    // K31, E8
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    issuer.then(Error::rejected("no such client"));
    let source = issuer.source(&clock);
    let mut tokens = source.keep_fresh().unwrap();
    assert!(tokens.present().is_none());
    assert_eq!(next(&mut tokens).await, Err(ErrorKind::Rejected));
    assert!(!tokens.has_ended());
    clock.advance(secs(1.0));
    assert_eq!(next(&mut tokens).await.as_deref(), Ok("token-2"));
}

#[tokio::test]
async fn a_watch_tells_the_token_that_a_call_has_got_and_the_one_that_a_refusal_asks_for() {
    // K31, C1
    let (_clock, issuer, source, mut tokens) = watching().await;
    let force = TokenOptions::new().force_refresh();
    let forced = source.token_with(&force);
    assert_eq!(soon(forced).await.unwrap().expose(), "token-2");
    assert_eq!(next(&mut tokens).await.as_deref(), Ok("token-2"));
    // A server that is no API of ours did not take it, and nobody calls.
    source.invalidate(&tokens.present().unwrap());
    assert_eq!(next(&mut tokens).await.as_deref(), Ok("token-3"));
    let api = Api::that_takes(|token| token != "token-3").await;
    let answer = soon(api.client(&source).get("/").send()).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(next(&mut tokens).await.as_deref(), Ok("token-4"));
    assert_eq!(issuer.requests(), 4);
}

#[tokio::test]
async fn a_token_that_never_changes_is_told_once() {
    // K31
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let constant = TokenSource::builder(ConstantToken::new("constant").unwrap());
    let mut tokens = constant
        .clock(&clock)
        .build()
        .unwrap()
        .keep_fresh()
        .unwrap();
    assert_eq!(next(&mut tokens).await.as_deref(), Ok("constant"));
    time_passes(&clock, secs(1e9)).await;
    assert!(is_silent(&mut tokens).await);
    assert_eq!(present(&tokens).as_deref(), Some("constant"));
    // Nor is the same token with a later expiry another one.
    issuer.always(TokenResponse::bearer("same").with_expires_in(secs(600.0)));
    let source = issuer.source(&clock);
    let mut tokens = source.keep_fresh().unwrap();
    assert_eq!(next(&mut tokens).await.as_deref(), Ok("same"));
    let first = tokens.present().unwrap().expires_at();
    clock.advance(secs(480.0));
    until(async || tokens.present().unwrap().expires_at() > first).await;
    assert!(is_silent(&mut tokens).await);
    assert_eq!(issuer.requests(), 2);
}

#[tokio::test]
async fn a_watch_has_the_parameters_of_its_source_and_keeps_its_place_in_a_full_cache() {
    // K31, F9
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.builder(&clock).cache_capacity(16).build().unwrap();
    let read = source.with_parameters(TokenParameters::new().scope("read"));
    let mut tokens = read.keep_fresh().unwrap();
    assert_eq!(next(&mut tokens).await.as_deref(), Ok("token-1"));
    assert_eq!(
        issuer.asked()[0].parameters().scope_text().as_deref(),
        Some("read")
    );
    for scope in 0..100 {
        let options = TokenOptions::new().scope(format!("scope-{scope}"));
        soon(source.token_with(&options)).await.unwrap();
    }
    assert_eq!(soon(read.token()).await.unwrap().expose(), "token-1");
    drop(tokens);
}

#[tokio::test]
async fn a_shutdown_ends_a_watch_and_leaves_its_token() {
    // K31, F10
    let (_clock, _issuer, source, mut tokens) = watching().await;
    soon(source.shutdown()).await.unwrap();
    for _ in 0..2 {
        assert_eq!(next(&mut tokens).await, Err(ErrorKind::ShutDown));
        assert!(tokens.has_ended());
        assert_eq!(present(&tokens).as_deref(), Some("token-1"));
    }
}

#[test]
fn a_watch_whose_runtime_is_gone_says_so_and_without_one_there_is_none() {
    // K31, A4
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap()
    };
    let (clock, issuer) = (TestClock::new(), Issuer::new());
    let source = issuer.source(&clock);
    let refused = source.keep_fresh().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Settings);
    let (first, second) = (runtime(), runtime());
    let mut tokens = first.block_on(async { source.keep_fresh().unwrap() });
    let told = first.block_on(tokens.changed()).unwrap();
    assert_eq!(told.expose(), "token-1");
    drop(first);
    for _ in 0..2 {
        let error = second.block_on(tokens.changed()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        assert!(tokens.has_ended());
    }
    assert!(!format!("{tokens:?}").contains("token-1"), "D6");
}
