//! Okta: a custom authorization server with a path in its issuer, and rotation.

use reqwest_bearer::{ClientAuthentication, ErrorKind, TokenEndpoint};
use serde_json::json;

use crate::{Provider, Script, json, play, seconds, user};

#[tokio::test]
async fn okta_is_found_by_its_issuer_and_rotates() {
    // E7, K9
    let provider = Provider::start().await;
    let issuer = provider.url("/oauth2/default");
    provider.answers(
        "/oauth2/default/.well-known/openid-configuration",
        [json(
            200,
            &json!({ "issuer": issuer, "token_endpoint": provider.url("/token") }),
        )],
    );
    let client = ClientAuthentication::client_secret_basic("0oa1", "s3cr3t");
    let token = |number: u32| {
        json!({
            "token_type": "Bearer", "expires_in": 3600, "access_token": format!("eyJ.{number}"),
            "scope": "offline_access openid", "refresh_token": format!("r-{number}"),
        })
    };
    let dead = json!({
        "error": "invalid_grant", "error_description": "The refresh token is invalid or expired.",
    });
    let expired = r#"Bearer realm="http://localhost:8080", error="invalid_token", error_description="The access token expired""#;
    let grant = user(TokenEndpoint::builder(client).issuer(&issuer));
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &json!({})).header("www-authenticate", expired),
        end: json(400, &dead),
    };
    let played = play(&provider, grant, script).await;
    assert_eq!(played.spent(), ["r-0", "r-1", "r-2"]);
    assert_eq!(played.lifetime, seconds(3600));
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}
