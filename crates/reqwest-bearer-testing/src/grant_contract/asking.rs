//! What a grant makes of its server's answers: the kind of an error decides whether and when the attempt is
//! repeated.

use std::error::Error as StdError;
use std::sync::Arc;

use reqwest_bearer::{Error, Grant, TokenResponse};

use crate::answer::Answer;
use crate::grant_contract::{Attempts, Bench};
use crate::server::FakeAuthorizationServer;

type OnTrial<G> = (Arc<Bench<G>>, FakeAuthorizationServer);

/// One that keeps tokens brings a refused one again; one that repeats itself makes a flood of an outage.
pub(super) async fn each_attempt_asks_once((bench, server): OnTrial<impl Grant>) {
    let mut attempts = bench.attempts();
    for _ in 0..3 {
        asks_once(&server, &mut attempts).await.unwrap();
    }
}

pub(super) async fn trouble_is_transient((bench, server): OnTrial<impl Grant>) {
    let mut attempts = bench.attempts();
    attempts.next().await.unwrap();
    for trouble in [
        Answer::new(503),
        Answer::new(503).json(&serde_json::json!({ "error": "invalid_grant" })),
        Answer::new(429),
        Answer::cut(),
    ] {
        let case = format!("{trouble:?}");
        server.answer_always(trouble);
        let outcome = asks_once(&server, &mut attempts).await;
        server.answer_as_usual();
        let error = failed(&bench, outcome, &case);
        assert!(error.is_transient(), "{case}: {error}");
    }
    server.go_down().await;
    let outcome = attempts.next().await;
    server.come_back().unwrap();
    let error = failed(&bench, outcome, "connection refused");
    assert!(error.is_transient(), "connection refused: {error}");
}

pub(super) async fn a_refusal_does_not_pass((bench, server): OnTrial<impl Grant>) {
    let mut attempts = bench.attempts();
    attempts.next().await.unwrap();
    for code in ["invalid_client", "invalid_scope", "invalid_grant"] {
        server.answer_always(Answer::oauth_error(code));
        let outcome = asks_once(&server, &mut attempts).await;
        server.answer_as_usual();
        let error = failed(&bench, outcome, code);
        assert!(!error.is_transient(), "{code}: {error}");
    }
}

pub(super) async fn an_odd_answer_is_an_error((bench, server): OnTrial<impl Grant>) {
    let mut attempts = bench.attempts();
    attempts.next().await.unwrap();
    for odd in [
        "<html>Please sign in</html>",
        "{}",
        r#"{"access_token": "", "token_type": "Bearer"}"#,
        "",
    ] {
        server.answer_always(Answer::new(200).body(odd));
        let outcome = asks_once(&server, &mut attempts).await;
        server.answer_as_usual();
        failed(&bench, outcome, odd);
    }
}

async fn asks_once<G: Grant>(
    server: &FakeAuthorizationServer,
    attempts: &mut Attempts<G>,
) -> Result<TokenResponse, Error> {
    let before = server.token_request_count();
    let outcome = attempts.next().await;
    let asked = server.token_request_count() - before;
    assert_eq!(
        asked, 1,
        "the server was asked {asked} times by one attempt"
    );
    outcome
}

/// The error, with nothing secret in it.
fn failed<G: Grant>(bench: &Bench<G>, outcome: Result<TokenResponse, Error>, case: &str) -> Error {
    let Err(error) = outcome else {
        panic!("{case}: a token came of it");
    };
    let mut shown = format!("{error:?}");
    let mut cause: Option<&dyn StdError> = Some(&error);
    while let Some(error) = cause {
        shown.push_str(&format!(" {error}"));
        cause = error.source();
    }
    bench.check_for_secrets(&shown);
    error
}
