//! I4: requests that are pushed (RFC 9126).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest_bearer::{
    AuthorizationRequest, ClientAuthentication, DpopKey, ErrorKind, SigningAlgorithm, SigningKey,
};
use serde_json::{Value, json};

use crate::proof::Proof;
use crate::server::{REDIRECT_URI, Server, fields};
use crate::support::http_server::Reply;

fn request() -> AuthorizationRequest {
    AuthorizationRequest::new(REDIRECT_URI).scope("openid")
}

#[tokio::test]
async fn a_request_is_pushed_where_the_document_names_an_endpoint_for_it() {
    // I4
    let server = Server::with_pushing().await;
    let endpoint = server.endpoint();
    let request = request().extra("login_hint", "alice");
    let (url, pending) = request.start(&endpoint).await.unwrap();
    let parameters = server.parameters(&url);
    let names: Vec<_> = parameters.keys().map(String::as_str).collect();
    assert_eq!(names, ["client_id", "request_uri"]);
    let seen = server.book().pushes[0].clone();
    assert!(seen.headers.contains_key("authorization"));
    let pushed = fields(&seen);
    assert_eq!(pushed["client_id"], "client");
    assert_eq!(pushed["login_hint"], "alice");
    assert_eq!(pushed["state"], pending.state());
    assert_eq!(pushed["code_challenge_method"], "S256");
    for none in ["client_secret", "code_verifier", "request_uri", "dpop_jkt"] {
        assert!(!pushed.contains_key(none), "{none}");
    }
    let left = pending.url_expires_at().unwrap();
    let left = left.duration_since(server.clock.system_time()).unwrap();
    assert_eq!(left.as_secs(), 60);
    let redirect = server.authorize(&url);
    pending.finish(&endpoint, redirect).await.unwrap();
}

#[tokio::test]
async fn a_setting_names_the_endpoint_where_no_document_does() {
    // I4
    let server = Server::start().await;
    let endpoint = server
        .builder(ClientAuthentication::none("client"))
        .token_url(server.url("/token"))
        .authorization_url(server.url("/authorize"))
        .pushed_authorization_url(server.url("/par"))
        .build()
        .unwrap();
    let (url, pending) = request().start(&endpoint).await.unwrap();
    assert_eq!(fields(&server.book().pushes[0])["client_id"], "client");
    let redirect = server.authorize(&url);
    pending.finish(&endpoint, redirect).await.unwrap();
}

#[tokio::test]
async fn the_client_authenticates_as_it_does_for_tokens() {
    // I4, H1
    let server = Server::with_pushing().await;
    let post = ClientAuthentication::client_secret_post("client", "s3cr3t");
    request().start(&server.endpoint_of(post)).await.unwrap();
    let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let signed = ClientAuthentication::private_key_jwt("client", key);
    let signed = server.endpoint_of(signed);
    for _ in 0..2 {
        request().start(&signed).await.unwrap();
    }
    let pushes = server.book().pushes.clone();
    let [post, one, other] = [0, 1, 2].map(|number: usize| fields(&pushes[number]));
    assert_eq!(post["client_secret"], "s3cr3t");
    let claims = |fields: &crate::server::Parameters| -> Value {
        let claims = fields["client_assertion"].split('.').nth(1).unwrap();
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap()
    };
    let (one, other) = (claims(&one), claims(&other));
    assert_eq!(one["aud"], json!(server.url("")));
    assert_ne!(one["jti"], other["jti"]);
    // What the document lists for token requests counts here, too.
    let (par, algorithms) = (server.url("/par"), ["RS256"]);
    server.document(json!({
        "pushed_authorization_request_endpoint": par,
        "token_endpoint_auth_signing_alg_values_supported": algorithms,
    }));
    let key = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let signed = server.endpoint_of(ClientAuthentication::private_key_jwt("client", key));
    let error = request().start(&signed).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert_eq!(server.book().pushes.len(), 3);
}

#[tokio::test]
async fn a_server_that_wants_pushed_requests_alone_gets_no_other() {
    // I4
    let server = Server::with_pushing().await;
    let par = server.url("/par");
    let unpushed = request().without_pushing();
    let (url, _) = unpushed.start(&server.endpoint()).await.unwrap();
    assert!(server.parameters(&url).contains_key("code_challenge"));
    server.document(json!({
        "pushed_authorization_request_endpoint": par,
        "require_pushed_authorization_requests": true,
    }));
    request().start(&server.endpoint()).await.unwrap();
    let error = unpushed.start(&server.endpoint()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    server.document(json!({ "require_pushed_authorization_requests": true }));
    let error = request().start(&server.endpoint()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert_eq!(server.book().pushes.len(), 1);
}

#[tokio::test]
async fn a_push_that_fails_is_an_error_and_no_request_goes_out_in_another_way() {
    // I4, D6
    let server = Server::with_pushing().await;
    for (reply, kind, code) in [
        (
            Reply::new(400)
                .json(&json!({ "error": "invalid_request", "error_description": "canary" })),
            ErrorKind::Rejected,
            Some("invalid_request"),
        ),
        (
            Reply::new(401).json(&json!({ "error": "invalid_client" })),
            ErrorKind::Rejected,
            Some("invalid_client"),
        ),
        (Reply::new(503), ErrorKind::Unavailable, None),
        (Reply::new(404), ErrorKind::Protocol, None),
        (
            Reply::new(307).header("location", "/token"),
            ErrorKind::Protocol,
            None,
        ),
        (
            Reply::new(201).json(&json!({ "request_uri": "canary" })),
            ErrorKind::Protocol,
            None,
        ),
        (
            Reply::new(201).body("<html>canary"),
            ErrorKind::Protocol,
            None,
        ),
    ] {
        server.book().push_script.push_back(reply);
        let error = request().start(&server.endpoint()).await.unwrap_err();
        assert_eq!((error.kind(), error.oauth_code()), (kind, code), "{error}");
        assert_eq!(error.server(), Some(server.url("").as_str()));
        assert!(
            !format!("{error} {error:?}").contains("canary"),
            "{error:?}"
        );
    }
    assert_eq!(server.book().pushes.len(), 7);
    assert_eq!(server.book().token_requests.len(), 0);
}

#[tokio::test]
async fn a_pushed_request_proves_the_key_and_is_repeated_once_for_the_nonce() {
    // I4, H6
    let server = Server::with_pushing().await;
    server.book().nonce = Some("nonce-1");
    let key = DpopKey::generate().unwrap();
    let signer = SigningKey::generate(SigningAlgorithm::Es256).unwrap();
    let client = ClientAuthentication::private_key_jwt("client", signer);
    let endpoint = server.endpoint_of(client);
    let bound = request().dpop(&key);
    let (url, pending) = bound.start(&endpoint).await.unwrap();
    let pushes = server.book().pushes.clone();
    let [one, other] = [0, 1].map(|number: usize| {
        let proof = Proof::of(&pushes[number]).unwrap();
        assert_eq!(proof.claim("htm"), Some("POST"));
        assert_eq!(proof.claim("htu"), Some(server.url("/par").as_str()));
        assert_eq!(proof.jkt, key.thumbprint());
        let pushed = fields(&pushes[number]);
        assert_eq!(pushed["dpop_jkt"], key.thumbprint());
        (proof, pushed)
    });
    assert_eq!(pushes.len(), 2);
    assert_eq!(one.0.claim("nonce"), None);
    assert_eq!(other.0.claim("nonce"), Some("nonce-1"));
    assert_eq!(one.1["state"], other.1["state"]);
    assert_ne!(one.1["client_assertion"], other.1["client_assertion"]);
    let redirect = server.authorize(&url);
    pending.finish(&endpoint, redirect).await.unwrap();
    // The nonce that was learnt goes into the proof of the code.
    let proof = Proof::of(&server.book().token_requests[0]).unwrap();
    assert_eq!(proof.claim("nonce"), Some("nonce-1"));
}

#[tokio::test]
async fn the_same_nonce_again_is_final_for_a_pushed_request() {
    // I4, H6
    let server = Server::with_pushing().await;
    let wants = || {
        let reply = Reply::new(400).header("dpop-nonce", "nonce-1");
        reply.json(&json!({ "error": "use_dpop_nonce" }))
    };
    server
        .book()
        .push_script
        .extend([wants(), wants(), wants()]);
    let bound = request().dpop(&DpopKey::generate().unwrap());
    let error = bound.start(&server.endpoint()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert_eq!(server.book().pushes.len(), 2);
}
