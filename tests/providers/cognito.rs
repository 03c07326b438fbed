//! Amazon Cognito: the token endpoint is at another host than the issuer, and refresh tokens stay.

use reqwest_bearer::{ClientAuthentication, ErrorKind, TokenEndpoint};
use serde_json::json;

use crate::{Provider, Script, json, play, seconds, user};

#[tokio::test]
async fn cognito_keeps_the_refresh_token_and_its_gateway_sends_no_challenge() {
    // E6, C5
    let provider = Provider::start().await;
    let identity = Provider::start().await;
    let issuer = identity.url("/eu-west-1_Ab12");
    identity.answers(
        "/eu-west-1_Ab12/.well-known/openid-configuration",
        [json(
            200,
            &json!({ "issuer": issuer, "token_endpoint": provider.url("/token") }),
        )],
    );
    let client = ClientAuthentication::client_secret_basic("1example23", "s3cr3t");
    let token = |number: u32| {
        json!({
            "access_token": format!("eyJ.{number}"), "id_token": "a.b.c", "token_type": "Bearer",
            "expires_in": 3600,
        })
    };
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &json!({ "message": "The incoming token has expired" })),
        end: json(400, &json!({ "error": "invalid_grant" })),
    };
    let endpoint = TokenEndpoint::builder(client).issuer(issuer);
    let played = play(&provider, user(endpoint), script).await;
    assert_eq!(played.spent(), ["r-0", "r-0", "r-0"]);
    assert_eq!(played.lifetime, seconds(3600));
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
}
