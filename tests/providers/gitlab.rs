//! GitLab (doorkeeper): secrets are not decoded, the old token dies at the first use of the new one.

use reqwest_bearer::{ClientAuthentication, ErrorKind};
use serde_json::json;

use crate::{Provider, Script, json, play, seconds, user};

#[tokio::test]
async fn gitlab_is_sent_its_secret_raw_and_rotates() {
    // E4, C5
    let provider = Provider::start().await;
    let client = ClientAuthentication::client_secret_basic_raw("app", "gloas-a/b");
    let token = |number: u32| {
        json!({
            "access_token": format!("a-{number}"), "token_type": "Bearer", "expires_in": 7200,
            "refresh_token": format!("r-{number}"), "scope": "api", "created_at": 1_780_315_200,
        })
    };
    let dead = json!({
        "error": "invalid_grant",
        "error_description": "The provided authorization grant is invalid, expired, revoked.",
    });
    let revoked = r#"Bearer realm="Protected by OAuth 2.0", error="invalid_token", error_description="Token was revoked. You have to re-authorize from the user.""#;
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &json!({ "error": "invalid_token" }))
            .header("www-authenticate", revoked),
        end: json(400, &dead),
    };
    let played = play(&provider, user(provider.endpoint(client)), script).await;
    assert_eq!(played.spent(), ["r-0", "r-1", "r-2"]);
    assert_eq!(played.lifetime, seconds(7200));
    // `app:gloas-a/b`
    let basic = &played.token_requests[0].headers["authorization"];
    assert_eq!(basic, "Basic YXBwOmdsb2FzLWEvYg==");
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}
