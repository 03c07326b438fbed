//! What is never sent: settings that cannot work, and what the server's document does not list.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use reqwest_bearer::{
    ClientAuthentication, Error, ErrorKind, RefreshTokenGrant, Signer, SigningAlgorithm,
    SigningKey, SigningKeySource, TestClock, TokenEndpoint, TokenKind, TokenRequest, TokenSource,
};
use serde_json::{Value, json};

use crate::pem;
use crate::support::http_server::{HttpServer, Reply};
use crate::support::while_time_passes;

fn key() -> SigningKey {
    SigningKey::from_pem(pem!("p256_pkcs8")).unwrap()
}

fn client() -> ClientAuthentication {
    ClientAuthentication::private_key_jwt("me", key())
}

fn secret_client() -> ClientAuthentication {
    ClientAuthentication::client_secret_jwt("me", "canary".repeat(8))
}

/// A server whose document has these members besides, and that gives a token to whoever asks.
async fn server(lists: Value) -> HttpServer {
    HttpServer::start(move |request| {
        let own = format!("http://{}", request.headers["host"].to_str().unwrap());
        let mut document = lists.clone();
        document["issuer"] = json!(own);
        document["token_endpoint"] = json!(format!("{own}/token"));
        let reply = match request.path.as_str() {
            "/.well-known/openid-configuration" => Reply::new(200).json(&document),
            _ => Reply::new(200).json(&json!({"access_token": "t", "token_type": "Bearer"})),
        };
        std::future::ready(Some(reply))
    })
    .await
}

async fn asked(endpoint: &TokenEndpoint) -> Result<(), Error> {
    let request = TokenRequest::new("client_credentials");
    endpoint.request_token(request).await.map(drop)
}

const METHODS: &str = "token_endpoint_auth_methods_supported";
const ALGORITHMS: &str = "token_endpoint_auth_signing_alg_values_supported";

#[tokio::test]
async fn what_the_document_does_not_list_is_not_sent_and_nothing_else_is_tried() {
    // H1, H8
    for (lists, client, expected) in [
        (
            json!({METHODS: ["client_secret_basic", "canary", "none"]}),
            client(),
            "does not list `private_key_jwt` for its token endpoint, but `none`, `client_secret_basic`;",
        ),
        (
            json!({METHODS: ["private_key_jwt"]}),
            secret_client(),
            "does not list `client_secret_jwt` for its token endpoint, but `private_key_jwt`;",
        ),
        (
            json!({METHODS: ["private_key_jwt"], ALGORITHMS: ["RS256", "PS256", "canary"]}),
            client(),
            "does not list `ES256` for its token endpoint, but `RS256`, `PS256`;",
        ),
        (
            json!({ALGORITHMS: ["canary"]}),
            secret_client(),
            "does not list `HS256` for its token endpoint, but others that are not known here;",
        ),
    ] {
        let server = server(lists).await;
        let endpoint = TokenEndpoint::discover(server.url(), client).unwrap();
        let error = asked(&endpoint).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings);
        let said = error.to_string();
        assert!(said.contains(expected), "{said}");
        assert!(!format!("{said} {error:?}").contains("canary"));
        // For the document, and for nothing else.
        assert_eq!(server.connections(), 1);
    }
}

#[tokio::test]
async fn a_document_that_lists_nothing_or_all_of_it_stands_in_no_way() {
    // H1
    for lists in [
        json!({}),
        json!({METHODS: [], ALGORITHMS: "ES256"}),
        json!({METHODS: ["private_key_jwt", "none"], ALGORITHMS: ["RS256", "ES256"]}),
    ] {
        let server = server(lists).await;
        let endpoint = TokenEndpoint::discover(server.url(), client()).unwrap();
        asked(&endpoint).await.unwrap();
    }
    // Whoever gives the token URL knows better than the document.
    let server = server(json!({METHODS: ["none"]})).await;
    let url = format!("{}/token", server.url());
    let endpoint = TokenEndpoint::builder(client()).token_url(url);
    let endpoint = endpoint.issuer(server.url()).build().unwrap();
    asked(&endpoint).await.unwrap();
}

#[tokio::test]
async fn settings_that_cannot_work_are_told_when_they_are_given() {
    // H1, H2
    let basic = || ClientAuthentication::client_secret_basic("me", "s3cr3t");
    let platform = || ClientAuthentication::client_assertion("me", "a.b.c");
    for (client, expected) in [
        (
            ClientAuthentication::client_secret_jwt("me", "canary"),
            "shorter than the 32 bytes",
        ),
        (
            ClientAuthentication::client_secret_jwt("me", ""),
            "is empty",
        ),
        (
            client().assertion_audience(""),
            "`assertion_audience` is empty",
        ),
        (
            basic().assertion_audience("a"),
            "`assertion_audience` is for assertions",
        ),
        (
            platform().endpoint_as_audience(),
            "`endpoint_as_audience` is for assertions",
        ),
        (
            basic().plain_assertion_type(),
            "`plain_assertion_type` is for",
        ),
        (
            platform().certificate_chain(),
            "`certificate_chain` is for `private_key_jwt`",
        ),
        (
            secret_client().sha1_certificate_thumbprint(),
            "`sha1_certificate_thumbprint` is for `private_key_jwt`",
        ),
        (
            ClientAuthentication::private_key_jwt("", key()),
            "the client id is empty",
        ),
    ] {
        let error = TokenEndpoint::new("https://as.test/token", client).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Settings);
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn what_no_key_can_do_is_told_before_anything_is_sent() {
    // H1, H2
    struct Broken;

    impl Signer for Broken {
        fn algorithm(&self) -> SigningAlgorithm {
            SigningAlgorithm::Es256
        }

        async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
            Err(Error::rejected("the KMS does not know this key"))
        }
    }

    let server = server(json!({})).await;
    let url = format!("{}/token", server.url());
    let vault = || SigningKeySource::from_fn(|| async { Err::<SigningKey, _>(std::fmt::Error) });
    for (client, kind, expected) in [
        (
            client().certificate_chain(),
            ErrorKind::Settings,
            "this one has none",
        ),
        (
            ClientAuthentication::private_key_jwt("me", Broken),
            ErrorKind::Rejected,
            "the KMS does not know this key",
        ),
        (
            ClientAuthentication::private_key_jwt("me", vault()),
            ErrorKind::Unavailable,
            "the signing key cannot be read",
        ),
    ] {
        let endpoint = TokenEndpoint::new(&url, client).unwrap();
        let error = asked(&endpoint).await.unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.to_string().contains(expected), "{error}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_signer_that_hangs_or_panics_has_sent_nothing_and_is_left_in_time() {
    // H2
    struct Hangs;

    impl Signer for Hangs {
        fn algorithm(&self) -> SigningAlgorithm {
            SigningAlgorithm::Es256
        }

        async fn sign(&self, _: &[u8]) -> Result<Vec<u8>, Error> {
            std::future::pending().await
        }
    }

    /// The first so many times; then it signs.
    struct Panics(AtomicUsize);

    impl Signer for Panics {
        fn algorithm(&self) -> SigningAlgorithm {
            SigningAlgorithm::Es256
        }

        async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
            let left = self
                .0
                .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
            assert!(left.is_err(), "canary");
            key().sign(message).await
        }
    }

    let (server, clock) = (server(json!({})).await, TestClock::new());
    let url = format!("{}/token", server.url());
    let endpoint = |client| {
        let builder = TokenEndpoint::builder(client).token_url(&url);
        builder.revocation_url(&url).clock(&clock).build().unwrap()
    };
    let hangs = endpoint(ClientAuthentication::private_key_jwt("me", Hangs));
    let panics = endpoint(ClientAuthentication::private_key_jwt(
        "me",
        Panics(1.into()),
    ));
    let error = while_time_passes(&clock, asked(&hangs)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let revoked = hangs.revoke("t", TokenKind::RefreshToken);
    let error = while_time_passes(&clock, revoked).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    let error = asked(&panics).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert!(!format!("{error} {error:?}").contains("canary"));
    assert_eq!(server.connections(), 0);

    // A refresh token that was never sent is not lost: it is sent once the key signs.
    let later = endpoint(ClientAuthentication::private_key_jwt(
        "me",
        Panics(1.into()),
    ));
    let source = TokenSource::builder(RefreshTokenGrant::new(later, "refresh"));
    let source = source.clock(&clock).build().unwrap();
    let error = source.token().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Panicked);
    assert_eq!(server.connections(), 0);
    clock.advance(Duration::from_secs(60));
    source.token().await.unwrap();
    assert_eq!(server.connections(), 1);
}
