//! Strava: errors without an OAuth code, which a hook translates.

use reqwest_bearer::{ClientAuthentication, ErrorKind, RawAnswer};
use serde_json::{Value, json};

use crate::{Provider, Script, json, play, seconds, user};

fn dead(answer: &RawAnswer) -> Option<Value> {
    let errors = answer.json().get("errors")?.as_array()?;
    let is_dead = |error: &Value| error["field"] == "refresh_token" && error["code"] == "invalid";
    errors
        .iter()
        .any(is_dead)
        .then(|| json!({ "error": "invalid_grant" }))
}

#[tokio::test]
async fn strava_says_which_field_is_wrong() {
    // K5, K6
    let provider = Provider::start().await;
    let client = ClientAuthentication::client_secret_post("12345", "s3cr3t");
    let token = |number: u32| {
        json!({
            "token_type": "Bearer", "access_token": format!("a-{number}"),
            "expires_at": 1_568_775_134, "expires_in": 20_566, "refresh_token": format!("r-{number}"),
        })
    };
    let wrong = |resource: &str, field: &str| {
        json!({
            "message": "Bad Request",
            "errors": [{ "resource": resource, "field": field, "code": "invalid" }],
        })
    };
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &wrong("Athlete", "access_token")),
        end: json(400, &wrong("RefreshToken", "refresh_token")),
    };
    let endpoint = provider.endpoint(client).translate_answers(dead);
    let played = play(&provider, user(endpoint), script).await;
    assert_eq!(played.spent(), ["r-0", "r-1", "r-2"]);
    assert_eq!(played.lifetime, seconds(20_566));
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}
