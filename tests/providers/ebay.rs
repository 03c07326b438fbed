//! eBay: token types and tokens of its own.

use reqwest_bearer::{ClientAuthentication, ErrorKind};
use serde_json::json;

use crate::{Provider, Script, application, json, play, seconds, user};

fn client() -> ClientAuthentication {
    ClientAuthentication::client_secret_basic("Me-Shop-PRD-1", "PRD-s3cr3t")
}

#[tokio::test]
async fn ebay_s_application_tokens_are_bearer_tokens_whatever_they_are_called() {
    // K1, K2
    let provider = Provider::start().await;
    let token = |number: u32| {
        json!({
            "access_token": format!("v^1.1#i^1#p^1#r^0#I^3#f^0#t^H4s{number}**"),
            "expires_in": 7200, "token_type": "Application Access Token",
        })
    };
    let refused = json!({ "errors": [{ "errorId": 1001, "domain": "OAuth", "message": "Invalid access token" }] });
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &refused),
        end: json(
            401,
            &json!({ "error": "invalid_client", "error_description": "client authentication failed" }),
        ),
    };
    let scope = "https://api.ebay.com/oauth/api_scope";
    let grant = application(provider.endpoint(client())).scope(scope);
    let played = play(&provider, grant, script).await;
    assert_eq!(
        played.header("authorization")[0],
        "Bearer v^1.1#i^1#p^1#r^0#I^3#f^0#t^H4s1**"
    );
    assert_eq!(played.field("scope"), vec![Some(scope.to_owned()); 3]);
    assert_eq!(played.lifetime, seconds(7200));
    assert_eq!(played.end.kind(), ErrorKind::Rejected);
}

#[tokio::test]
async fn ebay_s_user_tokens_are_renewed_with_a_refresh_token_that_stays() {
    // K2, E6
    let provider = Provider::start().await;
    let token = |number: u32| {
        json!({
            "access_token": format!("v^1.1#{number}"), "expires_in": 7200,
            "token_type": "User Access Token",
        })
    };
    let dead = json!({
        "error": "invalid_grant",
        "error_description": "the provided authorization refresh token is invalid or was issued to another client",
    });
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &json!({})),
        end: json(400, &dead),
    };
    let played = play(&provider, user(provider.endpoint(client())), script).await;
    assert_eq!(played.spent(), ["r-0", "r-0", "r-0"]);
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}
