//! D7: a token that is no `b64token` (RFC 6750 section 2.1) is an error, and is never sent.

use reqwest_bearer::{ErrorKind, RefreshTokenGrant, TokenResponse, TokenSet, TokenSource};
use serde_json::json;

use crate::refusal_of;
use crate::support::api::Api;
use crate::support::authorization_server::{Answer, AuthorizationServer};
use crate::support::http_server::Reply;
use crate::support::issuer::Issuer;

const BAD: [&str; 8] = [
    "a\r\nX-Evil: 1",
    "a\n",
    "a b",
    "a,b",
    "tök",
    "a\u{0}",
    "",
    "a=b",
];

#[tokio::test]
async fn a_token_that_could_break_the_header_is_an_error_and_nothing_is_sent() {
    // D7
    for bad in BAD {
        let server = AuthorizationServer::start().await;
        let api = Api::start(&server).await;
        let source = TokenSource::from(server.client_credentials());
        let answer = json!({ "access_token": bad, "token_type": "Bearer", "expires_in": 600 });
        server.then(Answer::Reply(Reply::new(200).json(&answer)));
        let kind = refusal_of(api.client(&source).get("x")).await;
        assert_eq!(kind, ErrorKind::Protocol, "{bad:?}");
        assert_eq!(api.connections(), 0, "{bad:?}");
    }
}

#[tokio::test]
async fn the_token_of_an_own_grant_is_held_to_the_same() {
    // D7
    for bad in BAD {
        let issuer = Issuer::new();
        issuer.then(TokenResponse::bearer(bad));
        let source = TokenSource::from(issuer.grant());
        let error = source.token().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol, "{bad:?}");
    }
}

#[tokio::test]
async fn the_token_that_a_grant_brings_along_is_held_to_the_same() {
    // D7: an error where there can be one, and otherwise as if it had expired.
    let server = AuthorizationServer::start().await;
    for bad in BAD {
        let tokens = TokenSet::new(bad).with_refresh_token("refresh-0");
        let grant = RefreshTokenGrant::from_token_set(server.endpoint(), tokens);
        let built = TokenSource::builder(grant.clone()).build();
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Protocol, "{bad:?}");
        let token = TokenSource::from(grant).token().await.unwrap();
        assert!(token.expose().starts_with("access-"), "{bad:?}");
    }
}
