//! GitHub Apps: user tokens that expire, numbers as texts, and a 200 for a dead refresh token.

use reqwest_bearer::{ClientAuthentication, ErrorKind};
use serde_json::json;

use crate::support::http_server::Reply;
use crate::{Provider, Script, json, play, seconds, user};

fn client() -> ClientAuthentication {
    ClientAuthentication::client_secret_post("Iv1.8a61f9b3a7aba766", "s3cr3t")
}

#[tokio::test]
async fn github_says_200_to_a_dead_refresh_token_and_sends_no_challenge() {
    // K9, C5, B11
    let provider = Provider::start().await;
    let token = |number: u32| {
        json!({
            "access_token": format!("ghu_{number}"), "expires_in": "28800",
            "refresh_token": format!("ghr_{number}"), "refresh_token_expires_in": "15811200",
            "scope": "", "token_type": "bearer",
        })
    };
    let dead = json!({
        "error": "bad_refresh_token",
        "error_description": "The refresh token passed is incorrect or expired.",
        "error_uri": "https://docs.github.com/apps",
    });
    let script = Script {
        tokens: [token(1), token(2)],
        refusal: json(
            401,
            &json!({ "message": "Bad credentials", "status": "401" }),
        ),
        end: json(200, &dead),
    };
    let played = play(&provider, user(provider.endpoint(client())), script).await;
    assert_eq!(played.spent(), ["r-0", "ghr_1", "ghr_2"]);
    assert_eq!(played.lifetime, seconds(28_800));
    assert_eq!(played.end.kind(), ErrorKind::SignInRequired);
    assert_eq!(
        played.token_requests[0].headers["accept"],
        "application/json"
    );
}

#[tokio::test]
async fn an_older_github_enterprise_answers_in_a_form() {
    // K3
    let provider = Provider::start().await;
    let form = Reply::new(200)
        .header(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )
        .body("access_token=ghu_1&expires_in=28800&refresh_token=ghr_1&scope=&token_type=bearer");
    provider.answers("/token", [form]);
    let source = reqwest_bearer::TokenSource::from(user(provider.endpoint(client())));
    assert_eq!(source.token().await.unwrap().expose(), "ghu_1");
}
