//! The client of a Google service against a scripted server: J2.

use std::time::Duration;

use google_cloud_auth::credentials::CredentialsProvider;
use google_cloud_gax::backoff_policy::BackoffPolicy;
use google_cloud_gax::error::Error;
use google_cloud_gax::error::rpc::{Code, Status};

use google_cloud_gax::retry_policy::{Aip194Strict, NeverRetry, RetryPolicy};
use google_cloud_gax::retry_state::RetryState;
use google_cloud_secretmanager_v1::client::SecretManagerService;
use http::Extensions;
use recipe_google_cloud_auth::{RefusalPolicy, TokenCredentials};
use recipes_support::{ResponseTemplate, Scene};
use reqwest_bearer::ErrorKind;

#[derive(Debug)]
struct AtOnce;

impl BackoffPolicy for AtOnce {
    fn on_failure(&self, _: &RetryState) -> Duration {
        Duration::ZERO
    }
}

async fn scene() -> Scene {
    let answer = r#"{"name": "projects/p/secrets/s"}"#;
    Scene::start(600, move |_| {
        ResponseTemplate::new(200).set_body_raw(answer, "application/json")
    })
    .await
}

async fn client(
    scene: &Scene,
    credentials: &TokenCredentials,
    policy: impl RetryPolicy + 'static,
) -> SecretManagerService {
    let client = SecretManagerService::builder()
        .with_endpoint(scene.url())
        .with_credentials(credentials.clone())
        .with_retry_policy(policy)
        .with_backoff_policy(AtOnce);
    client.build().await.unwrap()
}

async fn with_policy(scene: &Scene) -> SecretManagerService {
    let credentials = TokenCredentials::new(scene.source());
    let policy = RefusalPolicy::new(&credentials, Aip194Strict);
    client(scene, &credentials, policy).await
}

async fn read(client: &SecretManagerService) -> google_cloud_gax::Result<String> {
    let secret = client.get_secret().set_name("projects/p/secrets/s");
    Ok(secret.send().await?.name)
}

#[tokio::test]
async fn a_client_asks_for_each_request() {
    let scene = scene().await;
    let client = with_policy(&scene).await;
    for _ in 0..2 {
        assert_eq!(read(&client).await.unwrap(), "projects/p/secrets/s");
    }
    scene.expire();
    read(&client).await.unwrap();
    assert_eq!(scene.carried(), ["token-1", "token-1", "token-2"]);
}

#[tokio::test]
async fn the_policy_answers_a_401() {
    let scene = scene().await;
    let client = with_policy(&scene).await;
    read(&client).await.unwrap();
    scene.revoke();
    read(&client).await.unwrap();
    assert_eq!(scene.carried(), ["token-1", "token-1", "token-2"]);
}

fn refusal() -> Error {
    Error::service(Status::default().set_code(Code::Unauthenticated))
}

#[tokio::test]
async fn late_401s_of_one_token_cost_one_refresh() {
    let scene = scene().await;
    let credentials = TokenCredentials::new(scene.source());
    let policy = RefusalPolicy::new(&credentials, NeverRetry);
    let ask = async || credentials.headers(Extensions::new()).await.unwrap();
    ask().await;
    // Three requests begin with the first token, and hear of it one after the other. (A source waits between
    // two refusals in a row, so that time has to pass.)
    let began = RetryState::new(true).set_attempt_count(1_u32);
    for _ in 0..3 {
        assert!(policy.on_error(&began, refusal()).is_continue());
        scene.pass(2);
        ask().await;
    }
    assert_eq!(scene.issued(), 2);
    // One that begins now has the second.
    let began = RetryState::new(true).set_attempt_count(1_u32);
    assert!(policy.on_error(&began, refusal()).is_continue());
    ask().await;
    assert_eq!(scene.issued(), 3);
}

#[tokio::test]
async fn a_second_401_is_the_answer() {
    let scene = scene().await;
    let client = with_policy(&scene).await;
    read(&client).await.unwrap();
    scene.refuse_all();
    let error = read(&client).await.unwrap_err();
    assert_eq!(error.http_status_code(), Some(401));
    assert_eq!(scene.carried(), ["token-1", "token-1", "token-2"]);
}

#[tokio::test]
async fn without_the_policy_a_401_is_told_to_nobody() {
    let scene = scene().await;
    let credentials = TokenCredentials::new(scene.source());
    let client = client(&scene, &credentials, Aip194Strict).await;
    read(&client).await.unwrap();
    scene.revoke();
    for _ in 0..2 {
        let error = read(&client).await.unwrap_err();
        assert_eq!(error.http_status_code(), Some(401));
    }
    assert_eq!(scene.carried(), ["token-1"; 3]);
}

#[tokio::test]
async fn a_service_without_http_says_it_in_words_of_its_own() {
    let scene = scene().await;
    let policy = RefusalPolicy::new(&TokenCredentials::new(scene.source()), NeverRetry);
    let of_code = |code| Error::service(Status::default().set_code(code));
    let on = |code, count| {
        let state = RetryState::new(false).set_attempt_count(count);
        policy.on_error(&state, of_code(code)).is_continue()
    };
    assert!(on(Code::Unauthenticated, 1_u32));
    assert!(!on(Code::Unauthenticated, 2_u32));
    assert!(!on(Code::PermissionDenied, 1_u32));
}

#[tokio::test]
async fn without_a_token_the_error_is_ours_and_nothing_is_sent() {
    let scene = scene().await;
    scene.close();
    let error = read(&with_policy(&scene).await).await.unwrap_err();
    let ours = reqwest_bearer::Error::find_in(&error).unwrap();
    assert_eq!(ours.kind(), ErrorKind::Rejected);
    assert!(scene.carried().is_empty());
}
