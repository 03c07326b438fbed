//! Commands that are killed in the middle, at moments that are spread over the time that one takes which is
//! left alone: whatever the machine does, each part of a command is met by some of them.

use std::fs;
use std::time::{Duration, Instant};

use real_parts::{AuthorizationServer, Issuer};
use tokio::process::Child;

use crate::program::{Home, Waiting, browse, ended};
use crate::{expire, refreshes};

const MOMENTS: u32 = 20;

/// The moments, from the first to a little after the last.
fn moments(whole: Duration) -> impl Iterator<Item = Duration> {
    (0..=MOMENTS).map(move |moment| whole * moment / (MOMENTS - 2))
}

/// Lets it run so long; says whether it came to its end before.
async fn kill_after(mut process: Child, moment: Duration) -> bool {
    tokio::time::sleep(moment).await;
    process.kill().await.expect("it is our child");
    let status = process.wait().await.expect("it is our child");
    status.code().is_some()
}

/// Neither a half-written file nor a half-begun session: the user is signed in or is not, and is told.
async fn is_signed_in(home: &Home<'_>, moment: Duration) -> bool {
    if let Ok(text) = fs::read_to_string(home.tokens()) {
        let document: Result<serde_json::Value, _> = serde_json::from_str(&text);
        document.unwrap_or_else(|error| panic!("{moment:?}: {error}: {text}"));
    }
    let ended = home.run(&["call", "echo"]).await;
    match ended.code {
        Some(0) => true,
        Some(4) => false,
        code => panic!("{moment:?}: {code:?}, {}", ended.messages),
    }
}

async fn start() -> AuthorizationServer {
    AuthorizationServer::start().await
}

#[tokio::test]
async fn a_login_that_is_killed_has_happened_or_has_not() {
    // F3, I4
    let server = start().await;
    let issuer = &server.root;
    let began = Instant::now();
    Home::new(issuer).sign_in().await;
    let whole = began.elapsed();
    let mut outcomes = [0, 0];
    for moment in moments(whole) {
        let home = Home::new(issuer);
        let kill = tokio::time::Instant::now() + moment;
        let sign_in = async {
            let mut waiting = Waiting::start(home.login()).await;
            browse(waiting.url.clone()).await;
            let _ = waiting.process.wait().await;
        };
        // What is dropped is killed.
        let _ = tokio::time::timeout_at(kill, sign_in).await;
        outcomes[usize::from(is_signed_in(&home, moment).await)] += 1;
        // In any case the next one works.
        home.sign_in().await;
        assert!(is_signed_in(&home, moment).await);
    }
    assert!(outcomes[0] > 0, "none was killed early: {outcomes:?}");
}

#[tokio::test]
async fn a_call_that_is_killed_at_a_refresh_costs_a_sign_in_at_most() {
    // E3, F3
    let server = start().await;
    let issuer = &server.root;
    let home = Home::new(issuer);
    home.sign_in().await;
    let whole = refreshing_call(&home, issuer).await;
    let (mut killed, mut signed_out) = (0, 0);
    for moment in moments(whole) {
        expire(issuer).await;
        let before = refreshes(issuer).await;
        let call = home
            .command(&["call", "echo"])
            .spawn()
            .expect("it was built");
        killed += u32::from(!kill_after(call, moment).await);
        if is_signed_in(&home, moment).await {
            continue;
        }
        // Only where a refresh token was spent, and the process that could have kept its answer is gone.
        let after = refreshes(issuer).await;
        assert!(after > before, "{moment:?}: signed out without a reason");
        signed_out += 1;
        home.sign_in().await;
        assert!(is_signed_in(&home, moment).await);
    }
    assert!(killed > 0, "none was killed");
    // No other session was ended by a refresh token that went out twice.
    let revoked = issuer.revoked().await;
    assert!(revoked.len() <= signed_out, "{signed_out}: {revoked:?}");
}

/// How long a call takes whose token has ended.
async fn refreshing_call(home: &Home<'_>, issuer: &Issuer) -> Duration {
    assert_eq!(home.run(&["call", "echo"]).await.code, Some(0));
    expire(issuer).await;
    let began = Instant::now();
    assert_eq!(home.run(&["call", "echo"]).await.code, Some(0));
    began.elapsed()
}

#[tokio::test]
async fn a_logout_that_is_killed_can_be_made_again() {
    // F5
    let server = start().await;
    let issuer = &server.root;
    let home = Home::new(issuer);
    home.sign_in().await;
    let began = Instant::now();
    assert_eq!(home.run(&["logout"]).await.code, Some(0));
    let whole = began.elapsed();
    for moment in moments(whole) {
        home.sign_in().await;
        let logout = home.command(&["logout"]).spawn().expect("it was built");
        kill_after(logout, moment).await;
        is_signed_in(&home, moment).await;
        let again = home.run(&["logout"]).await;
        assert_eq!(again.code, Some(0), "{moment:?}: {}", again.messages);
        assert!(!is_signed_in(&home, moment).await, "{moment:?}");
    }
}

#[tokio::test]
async fn a_login_by_a_code_that_is_killed_leaves_no_session() {
    // I3
    let server = start().await;
    let issuer = &server.root;
    let home = Home::new(issuer);
    let mut waiting =
        Waiting::start(home.command(&["login", "--device", "--account", "alice"])).await;
    waiting.process.kill().await.expect("it is our child");
    assert_eq!(ended(waiting.process).await.code, None);
    issuer.answer_device(&waiting.url, true).await;
    assert!(!is_signed_in(&home, Duration::ZERO).await);
}
