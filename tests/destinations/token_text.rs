//! D7: a token that a header cannot carry is an error, and every other is sent byte for byte.

use reqwest_bearer::{
    ConstantToken, ErrorKind, RefreshTokenGrant, Subject, TokenFile, TokenResponse, TokenSet,
    TokenSource, UserSessions,
};
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
    "a\tb",
    "tök",
    "a\u{0}",
    "",
    "a\u{7f}",
];

/// As Salesforce, Amazon, eBay, X and Facebook have them.
const UNUSUAL: [&str; 6] = [
    "00Dx0000000EXAM!AR8AQP0j_a.b",
    "Atza|IwEBI-_x",
    "v^1.1#i^1#f^0**",
    "AAAA%2FAAA%3DAAAA",
    "a,b=c\"d",
    "\"a\"",
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
    // D7: an error when the source is built, and of a conversion, which cannot fail, at each call.
    let server = AuthorizationServer::start().await;
    for bad in BAD {
        let tokens = TokenSet::new(bad).with_refresh_token("refresh-0");
        let grant = RefreshTokenGrant::from_token_set(server.endpoint(), tokens);
        let built = TokenSource::builder(grant.clone()).build();
        assert_eq!(built.unwrap_err().kind(), ErrorKind::Protocol, "{bad:?}");
        let converted = TokenSource::from(grant);
        for _ in 0..2 {
            let error = converted.token().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Protocol, "{bad:?}");
        }
    }
}

#[tokio::test]
async fn a_token_is_sent_byte_for_byte_wherever_it_comes_from() {
    // K1, D7
    for (number, token) in UNUSUAL.into_iter().enumerate() {
        let server = AuthorizationServer::start().await;
        let answer = json!({ "access_token": token, "expires_in": 600 });
        server.always(Answer::Reply(Reply::new(200).json(&answer)));
        let issuer = Issuer::new();
        issuer.then(TokenResponse::bearer(token));
        let file = std::env::temp_dir().join(format!("d7-{}-{number}", std::process::id()));
        std::fs::write(&file, format!("{token}\n")).unwrap();
        let set = TokenSet::new(token).with_refresh_token("refresh");
        let stored = RefreshTokenGrant::from_token_set(server.endpoint(), set.clone());
        let users = UserSessions::new(&server.endpoint());
        let alice = Subject::new("alice").unwrap();
        users.sign_in(&alice, set).await.unwrap();
        let sources = [
            TokenSource::from(server.client_credentials()),
            TokenSource::from(issuer.grant()),
            TokenSource::from(ConstantToken::new(token).unwrap()),
            TokenSource::from(TokenFile::new(&file)),
            TokenSource::from(stored),
        ];
        for source in sources {
            let api = Api::that_takes(move |seen| seen == token).await;
            let answer = api.client(&source).get("x").send().await.unwrap();
            assert_eq!(answer.status(), 200, "{token}");
        }
        let api = Api::that_takes(move |seen| seen == token).await;
        let client = api.user_client(&users).for_subject(&alice);
        let answer = client.get("x").send().await.unwrap();
        assert_eq!(answer.status(), 200, "{token}");
        std::fs::remove_file(&file).unwrap();
    }
}
