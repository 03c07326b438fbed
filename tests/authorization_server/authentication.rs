//! Each way of client authentication, byte by byte.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use reqwest_bearer::{ClientAuthentication, ErrorKind, Secret, SecretSource};

use crate::{endpoint, only_request, parts, received, request, server_with, token};

const ID: &str = "a b:c%/ü";
const SECRET: &str = "p:w d%/ü+&=";

async fn sent(authentication: ClientAuthentication) -> (String, Option<String>) {
    let server = server_with(token("t")).await;
    let endpoint = endpoint(&server, authentication);
    endpoint.request_token(request()).await.expect("a token");
    only_request(&server).await
}

#[tokio::test]
async fn basic_credentials_are_form_encoded_first() {
    // E4
    // a+b%3Ac%25%2F%C3%BC:p%3Aw+d%25%2F%C3%BC%2B%26%3D
    let header = "Basic YStiJTNBYyUyNSUyRiVDMyVCQzpwJTNBdytkJTI1JTJGJUMzJUJDJTJCJTI2JTNE";
    let sent = sent(ClientAuthentication::client_secret_basic(ID, SECRET)).await;
    assert_eq!(sent, ("grant_type=g".to_owned(), Some(header.to_owned())));
}

#[tokio::test]
async fn raw_basic_credentials_are_sent_as_they_are() {
    // E4
    // a bc%/ü:p:w d%/ü+&=
    let header = "Basic YSBiYyUvw7w6cDp3IGQlL8O8KyY9";
    let sent = sent(ClientAuthentication::client_secret_basic_raw(
        "a bc%/ü", SECRET,
    ))
    .await;
    assert_eq!(sent, ("grant_type=g".to_owned(), Some(header.to_owned())));
}

#[tokio::test]
async fn posted_credentials_are_in_the_form_alone() {
    // E4
    let form = "grant_type=g&client_id=a+b%3Ac%25%2F%C3%BC\
                &client_secret=p%3Aw+d%25%2F%C3%BC%2B%26%3D";
    let sent = sent(ClientAuthentication::client_secret_post(ID, SECRET)).await;
    assert_eq!(sent, (form.to_owned(), None));
}

#[tokio::test]
async fn a_public_client_sends_its_id_alone() {
    // E4
    let sent = sent(ClientAuthentication::none(ID)).await;
    let form = "grant_type=g&client_id=a+b%3Ac%25%2F%C3%BC";
    assert_eq!(sent, (form.to_owned(), None));
}

#[tokio::test]
async fn an_assertion_is_sent_with_its_type_and_the_client_id() {
    // E4
    let sent = sent(ClientAuthentication::client_assertion("me", "a.b.c")).await;
    let form = "grant_type=g&client_id=me\
                &client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer\
                &client_assertion=a.b.c";
    assert_eq!(sent, (form.to_owned(), None));
}

#[tokio::test]
async fn an_assertion_is_made_anew_for_each_attempt() {
    // E4
    let server = server_with(token("t")).await;
    let made = Arc::new(AtomicUsize::new(0));
    let signer = SecretSource::from_fn(move || {
        let number = made.fetch_add(1, Ordering::SeqCst);
        async move { Ok::<_, Infallible>(Secret::new(format!("jwt{number}"))) }
    });
    let endpoint = endpoint(
        &server,
        ClientAuthentication::client_assertion("me", signer),
    );
    for _ in 0..3 {
        endpoint.request_token(request()).await.expect("a token");
    }
    for (number, request) in received(&server).await.into_iter().enumerate() {
        let (form, _) = parts(request);
        assert!(
            form.ends_with(&format!("&client_assertion=jwt{number}")),
            "{form}"
        );
    }
}

#[tokio::test]
async fn a_secret_rotated_in_its_file_is_used_by_the_next_attempt() {
    // E4
    let server = server_with(token("t")).await;
    let name = format!("reqwest-bearer-secret-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    let secret = SecretSource::file(&path);
    let endpoint = endpoint(
        &server,
        ClientAuthentication::client_secret_post("me", secret),
    );
    let missing = endpoint
        .request_token(request())
        .await
        .expect_err("no file");
    assert_eq!(missing.kind(), ErrorKind::Unavailable);
    for secret in ["one\n", "two\n"] {
        std::fs::write(&path, secret).expect("a file");
        endpoint.request_token(request()).await.expect("a token");
    }
    std::fs::remove_file(&path).expect("a file");
    let forms: Vec<String> = received(&server)
        .await
        .into_iter()
        .map(|request| parts(request).0)
        .collect();
    assert_eq!(
        forms,
        [
            "grant_type=g&client_id=me&client_secret=one",
            "grant_type=g&client_id=me&client_secret=two",
        ]
    );
}

#[tokio::test]
async fn a_secret_that_is_read_with_a_control_character_in_it_is_not_sent() {
    // E4, D6, K18
    let server = server_with(token("t")).await;
    let name = format!("reqwest-bearer-two-lines-{}", std::process::id());
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, "canary\ncanary\n").expect("a file");
    let function =
        |text| SecretSource::from_fn(move || async move { Ok::<_, Infallible>(Secret::new(text)) });
    for (secret, said) in [
        (function("canary\n"), "ends with a line break"),
        (function("can\0ary"), "a control character in it"),
        (SecretSource::file(&path), "a control character in it"),
    ] {
        for authentication in [
            ClientAuthentication::client_secret_basic("me", secret.clone()),
            ClientAuthentication::client_secret_basic_raw("me", secret.clone()),
            ClientAuthentication::client_secret_post("me", secret.clone()),
            ClientAuthentication::client_assertion("me", secret),
        ] {
            let endpoint = endpoint(&server, authentication);
            let error = endpoint.request_token(request()).await.expect_err(said);
            assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
            assert!(error.to_string().contains(said), "{error}");
            assert!(!format!("{error:?}").contains("ary"), "{error:?}");
        }
    }
    std::fs::remove_file(&path).expect("a file");
    assert!(received(&server).await.is_empty());
}

#[tokio::test]
async fn another_way_of_authentication_is_never_tried() {
    // E4
    let refusal = wiremock::ResponseTemplate::new(401)
        .insert_header("www-authenticate", "Bearer realm=\"as\"")
        .set_body_json(serde_json::json!({"error": "invalid_client"}));
    let server = server_with(refusal).await;
    let endpoint = endpoint(
        &server,
        ClientAuthentication::client_secret_basic("me", "wrong"),
    );
    let error = endpoint
        .request_token(request())
        .await
        .expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::Rejected);
    assert_eq!(error.oauth_code(), Some("invalid_client"));
    assert_eq!(received(&server).await.len(), 1);
}
