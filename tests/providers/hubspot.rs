//! HubSpot: a status in place of an error code.

use reqwest_bearer::{ClientAuthentication, ErrorKind};
use serde_json::json;

use crate::{Provider, Script, json, play, seconds, user};

#[tokio::test]
async fn hubspot_names_a_dead_refresh_token_in_its_status() {
    // K9
    let provider = Provider::start().await;
    let client = ClientAuthentication::client_secret_post("me", "s3cr3t");
    let token = |number: u32| {
        json!({
            "token_type": "bearer", "refresh_token": "r-0", "access_token": format!("CN-{number}"),
            "expires_in": 1800,
        })
    };
    let expired = json!({
        "status": "error", "message": "The OAuth token used to make this call expired 5 hour(s) ago.",
        "category": "EXPIRED_AUTHENTICATION", "correlationId": "019f",
    });
    let dead = json!({
        "status": "BAD_REFRESH_TOKEN", "message": "missing or invalid refresh token",
        "correlationId": "019f",
    });
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &expired),
        end: json(400, &dead),
    };
    let played = play(&provider, user(provider.endpoint(client)), script).await;
    assert_eq!(played.spent(), ["r-0", "r-0", "r-0"]);
    assert_eq!(played.lifetime, seconds(1800));
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}
