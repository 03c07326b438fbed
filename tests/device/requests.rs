//! I3: where the request for the codes goes, what it says, and what the user is shown.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest_bearer::{
    ClientAuthentication, DeviceAuthorizationRequest, ErrorKind, SigningAlgorithm, SigningKey,
    TokenEndpoint,
};
use serde_json::{Value, json};

use crate::server::{DEVICE_CODE, Parameters, Server, fields, seconds};
use crate::support::http_server::Reply;
use crate::support::while_time_passes;

fn request() -> DeviceAuthorizationRequest {
    DeviceAuthorizationRequest::new()
}

#[tokio::test]
async fn the_user_is_shown_where_to_go_the_code_and_the_time_left() {
    // I3
    let server = Server::start().await;
    let endpoint = server.endpoint();
    let pending = request().start(&endpoint).await.unwrap();
    let line = "Open https://as.example.com/device and enter the code WDJB-MJHT";
    assert_eq!(pending.to_string(), line);
    assert_eq!(pending.user_code(), "WDJB-MJHT");
    let uri = pending.verification_uri().as_str();
    assert_eq!(uri, "https://as.example.com/device");
    assert_eq!(pending.verification_uri_complete(), None);
    for (passes, left) in [(0, 600), (1, 599), (598, 1), (1, 0), (1_000, 0)] {
        server.clock.advance(seconds(passes));
        assert_eq!(pending.time_left(&endpoint), seconds(left));
    }
    let complete = "https://as.example.com/device?user_code=WDJB-MJHT";
    server.codes(json!({ "verification_uri_complete": complete }));
    let pending = request().start(&endpoint).await.unwrap();
    let shown = pending.verification_uri_complete().unwrap();
    assert_eq!(shown.as_str(), complete);
    let line = format!("{line}, or open {complete} and compare the code");
    assert_eq!(pending.to_string(), line);
}

#[tokio::test]
async fn what_a_server_says_does_nothing_to_a_terminal() {
    // I3, D6
    let server = Server::start().await;
    let endpoint = server.endpoint();
    for (name, value) in [
        ("user_code", "AB\u{1b}]0;owned\u{7}"),
        ("user_code", "AB\r\nPassword:"),
        ("user_code", "AB\u{202e}CD"),
        ("verification_uri", "javascript:alert(1)"),
        ("verification_uri", "file:///etc/passwd"),
    ] {
        server.codes(json!({ name: value }));
        let error = request().start(&endpoint).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{value:?}");
        let shown = format!("{error} {error:?}");
        assert!(
            !shown.contains("owned") && !shown.contains(DEVICE_CODE),
            "{shown}"
        );
    }
    let odd = "https://as.example.com/d\u{1b}[2J?x=\u{202e}\u{9b}#\u{7}";
    server.codes(json!({ "verification_uri": odd, "verification_uri_complete": odd }));
    let pending = request().start(&endpoint).await.unwrap();
    let line = pending.to_string();
    assert!(
        line.bytes().all(|byte| matches!(byte, 0x20..=0x7E)),
        "{line:?}"
    );
}

#[tokio::test]
async fn the_request_has_what_it_asks_for_and_the_client_s_authentication() {
    // I3
    let server = Server::start().await;
    let request = request()
        .scope("openid offline_access")
        .resource("https://api.example.com/")
        .audience("orders")
        .extra("acr_values", "2");
    request.start(&server.endpoint()).await.unwrap();
    let seen = server.book().device_requests[0].clone();
    assert!(seen.headers.contains_key("authorization"));
    let expected: Parameters = [
        ("acr_values", "2"),
        ("audience", "orders"),
        ("client_id", "client"),
        ("resource", "https://api.example.com/"),
        ("scope", "openid offline_access"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    assert_eq!(fields(&seen), expected);
    assert!(!format!("{request:?}").contains('2'));
    for name in ["client_id", "scope", "grant_type", "client_secret"] {
        let bad = request.clone().extra(name, "canary");
        let error = bad.start(&server.endpoint()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings, "{name}");
    }
    assert_eq!(server.book().device_requests.len(), 1);
}

#[tokio::test]
async fn the_client_authenticates_as_it_does_for_tokens() {
    // I3, H1
    let server = Server::start().await;
    server.agree();
    let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let secret = "client_secret";
    for (client, name) in [
        (ClientAuthentication::none("client"), None),
        (
            ClientAuthentication::client_secret_post("client", "s3cr3t"),
            Some(secret),
        ),
        (
            ClientAuthentication::private_key_jwt("client", key),
            Some("client_assertion"),
        ),
    ] {
        let endpoint = server.endpoint_of(client);
        let mut pending = request().start(&endpoint).await.unwrap();
        let tokens = while_time_passes(&server.clock, pending.finish(&endpoint)).await;
        tokens.unwrap();
        let book = server.book();
        let asked = fields(book.device_requests.last().unwrap());
        let polled = fields(&book.polls.last().unwrap().seen);
        for sent in [&asked, &polled] {
            assert_eq!(sent["client_id"], "client");
            for other in [secret, "client_assertion"] {
                assert_eq!(sent.contains_key(other), Some(other) == name, "{other}");
            }
        }
        if name == Some("client_assertion") {
            let jti = |sent: &Parameters| claims(&sent["client_assertion"])["jti"].clone();
            assert_ne!(jti(&asked), jti(&polled));
        }
    }
}

fn claims(assertion: &str) -> Value {
    let claims = assertion.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
}

#[tokio::test]
async fn the_endpoint_is_what_the_settings_say_or_a_document_of_the_server() {
    // I3, E7, K24
    let server = Server::start().await;
    let device = json!({ "device_authorization_endpoint": server.url("/device") });
    let elsewhere = json!({ "device_authorization_endpoint": "https://other.example.com/device" });
    let unusable = json!({ "device_authorization_endpoint": "http://other.example.com/device" });
    let none = || json!({});
    let of_another = json!({
        "issuer": server.url("/"),
        "device_authorization_endpoint": server.url("/device"),
    });
    for (members, others, kind) in [
        (device.clone(), None, None),
        (none(), Some(device.clone()), None),
        (none(), None, Some(ErrorKind::Settings)),
        (none(), Some(none()), Some(ErrorKind::Settings)),
        // Our client authentication belongs to the token endpoint's origin.
        (none(), Some(elsewhere), Some(ErrorKind::Settings)),
        (none(), Some(of_another), Some(ErrorKind::Settings)),
        (none(), Some(unusable.clone()), Some(ErrorKind::Settings)),
        (unusable, Some(device.clone()), Some(ErrorKind::Protocol)),
    ] {
        server.document(members.clone());
        let other = others.clone().map(|members| server.document_with(members));
        server.book().other_document = other.unwrap_or_default();
        let started = request().start(&server.endpoint()).await;
        let failed = started.err().map(|error| error.kind());
        assert_eq!(failed, kind, "{members} {others:?}");
    }
    assert_eq!(server.book().device_requests.len(), 2);

    let builder = || {
        server
            .builder(Server::client())
            .token_url(server.url("/token"))
    };
    let endpoint = builder().build().unwrap();
    let error = request().start(&endpoint).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(
        error.to_string().contains("`device_authorization_url`"),
        "{error}"
    );
    let endpoint = builder().device_authorization_url(server.url("/device"));
    request().start(&endpoint.build().unwrap()).await.unwrap();
    let other_client = TokenEndpoint::builder(Server::client())
        .token_url(server.url("/token"))
        .device_authorization_url(server.url("/device"));
    let other_client = other_client.build().unwrap();
    let other_client = other_client
        .for_client(ClientAuthentication::none("other"))
        .unwrap();
    request().start(&other_client).await.unwrap();
    let book = server.book();
    let clients = book
        .device_requests
        .iter()
        .map(|seen| fields(seen)["client_id"].clone());
    let clients: BTreeSet<_> = clients.collect();
    assert!(clients.contains("other") && clients.contains("client"));
    let bad = builder().device_authorization_url("http://other.example.com/");
    assert_eq!(bad.build().unwrap_err().kind(), ErrorKind::Settings);
}

#[tokio::test]
async fn a_refused_request_is_sent_once_and_says_what_the_server_said() {
    // I3
    let server = Server::start().await;
    for (reply, kind) in [
        (
            Reply::new(400).json(&json!({ "error": "invalid_scope" })),
            ErrorKind::Rejected,
        ),
        (
            Reply::new(401).json(&json!({ "error": "invalid_client" })),
            ErrorKind::Rejected,
        ),
        (
            Reply::new(302).header("location", server.url("/device")),
            ErrorKind::Protocol,
        ),
        (Reply::new(200).body("<html>"), ErrorKind::Protocol),
        (Reply::new(503), ErrorKind::Unavailable),
        (
            Reply::new(200).body("x".repeat(1024 * 1024 + 1)),
            ErrorKind::Protocol,
        ),
    ] {
        let before = server.book().device_requests.len();
        server.book().codes = reply;
        let error = request().start(&server.endpoint()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.server(), Some(&*server.url("")));
        assert_eq!(server.book().device_requests.len(), before + 1);
    }
}
