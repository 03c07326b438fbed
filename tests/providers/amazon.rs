//! Amazon (Login with Amazon, Selling Partner API): a header of its own, and 403 for an expired token.

use reqwest_bearer::{ClientAuthentication, ErrorKind, NamedClientBuilder, TokenSourceBuilder};
use serde_json::json;

use crate::{Provider, Script, json, play_with, seconds, user};

#[tokio::test]
async fn amazon_says_403_to_an_expired_token_in_its_own_header() {
    // K1, K27, C5
    let provider = Provider::start().await;
    let client = ClientAuthentication::client_secret_post("amzn1.me", "s3cr3t");
    let token = |number: u32| {
        json!({
            "access_token": format!("Atza|IwEBI-{number}"), "refresh_token": "Atzr|IwEBI",
            "token_type": "bearer", "expires_in": 3600,
        })
    };
    let expired = json!({ "errors": [{
        "code": "Unauthorized", "message": "Access to requested resource is denied.",
        "details": "The access token you provided has expired.",
    }] });
    let dead = json!({
        "error": "invalid_grant",
        "error_description": "The request has an invalid grant parameter : refresh_token",
    });
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(403, &expired),
        end: json(400, &dead),
    };
    let rule = |source: TokenSourceBuilder| {
        source.refused_when(|status, _| [401, 403].contains(&status.as_u16()))
    };
    let header = |client: NamedClientBuilder| client.header("x-amz-access-token");
    let grant = user(provider.endpoint(client));
    let played = play_with(&provider, grant, script, rule, header).await;
    let sent = played.header("x-amz-access-token");
    assert_eq!(sent, ["Atza|IwEBI-1", "Atza|IwEBI-1", "Atza|IwEBI-2"]);
    assert_eq!(played.lifetime, seconds(3600));
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}
