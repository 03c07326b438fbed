//! QuickBooks Online (Intuit): an end of the refresh token by a name of its own.

use std::time::{Duration, SystemTime};

use reqwest_bearer::{ClientAuthentication, ErrorKind, TokenRequest, TokenSet};
use serde_json::{Value, json};

use crate::{Provider, Script, json, play, seconds, user};

fn token(number: u32) -> Value {
    json!({
        "token_type": "bearer", "expires_in": 3600, "refresh_token": format!("AB11{number}"),
        "x_refresh_token_expires_in": 8_726_400, "access_token": format!("eyJ.{number}"),
    })
}

fn client() -> ClientAuthentication {
    ClientAuthentication::client_secret_basic("ABme", "s3cr3t")
}

#[tokio::test]
async fn quickbooks_rotates_and_its_session_lives_as_long_as_its_refresh_token() {
    // K8
    let provider = Provider::start().await;
    let fault =
        json!({ "fault": { "error": [{ "message": "AuthenticationFailed", "code": "3200" }] } });
    let expired =
        r#"Bearer realm="Intuit", error="invalid_token", error_description="Token expired""#;
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &fault).header("www-authenticate", expired),
        end: json(
            400,
            &json!({ "error": "invalid_grant", "error_description": "Incorrect or invalid refresh token" }),
        ),
    };
    let played = play(&provider, user(provider.endpoint(client())), script).await;
    assert_eq!(played.spent(), ["r-0", "AB111", "AB112"]);
    assert_eq!(played.lifetime, seconds(3600));
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);

    provider.answers("/token", [json(200, &token(1))]);
    let endpoint = provider.endpoint(client()).build().unwrap();
    let request = TokenRequest::new("refresh_token").secret_field("refresh_token", "r");
    let response = endpoint.request_token(request).await.unwrap();
    let tokens = TokenSet::from_response(response, SystemTime::UNIX_EPOCH);
    let end = SystemTime::UNIX_EPOCH + Duration::from_secs(8_726_400);
    assert_eq!(tokens.refresh_token_expires_at(), Some(end));
}
