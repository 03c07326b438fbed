//! Notion: JSON in, basic credentials, a version header, tokens without a lifetime.

use reqwest_bearer::reqwest::header::{HeaderMap, HeaderValue};
use reqwest_bearer::{ClientAuthentication, ErrorKind};
use serde_json::{Value, json};

use crate::{Provider, Script, json, play, user};

#[tokio::test]
async fn notion_is_asked_in_json_with_its_version() {
    // K26, B11
    let provider = Provider::start().await;
    let client = ClientAuthentication::client_secret_basic("me", "s3cr3t");
    let endpoint = provider
        .endpoint(client)
        .json_requests()
        .request_headers(|| {
            let mut headers = HeaderMap::new();
            headers.insert("notion-version", HeaderValue::from_static("2025-09-03"));
            headers
        });
    let token = |number: u32| {
        json!({
            "access_token": format!("ntn_{number}"), "token_type": "bearer",
            "refresh_token": format!("nrt_{number}"), "bot_id": "3c90c3cc", "workspace_id": "w",
            "workspace_name": "Ada's", "workspace_icon": null, "owner": { "type": "user" },
            "duplicated_template_id": null, "request_id": "q",
        })
    };
    let refused = json!({
        "object": "error", "status": 401, "code": "unauthorized", "message": "API token is invalid.",
    });
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &refused),
        end: json(400, &json!({ "error": "invalid_grant" })),
    };
    let played = play(&provider, user(endpoint), script).await;
    for (request, spent) in played.token_requests.iter().zip(["r-0", "nrt_1", "nrt_2"]) {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            body,
            json!({ "grant_type": "refresh_token", "refresh_token": spent })
        );
        assert_eq!(request.headers["authorization"], "Basic bWU6czNjcjN0");
        assert_eq!(request.headers["notion-version"], "2025-09-03");
    }
    assert_eq!(played.lifetime, None);
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}
