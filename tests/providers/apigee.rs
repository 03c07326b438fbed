//! Apigee: numbers as texts, a token type of its own, and errors by members of its own.

use reqwest_bearer::{ClientAuthentication, ErrorKind};
use serde_json::json;

use crate::{Provider, Script, application, json, play, seconds};

#[tokio::test]
async fn apigee_s_texts_are_numbers_and_its_faults_refuse_the_token() {
    // K2, B11, C5
    let provider = Provider::start().await;
    let client = ClientAuthentication::client_secret_basic("key", "s3cr3t");
    let token = |number: u32| {
        json!({
            "issued_at": "1780315200000", "scope": "READ", "application_name": "app",
            "refresh_token_issued_at": "1780315200000", "status": "approved",
            "refresh_token_status": "approved", "api_product_list": "[orders]",
            "expires_in": "3599", "developer.email": "a@b.c", "token_type": "BearerToken",
            "refresh_token": "r", "client_id": "key", "access_token": format!("{number}Ab"),
            "refresh_token_expires_in": "0", "refresh_count": "0",
        })
    };
    let fault = json!({ "fault": {
        "faultstring": "Access Token expired",
        "detail": { "errorcode": "keymanagement.service.access_token_expired" },
    } });
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(401, &fault),
        end: json(
            401,
            &json!({ "ErrorCode": "invalid_client", "Error": "ClientId is Invalid" }),
        ),
    };
    let played = play(&provider, application(provider.endpoint(client)), script).await;
    assert_eq!(played.lifetime, seconds(3599));
    assert_eq!(played.header("authorization")[2], "Bearer 2Ab");
    assert_eq!(played.end.kind(), ErrorKind::Rejected);
    let words = played.end.error_response().expect("an answer");
    assert_eq!(words.member("Error"), Some(&json!("ClientId is Invalid")));
}
