//! I3, H5, H6: tokens that are bound to a key from the first one on.

use reqwest_bearer::{DeviceAuthorizationRequest, DpopKey, ErrorKind};
use serde_json::json;

use crate::proof::Proof;
use crate::server::Server;
use crate::support::http_server::Reply;

#[tokio::test]
async fn each_poll_has_a_proof_of_the_key_that_travelled_with_what_was_kept() {
    // I3, H5, H6
    let server = Server::start().await;
    server.book().nonce = Some("n-1");
    let key = DpopKey::generate().unwrap();
    let request = DeviceAuthorizationRequest::new().dpop(&key);
    let pending = request.start(&server.endpoint()).await.unwrap();
    let kept = serde_json::to_string(&pending).unwrap();
    let mut pending = serde_json::from_str(&kept).unwrap();
    server.agree();
    let tokens = server.finish(&mut pending).await.unwrap();
    assert_eq!(tokens.dpop_key(), Some(&key));
    let book = server.book();
    // The one without the nonce has told it, and spent nothing.
    assert_eq!(book.polls.len(), 2);
    let proofs = book.polls.iter().map(|poll| Proof::of(&poll.seen).unwrap());
    let proofs: Vec<_> = proofs.collect();
    for proof in &proofs {
        assert_eq!(proof.jkt, key.thumbprint());
        assert_eq!(proof.claim("htu"), Some(&*server.url("/token")));
    }
    assert_ne!(proofs[0].claim("jti"), proofs[1].claim("jti"));
    assert!(!book.device_requests[0].headers.contains_key("dpop"));
}

#[tokio::test]
async fn a_bearer_token_for_a_sign_in_with_a_key_is_an_error() {
    // I3, H7
    let server = Server::start().await;
    let request = DeviceAuthorizationRequest::new().dpop(&DpopKey::generate().unwrap());
    let mut pending = request.start(&server.endpoint()).await.unwrap();
    let tokens = json!({ "access_token": "canary", "token_type": "Bearer", "expires_in": 60 });
    server.then(Reply::new(200).json(&tokens));
    let error = server.finish(&mut pending).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(!format!("{error} {error:?}").contains("canary"));
    server.then_error("invalid_grant");
    let error = server.finish(&mut pending).await.unwrap_err();
    assert!(error.to_string().contains("was lost"), "{error}");
}
