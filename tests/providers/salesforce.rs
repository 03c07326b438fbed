//! Salesforce: odd characters, no lifetime, a token that serves until it is refused.

use reqwest_bearer::{ClientAuthentication, ErrorKind};
use serde_json::json;

use crate::{Provider, Script, json, play, user};

#[tokio::test]
async fn salesforce_states_no_lifetime_and_its_token_serves_until_it_is_refused() {
    // K1, B11, C5
    let provider = Provider::start().await;
    let client = ClientAuthentication::client_secret_post("3MVG9", "s3cr3t");
    let token = |number: u32| {
        json!({
            "access_token": format!("00Dx0000000EXAM!AR8AQP0j_{number}.b"),
            "signature": "s=", "scope": "refresh_token api", "instance_url": "https://na1.example.com",
            "id": "https://login.salesforce.com/id/00D/005", "token_type": "Bearer",
            "issued_at": "1780315200000",
        })
    };
    let dead = json!({
        "error": "invalid_grant", "error_description": "expired access/refresh token",
    });
    let over =
        json!([{ "message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID" }]);
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &over).header("www-authenticate", "Token"),
        end: json(400, &dead),
    };
    let played = play(&provider, user(provider.endpoint(client)), script).await;
    assert_eq!(played.lifetime, None);
    assert_eq!(
        played.token.member("instance_url"),
        Some(&json!("https://na1.example.com"))
    );
    assert_eq!(
        played.header("authorization")[0],
        "Bearer 00Dx0000000EXAM!AR8AQP0j_1.b"
    );
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}
