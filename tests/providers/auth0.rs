//! Auth0: an audience, dead refresh tokens with 403, and rate limits that speak of access.

use reqwest_bearer::{ClientAuthentication, ErrorKind, TokenParameters};
use serde_json::{Value, json};

use crate::{Provider, Script, application, json, play, seconds, user};

fn token(number: u32) -> Value {
    json!({
        "access_token": format!("eyJ.{number}"), "refresh_token": format!("v1.{number}"),
        "scope": "read:orders offline_access", "expires_in": 86_400, "token_type": "Bearer",
    })
}

fn client() -> ClientAuthentication {
    ClientAuthentication::client_secret_post("me", "s3cr3t")
}

#[tokio::test]
async fn auth0_ends_a_refresh_token_with_a_403() {
    // K9, F5
    let provider = Provider::start().await;
    let dead = json!({
        "error": "invalid_grant", "error_description": "Unknown or invalid refresh token.",
    });
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &json!({ "message": "Expired token" })),
        end: json(403, &dead),
    };
    let played = play(&provider, user(provider.endpoint(client())), script).await;
    assert_eq!(played.spent(), ["r-0", "v1.1", "v1.2"]);
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}

#[tokio::test]
async fn auth0_is_asked_for_an_audience_and_its_rate_limit_is_no_refusal() {
    // E3, K11
    let provider = Provider::start().await;
    let limited = json!({ "error": "access_denied", "error_description": "Global limit reached" });
    let audience = TokenParameters::new().audience("https://api.example.com");
    let grant = application(provider.endpoint(client())).parameters(audience);
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &json!({})),
        end: json(429, &limited).header("retry-after", "30"),
    };
    let played = play(&provider, grant, script).await;
    let audience = Some("https://api.example.com".to_owned());
    assert_eq!(played.field("audience"), vec![audience; 3]);
    assert_eq!(played.lifetime, seconds(86_400));
    assert!(played.end.is_transient());
}
