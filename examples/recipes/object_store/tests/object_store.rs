//! Google's store against a scripted server: J2, by a named client and by its credentials alone.

use std::sync::Arc;

use async_trait::async_trait;
use http_body_util::BodyExt;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpRequest, HttpResponse, HttpService,
};
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::{ClientOptions, ObjectStoreExt, PutPayload};
use recipe_object_store::TokenCredentials;
use recipes_support::{Request, ResponseTemplate, Scene};
use reqwest_bearer::{Error, ErrorKind, NamedClient, reqwest};

fn answer(request: &Request) -> ResponseTemplate {
    let answer = ResponseTemplate::new(200).insert_header("etag", "\"1\"");
    match request.method.as_str() {
        "GET" => answer
            .insert_header("last-modified", "Mon, 01 Jun 2026 12:00:00 GMT")
            .set_body_string("content"),
        _ => answer,
    }
}

async fn scene() -> Scene {
    Scene::start(600, answer).await
}

fn builder(scene: &Scene) -> GoogleCloudStorageBuilder {
    GoogleCloudStorageBuilder::new()
        .with_bucket_name("bucket")
        .with_client_options(ClientOptions::new().with_allow_http(true))
        .with_base_url(&scene.url())
}

fn by_client(scene: &Scene) -> GoogleCloudStorage {
    let client = NamedClient::new("storage", scene.url(), scene.source()).unwrap();
    recipe_object_store::by_client(builder(scene), &client)
        .build()
        .unwrap()
}

async fn read(store: &GoogleCloudStorage) -> object_store::Result<String> {
    let content = store.get(&"a".into()).await?.bytes().await?;
    Ok(String::from_utf8(content.to_vec()).unwrap())
}

#[tokio::test]
async fn a_named_client_sends_the_token_and_after_its_end_the_next_one() {
    let scene = scene().await;
    let store = by_client(&scene);
    assert_eq!(read(&store).await.unwrap(), "content");
    scene.expire();
    assert_eq!(read(&store).await.unwrap(), "content");
    assert_eq!(scene.carried(), ["token-1", "token-2"]);
}

#[tokio::test]
async fn a_named_client_answers_a_401_and_an_upload_in_pieces_is_sent_whole_once_more() {
    let scene = scene().await;
    let store = by_client(&scene);
    read(&store).await.unwrap();
    scene.revoke();
    let pieces: PutPayload = ["one, ", "two"]
        .into_iter()
        .map(bytes::Bytes::from)
        .collect();
    store.put(&"b".into(), pieces).await.unwrap();
    assert_eq!(scene.carried(), ["token-1", "token-1", "token-2"]);
    assert_eq!(scene.bodies()[1..], [b"one, two", b"one, two"]);
}

#[tokio::test]
async fn a_named_client_takes_the_token_nowhere_but_to_its_origin() {
    let (scene, elsewhere) = (scene().await, scene().await);
    let client = NamedClient::new("storage", scene.url(), scene.source()).unwrap();
    let store = recipe_object_store::by_client(builder(&elsewhere), &client);
    let error = read(&store.build().unwrap()).await.unwrap_err();
    let ours = Error::find_in(&error).unwrap();
    assert_eq!(ours.kind(), ErrorKind::OriginNotAllowed);
    assert!(elsewhere.carried().is_empty());
}

/// What a store has by itself: an HTTP client that knows of no tokens.
#[derive(Debug)]
struct Plain;

impl HttpConnector for Plain {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Self))
    }
}

#[async_trait]
impl HttpService for Plain {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let request = http::Request::from_parts(parts, body.collect().await?.to_bytes());
        let request = reqwest::Request::try_from(request).unwrap();
        let answer = reqwest::Client::new().execute(request).await.unwrap();
        let (parts, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Ok(HttpResponse::from_parts(parts, body.into()))
    }
}

fn by_credentials(scene: &Scene) -> GoogleCloudStorage {
    let credentials = TokenCredentials::new(scene.source());
    let store = builder(scene).with_credentials(Arc::new(credentials));
    store.with_http_connector(Plain).build().unwrap()
}

#[tokio::test]
async fn credentials_are_asked_for_each_request() {
    let scene = scene().await;
    let store = by_credentials(&scene);
    for _ in 0..2 {
        assert_eq!(read(&store).await.unwrap(), "content");
    }
    scene.expire();
    assert_eq!(read(&store).await.unwrap(), "content");
    assert_eq!(scene.carried(), ["token-1", "token-1", "token-2"]);
}

#[tokio::test]
async fn credentials_hear_of_no_401() {
    let scene = scene().await;
    let store = by_credentials(&scene);
    read(&store).await.unwrap();
    scene.revoke();
    for _ in 0..2 {
        let error = read(&store).await.unwrap_err();
        assert!(
            matches!(error, object_store::Error::Unauthenticated { .. }),
            "{error:?}"
        );
    }
    assert_eq!(scene.carried(), ["token-1"; 3]);
}

#[tokio::test]
async fn without_a_token_the_error_is_ours_and_nothing_is_sent() {
    let scene = scene().await;
    scene.close();
    for store in [by_client(&scene), by_credentials(&scene)] {
        let error = read(&store).await.unwrap_err();
        assert_eq!(Error::find_in(&error).unwrap().kind(), ErrorKind::Rejected);
    }
    assert!(scene.carried().is_empty());
}
