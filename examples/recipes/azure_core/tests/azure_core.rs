//! A client of Azure's, as the client of each service is made, against a scripted server: J2.

use std::future::ready;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use azure_core::http::policies::Policy;
use azure_core::http::policies::auth::BearerTokenAuthorizationPolicy;
use azure_core::http::{
    AsyncRawResponse, ClientOptions, Context, HttpClient, Method, Pipeline, Request, RetryOptions,
    StatusCode, Transport, new_http_client,
};
use recipe_azure_core::{SourceCredential, TokenPolicy};
use recipes_support::{ResponseTemplate, Scene};
use reqwest_bearer::{BearerToken, BearerTokenFuture, BearerTokenProvider, Error, ErrorKind};

const SCOPE: &str = "https://vault.azure.net/.default";

/// Takes https for http, since the client attaches a token to no other request: the servers of these tests
/// have no TLS.
#[derive(Debug)]
struct WithoutTls(Arc<dyn HttpClient>);

#[async_trait]
impl HttpClient for WithoutTls {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let mut request = request.clone();
        request.url_mut().set_scheme("http").unwrap();
        self.0.execute_request(&request).await
    }
}

/// What is inside the client of each service.
fn client(credential: &SourceCredential, policies: Vec<Arc<dyn Policy>>) -> Pipeline {
    let bearer = BearerTokenAuthorizationPolicy::new(Arc::new(credential.clone()), [SCOPE]);
    let options = ClientOptions {
        per_try_policies: policies,
        retry: RetryOptions::none(),
        transport: Some(Transport::new(Arc::new(WithoutTls(new_http_client(None))))),
        ..ClientOptions::default()
    };
    Pipeline::new(None, None, options, vec![], vec![Arc::new(bearer)], None)
}

fn with_policy(scene: &Scene) -> Pipeline {
    let credential = SourceCredential::new(scene.source());
    let policy = TokenPolicy::new(credential.for_scopes(&[SCOPE]));
    client(&credential, vec![Arc::new(policy)])
}

fn without_policy(scene: &Scene) -> Pipeline {
    client(&SourceCredential::new(scene.source()), vec![])
}

async fn put(scene: &Scene, client: &Pipeline) -> azure_core::Result<StatusCode> {
    let url = scene.url().replace("http:", "https:").parse()?;
    let mut request = Request::new(url, Method::Put);
    request.set_body("the secret");
    let answer = client.send(&Context::new(), &mut request, None).await?;
    Ok(answer.status())
}

async fn scene(lifetime: u64) -> Scene {
    Scene::start(lifetime, |_| ResponseTemplate::new(200)).await
}

#[tokio::test]
async fn a_client_asks_for_the_scopes_that_it_names() {
    let scene = scene(3600).await;
    let credential = SourceCredential::new(scene.source());
    put(&scene, &client(&credential, vec![])).await.unwrap();
    assert_eq!(scene.scopes(), [SCOPE]);
    let narrowed = credential.for_scopes(&[SCOPE]).token().await.unwrap();
    assert_eq!(narrowed.expose(), "token-1");
}

#[tokio::test]
async fn the_policy_sends_the_present_token_whatever_the_client_has_kept() {
    // By the time of the machine, which the client reads, the first token is good for an hour.
    let scene = scene(3600).await;
    let client = with_policy(&scene);
    put(&scene, &client).await.unwrap();
    scene.expire();
    put(&scene, &client).await.unwrap();
    assert_eq!(scene.carried(), ["token-1", "token-2"]);
}

#[tokio::test]
async fn the_policy_answers_a_401_and_the_body_goes_whole_once_more() {
    let scene = scene(3600).await;
    let client = with_policy(&scene);
    put(&scene, &client).await.unwrap();
    scene.revoke();
    for _ in 0..2 {
        assert_eq!(put(&scene, &client).await.unwrap(), StatusCode::Ok);
    }
    let carried = ["token-1", "token-1", "token-2", "token-2"];
    assert_eq!(scene.carried(), carried);
    assert_eq!(scene.bodies(), [b"the secret"; 4]);
}

#[tokio::test]
async fn where_there_is_no_other_token_the_services_401_is_the_answer() {
    let scene = scene(3600).await;
    let client = with_policy(&scene);
    put(&scene, &client).await.unwrap();
    scene.revoke();
    scene.close();
    let error = put(&scene, &client).await.unwrap_err();
    assert_eq!(error.http_status(), Some(StatusCode::Unauthorized));
    assert_eq!(scene.carried(), ["token-1", "token-1"]);
}

/// Has a token once.
#[derive(Default)]
struct Once(AtomicBool);

impl BearerTokenProvider for Once {
    fn bearer_token(&self) -> BearerTokenFuture<'_> {
        let is_first = !self.0.swap(true, Ordering::Relaxed);
        let token = if is_first {
            BearerToken::new("the-only-one")
        } else {
            Err(Error::unavailable("there was one"))
        };
        Box::pin(ready(token))
    }
}

#[tokio::test]
async fn where_another_token_cannot_be_had_the_services_401_is_the_answer_and_not_our_error() {
    let scene = scene(3600).await;
    let credential = SourceCredential::new(scene.source());
    let policy = TokenPolicy::new(Once::default());
    let client = client(&credential, vec![Arc::new(policy)]);
    let error = put(&scene, &client).await.unwrap_err();
    assert_eq!(error.http_status(), Some(StatusCode::Unauthorized));
    assert_eq!(scene.carried(), ["the-only-one"]);
}

#[tokio::test]
async fn without_the_policy_a_token_of_five_minutes_is_asked_for_each_request() {
    let scene = scene(300).await;
    let client = without_policy(&scene);
    put(&scene, &client).await.unwrap();
    scene.expire();
    put(&scene, &client).await.unwrap();
    assert_eq!(scene.carried(), ["token-1", "token-2"]);
}

#[tokio::test]
async fn without_the_policy_a_401_is_told_to_nobody() {
    let scene = scene(3600).await;
    let client = without_policy(&scene);
    put(&scene, &client).await.unwrap();
    scene.revoke();
    for _ in 0..2 {
        let error = put(&scene, &client).await.unwrap_err();
        assert_eq!(error.http_status(), Some(StatusCode::Unauthorized));
    }
    assert_eq!(scene.carried(), ["token-1"; 3]);
}

#[tokio::test]
async fn without_a_token_the_error_is_ours_and_nothing_is_sent() {
    let scene = scene(3600).await;
    scene.close();
    for client in [with_policy(&scene), without_policy(&scene)] {
        let error = put(&scene, &client).await.unwrap_err();
        assert_eq!(Error::find_in(&error).unwrap().kind(), ErrorKind::Rejected);
    }
    assert!(scene.carried().is_empty());
}
