//! Okta: a custom authorization server with a path in its issuer, and rotation.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest_bearer::{
    ClientAuthentication, ErrorKind, SigningAlgorithm, SigningKey, TokenEndpoint,
};
use serde_json::{Value, json};

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

#[tokio::test]
async fn okta_knows_a_key_by_its_id_and_assertions_by_the_url_of_its_endpoint() {
    // H1
    let provider = Provider::start().await;
    let issuer = provider.url("/oauth2/default");
    provider.answers(
        "/oauth2/default/.well-known/openid-configuration",
        [json(
            200,
            &json!({
                "issuer": issuer, "token_endpoint": provider.url("/token"),
                "token_endpoint_auth_methods_supported": [
                    "client_secret_basic", "client_secret_post", "client_secret_jwt",
                    "private_key_jwt", "none",
                ],
            }),
        )],
    );
    let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let client = ClientAuthentication::private_key_jwt("0oa1", key.with_key_id("KXc4Bxbe"))
        .endpoint_as_audience();
    let token = |number: u32| {
        json!({
            "token_type": "Bearer", "expires_in": 3600, "access_token": format!("eyJ.{number}"),
            "scope": "offline_access openid", "refresh_token": format!("r-{number}"),
        })
    };
    let grant = user(TokenEndpoint::builder(client).issuer(&issuer));
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &json!({}))
            .header("www-authenticate", r#"Bearer error="invalid_token""#),
        end: json(400, &json!({ "error": "invalid_grant" })),
    };
    let played = play(&provider, grant, script).await;
    assert_eq!(played.spent(), ["r-0", "r-1", "r-2"]);
    let assertions = played.field("client_assertion");
    assert_eq!(assertions.len(), 3);
    for assertion in assertions {
        let assertion = assertion.expect("an assertion");
        let part = |number| -> Value {
            let part = assertion.split('.').nth(number).unwrap();
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
        };
        assert_eq!(part(0)["kid"], "KXc4Bxbe");
        assert_eq!(part(1)["aud"], provider.url("/token"));
    }
}
