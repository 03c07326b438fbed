//! Zoom: server-to-server tokens by a grant type of its own.

use reqwest_bearer::{ClientAuthentication, ErrorKind, GrantFn, TokenRequest};
use serde_json::json;

use crate::{Provider, Script, json, play, seconds};

#[tokio::test]
async fn zoom_s_account_credentials_are_a_function_of_three_lines() {
    // E5
    let provider = Provider::start().await;
    let client = ClientAuthentication::client_secret_basic("me", "s3cr3t");
    let endpoint = provider.endpoint(client).build().unwrap();
    let grant = GrantFn::new("zoom", move |_| {
        let endpoint = endpoint.clone();
        let request = TokenRequest::new("account_credentials").field("account_id", "gYz8S9w5");
        async move { endpoint.request_token(request).await }
    });
    let token = |number: u32| {
        json!({
            "access_token": format!("eyJ.{number}"), "token_type": "bearer", "expires_in": 3600,
            "scope": "meeting:read:admin", "api_url": "https://api.zoom.us",
        })
    };
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(
            401,
            &json!({ "code": 124, "message": "Invalid access token." }),
        ),
        end: json(
            400,
            &json!({ "reason": "Invalid client_id or client_secret", "error": "invalid_client" }),
        ),
    };
    let played = play(&provider, grant, script).await;
    assert_eq!(
        played.field("account_id"),
        vec![Some("gYz8S9w5".to_owned()); 3]
    );
    assert_eq!(played.lifetime, seconds(3600));
    assert_eq!(played.end.kind(), ErrorKind::Rejected);
}
