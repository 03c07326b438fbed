//! Google's service against a scripted server: J2, by a named client.

use opendal::services::Gcs;
use opendal::{HttpTransporter, OperationContext, Operator};
use recipe_opendal::NamedClientTransport;
use recipes_support::{Request, ResponseTemplate, Scene};
use reqwest_bearer::{Error, ErrorKind, NamedClient};

fn answer(request: &Request) -> ResponseTemplate {
    match request.method.as_str() {
        "GET" => ResponseTemplate::new(200).set_body_string("content"),
        _ => ResponseTemplate::new(200).set_body_string(r#"{"size": "10"}"#),
    }
}

fn service(scene: &Scene) -> Gcs {
    Gcs::default().bucket("bucket").endpoint(&scene.url())
}

fn by_client(scene: &Scene, service: Gcs) -> Operator {
    let client = NamedClient::new("storage", scene.url(), scene.source()).unwrap();
    let transport = HttpTransporter::new(NamedClientTransport::new(client));
    let context = OperationContext::new().with_http_transport(transport);
    let operator = Operator::new(service.skip_signature()).unwrap();
    operator.with_context(context)
}

async fn read(operator: &Operator) -> opendal::Result<String> {
    let content = operator.read("a").await?.to_vec();
    Ok(String::from_utf8(content).unwrap())
}

#[tokio::test]
async fn a_named_client_sends_the_token_and_after_its_end_the_next_one() {
    let scene = Scene::start(600, answer).await;
    let operator = by_client(&scene, service(&scene));
    assert_eq!(read(&operator).await.unwrap(), "content");
    scene.expire();
    assert_eq!(read(&operator).await.unwrap(), "content");
    assert_eq!(scene.carried(), ["token-1", "token-2"]);
}

#[tokio::test]
async fn a_named_client_answers_a_401_and_an_upload_is_sent_whole_once_more() {
    let scene = Scene::start(600, answer).await;
    let operator = by_client(&scene, service(&scene));
    read(&operator).await.unwrap();
    scene.revoke();
    operator.write("b", "the upload").await.unwrap();
    assert_eq!(scene.carried(), ["token-1", "token-1", "token-2"]);
    let bodies = scene.bodies();
    assert_eq!(bodies[1], bodies[2]);
    assert!(String::from_utf8_lossy(&bodies[1]).contains("the upload"));
}

#[tokio::test]
async fn a_named_client_takes_the_token_nowhere_but_to_its_origin() {
    let scene = Scene::start(600, answer).await;
    let elsewhere = Scene::start(600, answer).await;
    let operator = by_client(&scene, service(&elsewhere));
    let error = read(&operator).await.unwrap_err();
    let ours = Error::find_in(&error).unwrap();
    assert_eq!(ours.kind(), ErrorKind::OriginNotAllowed);
    assert!(elsewhere.carried().is_empty());
}

#[tokio::test]
async fn without_a_token_the_error_is_ours_and_nothing_is_sent() {
    let scene = Scene::start(600, answer).await;
    scene.close();
    let error = read(&by_client(&scene, service(&scene))).await.unwrap_err();
    let ours = Error::find_in(&error).unwrap();
    assert_eq!(ours.kind(), ErrorKind::Rejected);
    assert!(scene.carried().is_empty());
}
