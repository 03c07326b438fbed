//! Xero: a refresh token whose answer was lost may be sent again for half an hour.

use std::time::Duration;

use reqwest_bearer::{ClientAuthentication, ErrorKind, TokenSourceBuilder};
use serde_json::json;

use crate::{Provider, Script, json, play_with, seconds, user};

#[tokio::test]
async fn xero_rotates_with_half_an_hour_of_grace() {
    // E3, E6
    let provider = Provider::start().await;
    let client = ClientAuthentication::client_secret_basic("me", "s3cr3t");
    let token = |number: u32| {
        json!({
            "access_token": format!("eyJ.{number}"), "expires_in": 1800, "token_type": "Bearer",
            "refresh_token": format!("r-{number}"), "scope": "accounting.transactions offline_access",
        })
    };
    let expired = json!({
        "Type": null, "Title": "Unauthorized", "Status": 401, "Detail": "TokenExpired: token expired",
    });
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &expired),
        end: json(400, &json!({ "error": "invalid_grant" })),
    };
    let grace = |source: TokenSourceBuilder| source.reuse_grace(Duration::from_secs(1800));
    let grant = user(provider.endpoint(client));
    let played = play_with(&provider, grant, script, grace, |client| client).await;
    assert_eq!(played.spent(), ["r-0", "r-1", "r-2"]);
    assert_eq!(played.lifetime, seconds(1800));
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}
