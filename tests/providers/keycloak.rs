//! Keycloak: sessions that are over, and a name inside of the cluster.

use reqwest_bearer::{ClientAuthentication, ErrorKind, TokenEndpoint};
use serde_json::json;

use crate::{Provider, Script, json, play, seconds, user};

#[tokio::test]
async fn keycloak_behind_its_own_name_inside_of_a_cluster() {
    // K23
    let provider = Provider::start().await;
    let public = "https://login.example.com/realms/shop";
    provider.answers(
        "/realms/shop/.well-known/openid-configuration",
        [json(
            200,
            &json!({ "issuer": public, "token_endpoint": provider.url("/token") }),
        )],
    );
    let client = ClientAuthentication::client_secret_basic("shop", "s3cr3t");
    let endpoint = TokenEndpoint::builder(client)
        .discovery_url(provider.url("/realms/shop/.well-known/openid-configuration"))
        .issuer(public);
    let token = |number: u32| {
        json!({
            "access_token": format!("eyJ.{number}"), "expires_in": 300, "refresh_expires_in": 1800,
            "refresh_token": format!("r-{number}"), "token_type": "Bearer", "not-before-policy": 0,
            "session_state": "3d1f", "scope": "email profile",
        })
    };
    let over = json!({ "error": "invalid_grant", "error_description": "Session not active" });
    let expired = r#"Bearer realm="shop", error="invalid_token", error_description="Token verification failed""#;
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &json!({})).header("www-authenticate", expired),
        end: json(400, &over),
    };
    let played = play(&provider, user(endpoint), script).await;
    assert_eq!(played.lifetime, seconds(300));
    assert_eq!(played.token.member("not-before-policy"), Some(&json!(0)));
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}
