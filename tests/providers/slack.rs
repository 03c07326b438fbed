//! Slack: bot tokens as they are, users' tokens one level down, and a 200 for everything.

use reqwest_bearer::{
    ClientAuthentication, ErrorKind, NamedClient, RawAnswer, TokenOptions, TokenSource,
};
use serde_json::{Value, json};

use crate::{Provider, json, user};

/// The user's tokens in place of the bot's.
fn of_the_user(answer: &RawAnswer) -> Option<Value> {
    let user = answer.json().get("authed_user")?;
    user.get("access_token").is_some().then(|| user.clone())
}

fn client() -> ClientAuthentication {
    ClientAuthentication::client_secret_basic("123.456", "s3cr3t")
}

#[tokio::test]
async fn slack_s_bot_tokens_need_nothing_and_its_dead_refresh_tokens_are_understood() {
    // K2, K9
    let provider = Provider::start().await;
    let bot = json!({
        "ok": true, "access_token": "xoxe.xoxb-1", "expires_in": 43_200,
        "refresh_token": "xoxe-1-b", "token_type": "bot", "scope": "commands,incoming-webhook",
        "bot_user_id": "U0", "app_id": "A0", "team": { "name": "t", "id": "T0" },
        "enterprise": null, "authed_user": { "id": "U1" },
    });
    let dead = json!({ "ok": false, "error": "invalid_refresh_token" });
    provider.answers("/token", [json(200, &bot), json(200, &dead)]);
    let source = TokenSource::from(user(provider.endpoint(client())));
    assert_eq!(source.token().await.unwrap().expose(), "xoxe.xoxb-1");
    let other = TokenOptions::new().force_refresh();
    let error = source.token_with(&other).await.expect_err("dead");
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    let spent: Vec<_> = provider
        .seen("/token")
        .iter()
        .map(|seen| seen.field("refresh_token"))
        .collect();
    assert_eq!(spent, [Some("r-0".to_owned()), Some("xoxe-1-b".to_owned())]);
}

#[tokio::test]
async fn slack_s_user_tokens_are_translated() {
    // K5
    let provider = Provider::start().await;
    let installed = json!({
        "ok": true, "app_id": "A0", "authed_user": {
            "id": "U1", "scope": "chat:write", "access_token": "xoxe.xoxp-1",
            "refresh_token": "xoxe-1-u", "expires_in": 43_200, "token_type": "user",
        },
        "team": { "id": "T0" },
    });
    provider.answers("/token", [json(200, &installed)]);
    let endpoint = provider.endpoint(client()).translate_answers(of_the_user);
    let source = TokenSource::from(user(endpoint));
    let token = source.token().await.unwrap();
    assert_eq!(
        (token.expose(), token.scope()),
        ("xoxe.xoxp-1", Some("chat:write"))
    );
}

#[tokio::test]
async fn what_slack_s_api_says_of_an_expired_token_in_a_200_reaches_the_caller() {
    // C5: no rule sees a body, so that tokens have to be renewed ahead, as they are.
    let provider = Provider::start().await;
    let bot = json!({ "ok": true, "access_token": "xoxe.xoxb-1", "expires_in": 43_200 });
    provider.answers("/token", [json(200, &bot)]);
    provider.answers(
        "/api/x",
        [json(200, &json!({ "ok": false, "error": "token_expired" }))],
    );
    let grant = user(provider.endpoint(client()));
    let slack = NamedClient::new("slack", provider.url("/api"), grant).unwrap();
    let body = slack.get("x").send().await.unwrap().text().await.unwrap();
    assert!(body.contains("token_expired"));
    assert_eq!(provider.seen("/token").len(), 1);
}
