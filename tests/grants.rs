//! Every grant that comes with the crate keeps the contract of `Grant`. A new grant is one test more.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

use std::path::PathBuf;

use reqwest_bearer::{
    ConstantToken, Error, Grant, GrantFn, GrantRequest, RefreshTokenGrant, TokenFile,
    TokenResponse, TokenSource,
};
use reqwest_bearer_testing::{FakeAuthorizationServer, GrantContract};

const SECRET: &str = FakeAuthorizationServer::CLIENT_SECRET;

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

fn of_the_user() -> GrantFn {
    GrantFn::new("function", |_| async {
        Ok(TokenResponse::bearer("s3cr3t-function"))
    })
}

/// A file with a token that no other test uses.
fn file(name: &str) -> PathBuf {
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&file, "s3cr3t-file\n").unwrap();
    file
}

#[tokio::test(flavor = "multi_thread")]
async fn client_credentials_keep_the_contract() {
    // A1, C8, D6
    let server = FakeAuthorizationServer::start().unwrap();
    let endpoint = server.endpoint().unwrap();
    let grant = move || reqwest_bearer::ClientCredentials::new(endpoint.clone());
    let contract = GrantContract::new(grant).shows_none_of([SECRET]);
    contract.server(&server).hold().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_keeps_the_contract() {
    // A1, C8, D6
    let server = FakeAuthorizationServer::start().unwrap();
    let signing_in = server.clone();
    let grant = move || signing_in.refresh_token_grant("alice").unwrap();
    let contract = GrantContract::new(grant).shows_none_of([SECRET]);
    contract.server(&server).hold().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_alone_keeps_the_contract() {
    // A1, C8, D6
    let server = FakeAuthorizationServer::start().unwrap();
    let signing_in = server.clone();
    let grant = move || {
        let set = signing_in.sign_in("alice");
        RefreshTokenGrant::new(signing_in.endpoint().unwrap(), set.refresh_token().unwrap())
    };
    let contract = GrantContract::new(grant).shows_none_of([SECRET]);
    contract.server(&server).hold().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_constant_token_keeps_the_contract() {
    // A1, C8, D6
    let grant = || ConstantToken::new("s3cr3t-constant").unwrap();
    GrantContract::new(grant)
        .shows_none_of([SECRET])
        .hold()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_a_file_keeps_the_contract() {
    // A1, C8, D6
    let file = file("contract");
    let grant = move || TokenFile::new(&file);
    GrantContract::new(grant)
        .shows_none_of([SECRET])
        .hold()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_of_the_user_s_own_keep_the_contract() {
    // A1, C8, D6
    GrantContract::new(of_the_user)
        .shows_none_of([SECRET])
        .hold()
        .await;
    GrantContract::new(|| Own)
        .shows_none_of([SECRET])
        .hold()
        .await;
}

#[tokio::test]
async fn a_source_has_the_name_of_its_grant_and_shows_no_token() {
    // D6
    let server = FakeAuthorizationServer::start().unwrap();
    let constant = ConstantToken::new("s3cr3t-constant").unwrap();
    for (name, source) in [
        (
            "client_credentials",
            TokenSource::from(server.client_credentials().unwrap()),
        ),
        (
            "refresh_token",
            TokenSource::from(server.refresh_token_grant("alice").unwrap()),
        ),
        ("constant", TokenSource::from(constant)),
        (
            "token_file",
            TokenSource::from(TokenFile::new(file("names"))),
        ),
        ("function", TokenSource::from(of_the_user())),
        ("own", TokenSource::from(Own)),
    ] {
        assert_eq!(source.name(), name);
        let token = source.token().await.unwrap();
        let shown = format!("{source:?} {token:?}");
        assert!(
            !shown.contains(token.expose()) && !shown.contains(SECRET),
            "{shown}"
        );
    }
}
