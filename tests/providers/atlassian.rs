//! Atlassian: JSON in, rotation, and a dead refresh token that only its description tells.

use reqwest_bearer::{ClientAuthentication, ErrorKind, RawAnswer};
use serde_json::{Value, json};

use crate::{Provider, Script, json, play, seconds, user};

fn dead(answer: &RawAnswer) -> Option<Value> {
    let description = answer.json().get("error_description")?.as_str()?;
    let is_dead = description.contains("refresh_token is invalid");
    is_dead.then(|| json!({ "error": "invalid_grant", "error_description": description }))
}

#[tokio::test]
async fn atlassian_is_asked_in_json_and_its_description_is_translated() {
    // K5, K9, K26
    let provider = Provider::start().await;
    let client = ClientAuthentication::client_secret_post("me", "s3cr3t");
    let endpoint = provider
        .endpoint(client)
        .json_requests()
        .translate_answers(dead);
    let token = |number: u32| {
        json!({
            "access_token": format!("eyJ.{number}"), "expires_in": 3600, "token_type": "Bearer",
            "refresh_token": format!("r-{number}"), "scope": "read:jira-work offline_access",
        })
    };
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &json!({ "code": 401, "message": "Unauthorized" })),
        end: json(
            403,
            &json!({ "error": "unauthorized_client", "error_description": "refresh_token is invalid" }),
        ),
    };
    let played = play(&provider, user(endpoint), script).await;
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
    assert_eq!(played.lifetime, seconds(3600));
    let last: Value = serde_json::from_slice(&played.token_requests[2].body).unwrap();
    let expected = json!({
        "grant_type": "refresh_token", "refresh_token": "r-2", "client_id": "me",
        "client_secret": "s3cr3t",
    });
    assert_eq!(last, expected);
}
