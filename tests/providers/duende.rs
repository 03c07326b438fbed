//! Duende IdentityServer: scopes by name, one-time refresh tokens.

use reqwest_bearer::{ClientAuthentication, ErrorKind, TokenEndpoint};
use serde_json::json;

use crate::{Provider, Script, json, play, seconds, user};

#[tokio::test]
async fn duende_is_found_at_its_root_and_its_one_time_refresh_tokens_are_each_used_once() {
    // E6, E7
    let provider = Provider::start().await;
    let issuer = provider.url("");
    provider.answers(
        "/.well-known/openid-configuration",
        [json(
            200,
            &json!({ "issuer": issuer, "token_endpoint": provider.url("/token") }),
        )],
    );
    let client = ClientAuthentication::client_secret_basic("web", "s3cr3t");
    let token = |number: u32| {
        json!({
            "access_token": format!("eyJ.{number}"), "expires_in": 3600, "token_type": "Bearer",
            "refresh_token": format!("r-{number}-1"), "scope": "openid orders offline_access",
        })
    };
    let expired = r#"Bearer error="invalid_token", error_description="The token expired at '06/01/2026 12:00:00'""#;
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &json!({})).header("www-authenticate", expired),
        end: json(400, &json!({ "error": "invalid_grant" })),
    };
    // With the slash that its settings are often given with.
    let endpoint = TokenEndpoint::builder(client).issuer(format!("{issuer}/"));
    let played = play(&provider, user(endpoint), script).await;
    assert_eq!(played.spent(), ["r-0", "r-1-1", "r-2-1"]);
    assert_eq!(played.lifetime, seconds(3600));
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}
