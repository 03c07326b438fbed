//! The generated client against a scripted server: J2.

use progenitor_client::Error;
use recipe_progenitor::types::Order;
use recipe_progenitor::{Client, Tokens};
use recipes_support::wiremock::matchers::path;
use recipes_support::wiremock::{Mock, MockServer};
use recipes_support::{Request, ResponseTemplate, Scene};
use reqwest::Body;

async fn scene() -> Scene {
    let answer = r#"{"item": "tea"}"#;
    Scene::start(600, move |_| {
        ResponseTemplate::new(200).set_body_raw(answer, "application/json")
    })
    .await
}

fn client(scene: &Scene) -> Client {
    recipe_progenitor::client(&scene.url(), Tokens::new(scene.source())).unwrap()
}

fn tea() -> Order {
    Order { item: "tea".into() }
}

#[tokio::test]
async fn each_request_has_the_token_and_after_its_end_the_next_one() {
    let scene = scene().await;
    let client = client(&scene);
    let order = client.get_order("42").await.unwrap();
    assert_eq!(order.item, "tea");
    scene.expire();
    client.get_order("42").await.unwrap();
    assert_eq!(scene.carried(), ["token-1", "token-2"]);
}

#[tokio::test]
async fn a_401_is_answered_and_the_body_goes_whole_once_more() {
    let scene = scene().await;
    let client = client(&scene);
    client.place_order(&tea()).await.unwrap();
    scene.revoke();
    client.place_order(&tea()).await.unwrap();
    assert_eq!(scene.carried(), ["token-1", "token-1", "token-2"]);
    assert_eq!(scene.bodies(), [br#"{"item":"tea"}"#; 3]);
}

#[tokio::test]
async fn a_body_that_is_there_only_once_gets_its_401_and_the_next_request_another_token() {
    let scene = scene().await;
    let client = client(&scene);
    client.get_order("42").await.unwrap();
    scene.revoke();
    let pieces = futures_util::stream::iter([Ok::<_, std::io::Error>("a picture")]);
    let error = client.add_picture(Body::wrap_stream(pieces)).await;
    let status = error.unwrap_err().status().unwrap();
    assert_eq!(status.as_u16(), 401);
    client.get_order("42").await.unwrap();
    assert_eq!(scene.carried(), ["token-1", "token-1", "token-2"]);
}

#[tokio::test]
async fn a_redirect_takes_the_token_nowhere_else() {
    let elsewhere = MockServer::start().await;
    // reqwest alone would send it with the second hop.
    Mock::given(path("/first"))
        .respond_with(ResponseTemplate::new(302).insert_header("location", "/second"))
        .mount(&elsewhere)
        .await;
    let there = format!("{}/first", elsewhere.uri());
    let redirect =
        move |_: &Request| ResponseTemplate::new(302).insert_header("location", there.as_str());
    let scene = Scene::start(600, redirect).await;
    client(&scene).get_order("42").await.unwrap_err();
    assert_eq!(scene.carried(), ["token-1"]);
    let seen = elsewhere.received_requests().await.unwrap();
    assert_eq!(seen.len(), 1);
    assert!(!seen[0].headers.contains_key("authorization"));
}

#[tokio::test]
async fn where_there_is_no_other_token_the_apis_401_is_the_answer() {
    let scene = scene().await;
    let client = client(&scene);
    client.get_order("42").await.unwrap();
    scene.revoke();
    scene.close();
    let error = client.get_order("42").await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(401));
    assert_eq!(scene.carried(), ["token-1", "token-1"]);
}

#[tokio::test]
async fn a_second_401_is_the_answer() {
    let scene = scene().await;
    let client = client(&scene);
    client.get_order("42").await.unwrap();
    scene.refuse_all();
    let error = client.get_order("42").await.unwrap_err();
    assert_eq!(error.status().map(|status| status.as_u16()), Some(401));
    assert_eq!(scene.carried(), ["token-1", "token-1", "token-2"]);
}

#[tokio::test]
async fn without_a_token_nothing_is_sent_and_the_error_has_our_words() {
    let scene = scene().await;
    scene.close();
    let error = client(&scene).get_order("42").await.unwrap_err();
    let Error::Custom(words) = error else {
        panic!("{error:?}");
    };
    assert!(words.contains("invalid_client"), "{words}");
    assert!(scene.carried().is_empty());
}
