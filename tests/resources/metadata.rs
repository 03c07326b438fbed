//! Where metadata is found, whose it is, and for how long.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest_bearer::{BearerChallenge, ErrorKind, ProtectedResource, TestClock};
use serde_json::json;

use crate::server::{Server, WELL_KNOWN};
use crate::support::http_server::Reply;
use crate::support::until;

#[tokio::test]
async fn metadata_is_before_the_path_or_else_at_the_root() {
    // I5
    let server = Server::both().await;
    let metadata = server.api().metadata().await.unwrap();
    assert_eq!(metadata.resource(), Some(&*server.url("/v1")));
    assert_eq!(metadata.authorization_servers(), [server.url("")]);
    assert_eq!(metadata.scopes_supported(), ["read", "write"]);
    assert_eq!(
        metadata.member("scopes_supported"),
        Some(&json!(["read", "write"]))
    );
    assert_eq!(server.asked(), [format!("{WELL_KNOWN}/v1")]);

    let server = Server::start().await;
    server.json(WELL_KNOWN, &json!({ "resource": server.url("") }));
    let metadata = server.api().metadata().await.unwrap();
    // As it is written, without the slash that a URL has.
    assert_eq!(metadata.resource(), Some(&*server.url("")));
    assert_eq!(server.asked(), [&*format!("{WELL_KNOWN}/v1"), WELL_KNOWN]);
}

#[tokio::test]
async fn a_401_names_the_place_of_the_metadata_and_the_scopes_to_ask_for() {
    // I5
    let server = Server::both().await;
    server.json(
        "/elsewhere",
        &json!({ "resource": server.url("/v1"), "scopes_supported": ["a"] }),
    );
    for scheme in ["Bearer", "DPoP"] {
        for (scope, wanted) in [("", "a"), (", scope=\"b c\"", "b c")] {
            let place = server.url("/elsewhere");
            let challenge = format!("{scheme} resource_metadata=\"{place}\"{scope}");
            let reply = Reply::new(401).header("www-authenticate", challenge);
            server.reply("/v1?page=7", reply);
            let answer = reqwest::get(server.url("/v1?page=7")).await.unwrap();
            assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
            let api = ProtectedResource::of_response(&answer).unwrap();
            assert_eq!(api.url(), server.url("/v1"));
            let metadata = api.metadata().await.unwrap();
            assert_eq!(metadata.scope().as_deref(), Some(wanted));
            let wanted_of_api = metadata.parameters();
            let fields: Vec<_> = wanted_of_api.form_fields().collect();
            let resource = ("resource", server.url("/v1"));
            assert_eq!(fields, [("scope", wanted.to_owned()), resource]);
        }
    }
    assert!(
        !server
            .asked()
            .iter()
            .any(|path| path.contains("well-known"))
    );
}

#[tokio::test]
async fn of_two_challenges_the_one_that_names_metadata_counts() {
    // I5
    let server = Server::both().await;
    let reply = Reply::new(401)
        .header("www-authenticate", "Bearer realm=\"gateway\"")
        .header(
            "www-authenticate",
            "DPoP resource_metadata=\"https://a.b/x\"",
        );
    server.reply("/v1", reply);
    let answer = reqwest::get(server.url("/v1")).await.unwrap();
    let challenge = BearerChallenge::find_in(&answer).unwrap();
    assert_eq!(
        challenge.parameter("resource_metadata"),
        Some("https://a.b/x")
    );
    server.reply(
        "/v1",
        Reply::new(401).header("www-authenticate", "Bearer realm=\"x\""),
    );
    let answer = reqwest::get(server.url("/v1")).await.unwrap();
    assert_eq!(
        BearerChallenge::find_in(&answer).unwrap().realm(),
        Some("x")
    );
    let api = ProtectedResource::of_response(&answer).unwrap();
    assert!(api.metadata().await.is_ok());
}

#[tokio::test]
async fn a_challenge_names_no_metadata_at_another_origin() {
    // I5
    let (server, other) = (Server::both().await, Server::start().await);
    other.json("/x", &json!({ "resource": server.url("/v1") }));
    for (place, kind) in [
        (other.url("/x"), ErrorKind::Protocol),
        (server.url_at("localhost", "/x"), ErrorKind::Protocol),
        ("https://127.0.0.1/x".to_owned(), ErrorKind::Protocol),
        ("http://api.example.com/x".to_owned(), ErrorKind::Protocol),
        ("/x".to_owned(), ErrorKind::Protocol),
    ] {
        let challenge = format!("Bearer resource_metadata=\"{place}\"");
        server.reply("/v1", Reply::new(401).header("www-authenticate", challenge));
        let answer = reqwest::get(server.url("/v1")).await.unwrap();
        let error = ProtectedResource::of_response(&answer).unwrap_err();
        assert_eq!(error.kind(), kind, "{place}");
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn metadata_of_another_resource_is_an_error_and_leads_nowhere() {
    // I5
    let (server, other) = (Server::start().await, Server::both().await);
    for resource in [
        json!(server.url("/v1/orders")),
        json!(server.url("/v")),
        json!(other.url("/v1")),
        json!(server.url_at("localhost", "/v1")),
        json!("https://api.example.com/v1"),
        json!(7),
        json!(null),
    ] {
        let metadata = json!({ "resource": resource, "authorization_servers": [other.url("")] });
        server.json(&format!("{WELL_KNOWN}/v1"), &metadata);
        let api = server.api();
        for error in [
            api.metadata().await.unwrap_err(),
            api.authorization_server().await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), ErrorKind::Protocol, "{resource}");
            assert_eq!(error.server(), Some(&*server.url("")));
        }
    }
    assert_eq!(other.connections(), 0);
    // What is there and wrong is not made up for by what is at the root.
    assert!(!server.asked().contains(&WELL_KNOWN.to_owned()));
}

#[tokio::test]
async fn metadata_is_fetched_without_redirects() {
    // I5, D5
    let (server, other) = (Server::start().await, Server::start().await);
    other.json("/x", &json!({ "resource": server.url("/v1") }));
    for status in [301, 302, 307, 308] {
        let reply = Reply::new(status).header("location", other.url("/x"));
        server.reply(&format!("{WELL_KNOWN}/v1"), reply);
        let error = server.api().metadata().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        let message = error.to_string();
        assert!(message.contains(&format!("{status} and 404")), "{message}");
    }
    assert_eq!(other.connections(), 0);
}

#[tokio::test]
async fn metadata_has_64_kib_at_most() {
    // I5
    let server = Server::start().await;
    let metadata = json!({ "resource": server.url("/v1") }).to_string();
    for (size, is_read) in [(64 * 1024, true), (64 * 1024 + 1, false)] {
        let body = format!("{metadata}{}", " ".repeat(size - metadata.len()));
        server.reply(&format!("{WELL_KNOWN}/v1"), Reply::new(200).body(body));
        match server.api().metadata().await {
            Ok(_) => assert!(is_read),
            Err(error) => {
                assert!(!is_read);
                assert_eq!(error.kind(), ErrorKind::Protocol);
                assert!(error.to_string().contains("larger than 64 KiB"), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn metadata_is_fetched_once_for_all_and_kept_for_a_day() {
    // I5
    let (server, clock) = (Server::both().await, TestClock::new());
    let api = server.builder(&clock).build().unwrap();
    let calls = (0..100)
        .map(|_| api.clone())
        .map(|api| async move { api.metadata().await });
    for metadata in futures_util::future::join_all(calls).await {
        assert!(metadata.is_ok());
    }
    assert_eq!(server.asked().len(), 1);
    clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
    api.metadata().await.unwrap();
    assert_eq!(server.asked().len(), 1);
    // The old one serves while the next is fetched.
    let other = json!({ "resource": server.url("/v1"), "scopes_supported": ["new"] });
    server.json(&format!("{WELL_KNOWN}/v1"), &other);
    clock.advance(Duration::from_secs(1));
    let scopes = async || api.metadata().await.unwrap().scope().unwrap();
    assert_eq!(scopes().await, "read write");
    until(async || scopes().await == "new").await;
    assert_eq!(server.asked().len(), 2);
    api.renew().await.unwrap();
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn an_api_that_is_down_is_left_alone_for_a_while() {
    // I5, B6
    let (server, clock) = (Server::start().await, TestClock::new());
    let reply = Reply::new(503).header("retry-after", "30");
    server.reply(&format!("{WELL_KNOWN}/v1"), reply);
    let api = server.builder(&clock).build().unwrap();
    for _ in 0..3 {
        let error = api.metadata().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable);
        let again = clock.system_time() + Duration::from_secs(30);
        assert_eq!(error.retry_at(), Some(again));
    }
    assert_eq!(server.asked().len(), 2);
    server.is_api_of(&[server.url("")]);
    clock.advance(Duration::from_secs(30));
    assert!(api.metadata().await.is_ok());
}

#[tokio::test]
async fn an_api_without_metadata_is_its_own_server_only_where_that_is_allowed() {
    // I5
    let (server, clock) = (Server::start().await, TestClock::new());
    server.reply(WELL_KNOWN, Reply::new(200).body("<html>"));
    let error = server.api().metadata().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("404 and 200"), "{error}");
    let builder = server.builder(&clock).own_origin_without_metadata();
    let api = builder.build().unwrap();
    let metadata = api.metadata().await.unwrap();
    assert_eq!(metadata.authorization_servers(), [server.url("")]);
    assert_eq!(metadata.resource(), None);
    assert!(metadata.parameters().is_empty());
    // One that has some goes by it.
    server.is_api_of(&["https://login.example.com".to_owned()]);
    let metadata = api.renew().await.unwrap();
    assert_eq!(
        metadata.authorization_servers(),
        ["https://login.example.com"]
    );
}

#[test]
fn what_is_no_url_of_an_api_is_a_wrong_setting() {
    // I5
    for url in [
        "",
        "/v1",
        "api.example.com",
        "http://api.example.com",
        "https://user:canary@api.example.com",
        "https://api.example.com/?canary",
        "https://api.example.com/#canary",
    ] {
        let error = ProtectedResource::new(url).expect_err(url);
        assert_eq!(error.kind(), ErrorKind::Settings, "{url}");
        assert!(!format!("{error:?} {error}").contains("canary"), "{error}");
    }
    let builder = ProtectedResource::builder("https://api.example.com");
    let error = builder.attempt_timeout(Duration::ZERO).build().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
}
