//! TikTok: `client_key`; and the tokens of its older endpoints, and of Douyin, one level down.

use std::time::Duration;

use reqwest_bearer::{ClientAuthentication, ErrorKind, RawAnswer, TokenSource};
use serde_json::{Value, json};

use crate::{Provider, Script, json, play, seconds, user};

fn client() -> ClientAuthentication {
    ClientAuthentication::client_secret_post("aw1", "s3cr3t").client_id_field("client_key")
}

#[tokio::test]
async fn tiktok_calls_the_client_id_a_client_key() {
    // K26, K8
    let provider = Provider::start().await;
    let token = |number: u32| {
        json!({
            "access_token": format!("act.{number}"), "expires_in": 86_400, "open_id": "afd9",
            "refresh_expires_in": 31_536_000, "refresh_token": format!("rft.{number}"),
            "scope": "user.info.basic,video.list", "token_type": "Bearer",
        })
    };
    let dead = json!({
        "error": "invalid_grant", "error_description": "Refresh token is invalid or expired.",
        "log_id": "2022",
    });
    let refused = json!({ "error": { "code": "access_token_invalid", "log_id": "2022" } });
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &refused),
        end: json(400, &dead),
    };
    let played = play(&provider, user(provider.endpoint(client())), script).await;
    assert_eq!(played.field("client_key"), vec![Some("aw1".to_owned()); 3]);
    assert_eq!(played.field("client_id"), vec![None; 3]);
    assert_eq!(played.spent(), ["r-0", "rft.1", "rft.2"]);
    assert_eq!(played.lifetime, seconds(86_400));
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}

/// What `data` says, where it says that all is well.
fn data(answer: &RawAnswer) -> Option<Value> {
    let data = answer.json().get("data")?;
    if data.get("access_token").is_some_and(|token| token != "") {
        return Some(data.clone());
    }
    // 10010 is Douyin's number for a refresh token that has expired.
    let code = data.get("error_code")?.as_u64()?;
    let error = if code == 10_010 {
        "invalid_grant"
    } else {
        "douyin"
    };
    (code != 0).then(|| json!({ "error": error, "error_code": code }))
}

#[tokio::test]
async fn an_answer_in_data_is_translated_and_so_are_its_error_numbers() {
    // K5
    let provider = Provider::start().await;
    let good = json!({
        "data": {
            "access_token": "act.1", "description": "", "error_code": 0, "expires_in": "86400",
            "open_id": "Su", "refresh_expires_in": "86400", "refresh_token": "rft.1",
            "scope": "user_info",
        },
        "message": "success",
    });
    let dead = json!({
        "data": { "access_token": "", "description": "refresh_token expired", "error_code": 10_010 },
        "message": "error",
    });
    provider.answers("/token", [json(200, &good), json(200, &dead)]);
    let endpoint = provider.endpoint(client()).translate_answers(data);
    let clock = reqwest_bearer::TestClock::new();
    let source = TokenSource::builder(user(endpoint))
        .clock(&clock)
        .build()
        .unwrap();
    let token = source.token().await.unwrap();
    let end = clock.system_time() + Duration::from_secs(86_400);
    assert_eq!((token.expose(), token.expires_at()), ("act.1", Some(end)));
    let other = reqwest_bearer::TokenOptions::new().force_refresh();
    let error = source.token_with(&other).await.expect_err("dead");
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
}
