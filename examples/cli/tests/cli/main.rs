//! The program at a real authorization server and its API.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "what is missing or not as it should be is a failed test"
)]

#[path = "../../../web/tests/browser/chromium.rs"]
mod chromium;
mod killed;
mod program;
#[path = "../../../web/tests/browser/tab.rs"]
#[expect(
    dead_code,
    reason = "the web application's pages ask for more than a sign-in does"
)]
mod tab;

use std::fs;

use real_parts::{AuthorizationServer, Issuer};
use serde_json::json;

use crate::program::{Home, LOGIN, Waiting};
use crate::tab::Tab;

/// How often a refresh token was used.
async fn refreshes(issuer: &Issuer) -> usize {
    issuer.count_token_requests("refresh_token").await
}

/// Ends the newest access token, as time would.
async fn expire(issuer: &Issuer) {
    let requests = issuer.api_requests().await;
    let newest = requests.iter().rev().find_map(|request| {
        let header = request.authorization.as_deref()?;
        header.strip_prefix("Bearer ")
    });
    issuer.kill_access_token(newest.expect("a call")).await;
}

#[tokio::test]
async fn a_user_signs_in_calls_and_signs_out() {
    // I4, F3
    let server = AuthorizationServer::start().await;
    let issuer = &server.root;
    let home = Home::new(issuer);
    for command in [&["whoami"][..], &["call", "echo"]] {
        let ended = home.run(command).await;
        assert_eq!(ended.code, Some(4), "{}", ended.messages);
        assert!(ended.messages.contains("cli login"), "{}", ended.messages);
    }
    home.sign_in().await;
    let who = home.run(&["whoami"]).await;
    assert_eq!((who.code, who.output.as_str()), (Some(0), "alice\n"));
    let posted = home.run(&["call", "orders/42", "-d", "{}"]).await;
    assert_eq!(posted.code, Some(0), "{}", posted.messages);
    let seen = issuer.api_requests().await;
    let last = seen.last().expect("the call");
    assert_eq!(
        (last.method.as_str(), last.path.as_str()),
        ("POST", "/api/orders/42")
    );
    assert_eq!(last.sub.as_deref(), Some("alice"));

    let out = home.run(&["logout"]).await;
    assert_eq!(out.code, Some(0), "{}", out.messages);
    assert_eq!(home.run(&["call", "echo"]).await.code, Some(4));
    let kept = fs::read_to_string(home.tokens()).expect("the file");
    for token in issuer.issued_tokens().await {
        assert!(!kept.contains(&token), "a token is left in the file");
    }
    let again = home.run(&["logout"]).await;
    assert_eq!(again.code, Some(0));
    assert!(
        again.messages.contains("not signed in"),
        "{}",
        again.messages
    );
}

#[tokio::test]
async fn a_machine_without_a_browser_gives_a_code() {
    // I3
    let server = AuthorizationServer::start().await;
    let issuer = &server.root;
    let home = Home::new(issuer);
    // Neither a terminal nor a desktop is there, so it is not asked for.
    let waiting = Waiting::start(home.command(&LOGIN)).await;
    issuer.answer_device(&waiting.url, true).await;
    let ended = waiting.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    assert_eq!(home.run(&["whoami"]).await.code, Some(0));

    let waiting = Waiting::start(home.command(&["login", "--device", "--account", "alice"])).await;
    issuer.answer_device(&waiting.url, false).await;
    let ended = waiting.ended().await;
    assert_eq!(ended.code, Some(4), "{}", ended.messages);
    // The session that was there is there.
    assert_eq!(home.run(&["whoami"]).await.code, Some(0));
}

#[tokio::test]
async fn commands_at_once_share_one_refresh() {
    // A4
    let server = AuthorizationServer::start().await;
    let issuer = &server.root;
    let home = Home::new(issuer);
    home.sign_in().await;
    for round in 1..=3 {
        assert_eq!(home.run(&["call", "echo"]).await.code, Some(0));
        expire(issuer).await;
        let call = || home.run(&["call", "echo"]);
        let (first, second, third) = tokio::join!(call(), call(), call());
        for ended in [first, second, third] {
            assert_eq!(ended.code, Some(0), "{}", ended.messages);
        }
        assert_eq!(refreshes(issuer).await, round);
    }
}

#[tokio::test]
async fn a_real_browser_comes_back_to_the_program() {
    // I4
    let server = AuthorizationServer::start_with(json!({ "pages": true })).await;
    let home = Home::new(&server.root);
    let waiting = Waiting::start(home.login()).await;
    let mut tab = Tab::open(waiting.url.as_str()).await;
    tab.visit("").await;
    tab.type_into("login", "alice").await;
    tab.type_into("password", "any").await;
    tab.click("Sign-in").await;
    tab.click("Continue").await;
    tab.expect(&["You may close this window"]).await;
    // Nothing of the sign-in is in what stays in the browser's history.
    let ended = waiting.ended().await;
    assert_eq!(ended.code, Some(0), "{}", ended.messages);
    assert!(
        ended.messages.contains("signed in as alice"),
        "{}",
        ended.messages
    );
    tab.close().await;
}
