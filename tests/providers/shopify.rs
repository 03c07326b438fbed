//! Shopify: the token in a header of its own, which no redirect takes elsewhere.

use reqwest_bearer::{ClientAuthentication, ErrorKind, NamedClientBuilder};
use serde_json::json;

use crate::{Provider, Script, application, json, play_with, seconds};

#[tokio::test]
async fn shopify_gets_the_token_in_its_own_header_alone() {
    // K27, K7
    let provider = Provider::start().await;
    let client = ClientAuthentication::client_secret_post("me", "s3cr3t");
    let token = |number: u32| {
        json!({
            "access_token": format!("shpat_{number}"), "scope": "write_products,read_orders",
            "expires_in": 86_399,
        })
    };
    let expired = json!({
        "errors": "[API] Invalid API key or access token (unrecognized login or wrong password)",
    });
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &expired),
        end: json(400, &json!({ "error": "invalid_client" })),
    };
    let header = |client: NamedClientBuilder| client.header("X-Shopify-Access-Token");
    let grant = application(provider.endpoint(client));
    let played = play_with(&provider, grant, script, |source| source, header).await;
    let sent = played.header("x-shopify-access-token");
    assert_eq!(sent, ["shpat_1", "shpat_1", "shpat_2"]);
    assert!(
        played
            .calls
            .iter()
            .all(|call| !call.headers.contains_key("authorization"))
    );
    assert_eq!(played.lifetime, seconds(86_399));
    assert_eq!(played.end.kind(), ErrorKind::Rejected);
}
