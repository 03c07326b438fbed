//! Azure DevOps: a sign-in page in place of a 401.

use reqwest_bearer::{ClientAuthentication, ErrorKind, TokenSourceBuilder};
use serde_json::{Value, json};

use crate::support::http_server::Reply;
use crate::{Played, Provider, Script, json, play_with, seconds, user};

/// A call whose expired token is answered like this, and the tokens that came to the page.
async fn played(refusal: Reply) -> Played {
    let provider = Provider::start().await;
    let client = ClientAuthentication::client_assertion("app", "a.b.c");
    let token = |number: u32| -> Value {
        json!({
            "access_token": format!("eyJ.{number}"), "token_type": "jwt-bearer",
            "expires_in": "3599", "refresh_token": format!("r-{number}"),
        })
    };
    let script = Script {
        tokens: [token(1), token(2)],
        refusal,
        end: json(400, &json!({ "error": "invalid_grant" })),
    };
    let rule = |source: TokenSourceBuilder| {
        source.refused_when_answered(|answer| {
            let signs_in = answer.is_from_elsewhere() && answer.url().path().contains("signin");
            signs_in || [203, 401].contains(&answer.status().as_u16())
        })
    };
    let grant = user(provider.endpoint(client));
    play_with(&provider, grant, script, rule, |client| client).await
}

#[tokio::test]
async fn a_203_of_azure_devops_with_its_sign_in_page_refuses_the_token() {
    // K2, K29
    let played = played(Reply::new(203).body("<html>Sign in</html>")).await;
    let sent = played.header("authorization");
    assert_eq!(sent, ["Bearer eyJ.1", "Bearer eyJ.1", "Bearer eyJ.2"]);
    assert_eq!(played.lifetime, seconds(3599));
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}

#[tokio::test]
async fn a_redirect_of_azure_devops_to_its_sign_in_page_refuses_the_token() {
    // K29
    let login = Provider::start().await;
    login.answers("/_signin", [Reply::new(200).body("<html>Sign in</html>")]);
    let there = login.url("/_signin?realm=dev.azure.com");
    let played = played(Reply::new(302).header("location", there)).await;
    assert_eq!(played.calls.len(), 3);
    assert_eq!(played.spent(), ["r-0", "r-1", "r-2"]);
    let seen = login.seen("/_signin");
    assert!(seen.len() == 1 && seen[0].token().is_none());
}
