//! X: a dead refresh token is an invalid request there, and only the description tells.

use reqwest_bearer::{ClientAuthentication, ErrorKind, TokenSourceBuilder};
use serde_json::json;

use crate::{Provider, Script, json, play_with, seconds, user};

#[tokio::test]
async fn x_refuses_a_dead_refresh_token_as_an_invalid_request() {
    // K9, F5
    let provider = Provider::start().await;
    let client = ClientAuthentication::client_secret_basic("me", "s3cr3t");
    let token = |number: u32| {
        json!({
            "token_type": "bearer", "expires_in": 7200, "access_token": format!("a-{number}"),
            "scope": "tweet.read offline.access", "refresh_token": format!("r-{number}"),
        })
    };
    let dead = json!({
        "error": "invalid_request", "error_description": "Value passed for the token was invalid.",
    });
    let unauthorized = json!({ "title": "Unauthorized", "status": 401, "detail": "Unauthorized" });
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &unauthorized),
        end: json(400, &dead),
    };
    let rule = |source: TokenSourceBuilder| {
        source.refused_refresh_when(|response| {
            response.error_description() == Some("Value passed for the token was invalid.")
        })
    };
    let grant = user(provider.endpoint(client));
    let played = play_with(&provider, grant, script, rule, |client| client).await;
    assert_eq!(played.spent(), ["r-0", "r-1", "r-2"]);
    assert_eq!(played.lifetime, seconds(7200));
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}

#[tokio::test]
async fn x_s_application_tokens_have_percent_signs_in_them() {
    // K1
    let provider = Provider::start().await;
    let client = ClientAuthentication::client_secret_basic("me", "s3cr3t");
    let token = json!({ "token_type": "bearer", "access_token": "AAAA%2FAAA%3DAAAA" });
    provider.answers("/token", [json(200, &token)]);
    let source = reqwest_bearer::TokenSource::from(crate::application(provider.endpoint(client)));
    assert_eq!(source.token().await.unwrap().expose(), "AAAA%2FAAA%3DAAAA");
}
