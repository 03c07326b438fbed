//! What holds for every grant that comes with the crate. A new grant is one line in [`all`].

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

mod support;

use std::path::PathBuf;

use reqwest_bearer::{
    ConstantToken, Error, Grant, GrantFn, GrantRequest, RefreshTokenGrant, TokenFile,
    TokenResponse, TokenSet, TokenSource,
};
use support::api::Api;
use support::authorization_server::AuthorizationServer;

/// A grant of the user's own, as a type.
#[derive(Debug)]
struct Own;

impl Grant for Own {
    fn name(&self) -> &str {
        "own"
    }

    async fn obtain(&self, _request: GrantRequest) -> Result<TokenResponse, Error> {
        Ok(TokenResponse::bearer("s3cr3t-own"))
    }
}

/// Every grant as a source, with what it is called and what its `Debug` says.
fn all(server: &AuthorizationServer, file: PathBuf) -> Vec<(&'static str, String, TokenSource)> {
    std::fs::write(&file, "s3cr3t-file\n").unwrap();
    let set = TokenSet::new("s3cr3t-set").with_refresh_token("refresh-0");
    let function = GrantFn::new("function", |_| async {
        Ok(TokenResponse::bearer("s3cr3t-function"))
    });
    let from_set = RefreshTokenGrant::from_token_set(server.endpoint(), set);
    vec![
        entry("client_credentials", server.client_credentials()),
        entry("refresh_token", server.refresh_token_grant()),
        entry("refresh_token", from_set),
        entry("constant", ConstantToken::new("s3cr3t-constant").unwrap()),
        entry("token_file", TokenFile::new(file)),
        entry("function", function),
        entry("own", Own),
    ]
}

fn entry<G: Grant + std::fmt::Debug>(
    name: &'static str,
    grant: G,
) -> (&'static str, String, TokenSource) {
    let shown = format!("{grant:?} {grant:#?}");
    (name, shown, TokenSource::from(grant))
}

fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name)
}

#[tokio::test]
async fn every_grant_has_its_name_and_shows_no_secret() {
    // D6
    let server = AuthorizationServer::start().await;
    for (name, shown, source) in all(&server, file("names")) {
        assert_eq!(source.name(), name);
        source.token().await.unwrap();
        let shown = format!("{shown} {source:?} {:?}", source.token().await.unwrap());
        for secret in ["s3cr3t", "refresh-0", "access-", "\"secret\""] {
            assert!(!shown.contains(secret), "{name} shows {secret}: {shown}");
        }
    }
}

#[tokio::test]
async fn a_hundred_calls_of_every_grant_carry_one_token() {
    // A1
    let server = AuthorizationServer::start().await;
    for (name, _, source) in all(&server, file("calls")) {
        let api = Api::that_takes(|_| true).await;
        let before = server.token_requests();
        let client = api.client(source);
        let calls: Vec<_> = (0..100)
            .map(|_| tokio::spawn(client.get("x").send()))
            .collect();
        for call in calls {
            assert_eq!(call.await.unwrap().unwrap().status(), 200, "{name}");
        }
        let mut tokens = api.tokens();
        tokens.dedup();
        assert_eq!(tokens.len(), 1, "{name}");
        assert!(server.token_requests() - before <= 1, "{name}");
    }
}

#[tokio::test]
async fn a_refused_token_of_any_grant_ends_in_another_one_or_in_the_api_s_own_answer() {
    // C8: never a request without a token, and never an error of ours instead.
    let server = AuthorizationServer::start().await;
    for (name, _, source) in all(&server, file("refused")) {
        let api = Api::that_takes(|_| false).await;
        let response = api.client(source).get("x").send().await.unwrap();
        assert_eq!(response.status(), 401, "{name}");
        let sent = api.tokens();
        let explained = response.extensions().get::<Error>().is_some();
        match sent.as_slice() {
            [_] => assert!(explained, "{name} does not say why"),
            [first, second] => assert_ne!(first, second, "{name}"),
            more => panic!("{name}: {} requests", more.len()),
        }
    }
}
