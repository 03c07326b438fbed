//! The answers that real servers give, and those that no server should.

use std::time::Duration;

use reqwest_bearer::{
    ClientAuthentication, Error, ErrorKind, TestClock, TokenEndpoint, TokenParameters, TokenSet,
};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::{public_client, received, request, server_with, token};

async fn answered(answer: ResponseTemplate) -> Result<TokenSet, Error> {
    let server = server_with(answer).await;
    let clock = TestClock::new();
    let response = public_client(&server).request_token(request()).await?;
    Ok(TokenSet::from_response(response, clock.system_time()))
}

/// A server that sends these bytes to everyone who asks, and hangs up.
async fn raw_server(answer: &'static [u8]) -> TokenEndpoint {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = socket.read(&mut request).await;
            let _ = socket.write_all(answer).await;
        }
    });
    let url = format!("http://{address}/token?canary=1");
    TokenEndpoint::new(url, ClientAuthentication::none("me")).expect("settings")
}

#[tokio::test]
async fn a_token_request_is_a_form_that_asks_for_json() {
    // E5
    let server = server_with(token("t")).await;
    let parameters = TokenParameters::new()
        .scope("b a")
        .resource("https://api.example.com/")
        .audience("orders")
        .extra("tenant", "x&y");
    let request = request().parameters(&parameters);
    public_client(&server)
        .request_token(request)
        .await
        .expect("a token");
    let sent = received(&server).await.remove(0);
    assert_eq!(sent.headers["accept"], "application/json");
    assert_eq!(
        sent.headers["content-type"],
        "application/x-www-form-urlencoded"
    );
    assert_eq!(
        String::from_utf8_lossy(&sent.body),
        "grant_type=g&scope=b+a&resource=https%3A%2F%2Fapi.example.com%2F&audience=orders\
         &tenant=x%26y&client_id=me"
    );
}

#[tokio::test]
async fn a_token_set_has_all_that_the_answer_brought() {
    // E5, B8
    let answer = ResponseTemplate::new(200).set_body_json(json!({
        "access_token": "a", "token_type": "bearer", "expires_in": "299", "refresh_token": "r",
        "id_token": "i", "scope": "x y", "created_at": 7,
    }));
    let tokens = answered(answer).await.expect("a token");
    let now = TestClock::new().system_time();
    assert_eq!(tokens.access_token().map(|token| token.expose()), Some("a"));
    assert_eq!(
        tokens.refresh_token().map(|token| token.expose()),
        Some("r")
    );
    assert_eq!(tokens.id_token().map(|token| token.expose()), Some("i"));
    assert_eq!(tokens.scope(), Some("x y"));
    assert_eq!(tokens.issued_at(), Some(now));
    assert_eq!(tokens.expires_at(), Some(now + Duration::from_secs(299)));
    assert_eq!(tokens.member("created_at"), Some(&json!(7)));
    assert_eq!(tokens.member("access_token"), None);
}

#[tokio::test]
async fn the_refusals_of_real_servers_are_understood() {
    // E5, E8, IDPS.md
    use ErrorKind::{Protocol, Rejected, SignInRequired, Unavailable};
    let bare = ResponseTemplate::new;
    let error = |status, code: &str| {
        bare(status).set_body_json(json!({
            "error": code, "error_description": "canary: SELECT * FROM tokens",
        }))
    };
    let labelled = |status, body: &str, label: &str| bare(status).set_body_raw(body, label);
    for (answer, kind, code) in [
        (
            error(400, "invalid_grant"),
            SignInRequired,
            Some("invalid_grant"),
        ),
        (
            error(400, "invalid_client"),
            Rejected,
            Some("invalid_client"),
        ),
        (
            error(401, "invalid_client"),
            Rejected,
            Some("invalid_client"),
        ),
        (error(400, "invalid_scope"), Rejected, Some("invalid_scope")),
        (error(400, "scope_invalid"), Rejected, None),
        (
            error(200, "invalid_grant"),
            SignInRequired,
            Some("invalid_grant"),
        ),
        (error(500, "invalid_grant"), Unavailable, None),
        // glewlwyd: a dead refresh token.
        (bare(400), Rejected, None),
        // Wrong credentials.
        (
            bare(401).insert_header("www-authenticate", "Basic"),
            Rejected,
            None,
        ),
        (
            bare(401).insert_header("www-authenticate", "Bearer"),
            Rejected,
            None,
        ),
        (bare(403), Rejected, None),
        // A path without its trailing slash, and what proxies say.
        (labelled(404, "canary", "text/plain"), Protocol, None),
        (labelled(400, "<html>canary", "text/html"), Protocol, None),
        (labelled(200, "<html>canary", "text/html"), Protocol, None),
        (
            labelled(422, r#"{"title":"canary"}"#, "application/problem+json"),
            Protocol,
            None,
        ),
        (
            labelled(503, "<html>canary", "text/html"),
            Unavailable,
            None,
        ),
        (
            bare(429).insert_header("retry-after", "1"),
            Unavailable,
            None,
        ),
    ] {
        let error = answered(answer).await.expect_err("no token");
        assert_eq!(
            (error.kind(), error.oauth_code()),
            (kind, code),
            "{error:?}"
        );
        assert!(
            !format!("{error} {error:?}").contains("canary"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn no_redirect_is_followed() {
    // D5
    let elsewhere = MockServer::start().await;
    Mock::given(any())
        .respond_with(token("t"))
        .mount(&elsewhere)
        .await;
    for status in [301, 302, 303, 307, 308] {
        let redirect = ResponseTemplate::new(status).insert_header("location", elsewhere.uri());
        let server = server_with(redirect).await;
        // Neither by default nor with a client whose owner would follow.
        let follows = reqwest::Client::builder().redirect(reqwest::redirect::Policy::limited(9));
        let own = TokenEndpoint::builder(ClientAuthentication::client_secret_post("me", "s"))
            .token_url(format!("{}/token", server.uri()))
            .http(follows)
            .build()
            .expect("settings");
        for endpoint in [public_client(&server), own] {
            let error = endpoint
                .request_token(request())
                .await
                .expect_err("a redirect");
            assert_eq!(error.kind(), ErrorKind::Protocol);
            assert!(error.to_string().contains(&status.to_string()), "{error}");
        }
    }
    assert!(received(&elsewhere).await.is_empty());
}

#[tokio::test]
async fn an_answer_of_1_mib_is_read_and_a_larger_one_is_not() {
    // E5
    let of_size = |size: usize| {
        let mut body = r#"{"access_token":"t"}"#.to_owned();
        body.push_str(&" ".repeat(size - body.len()));
        ResponseTemplate::new(200).set_body_raw(body, "application/json")
    };
    let limit = 1024 * 1024;
    assert!(answered(of_size(limit)).await.is_ok());
    let error = answered(of_size(limit + 1)).await.expect_err("too large");
    assert_eq!(error.kind(), ErrorKind::Protocol);
    assert!(error.to_string().contains("larger than 1 MiB"), "{error}");
}

#[tokio::test]
async fn a_long_token_and_scope_are_no_problem() {
    // E5
    let long = "x".repeat(100_000);
    let answer =
        ResponseTemplate::new(200).set_body_json(json!({"access_token": long, "scope": long}));
    let tokens = answered(answer).await.expect("a token");
    assert_eq!(tokens.scope(), Some(long.as_str()));
}

#[tokio::test]
async fn an_answer_that_is_cut_is_a_failure_and_never_a_token() {
    // E3
    for answer in [
        &b""[..],
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"access_token\":\"canary\"}",
        b"HTTP/1.1 400 Bad Request\r\ncontent-length: 100\r\n\r\n{\"error\":\"invalid_grant\"}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"acc",
    ] {
        let endpoint = raw_server(answer).await;
        let error = endpoint
            .request_token(request())
            .await
            .expect_err("no answer");
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error:?}");
        assert!(error.is_transient() && error.oauth_code().is_none());
        assert!(
            !format!("{error} {error:?}").contains("canary"),
            "{error:?}"
        );
    }
}

#[tokio::test]
async fn a_refusal_is_understood_whatever_encoding_its_description_is_in() {
    // E5: a server that translates its descriptions into Latin-1.
    let body = b"{\"error\":\"invalid_grant\",\"error_description\":\"expir\xe9\"}";
    let answer = ResponseTemplate::new(400).set_body_bytes(&body[..]);
    let error = answered(answer).await.expect_err("refused");
    assert_eq!(error.kind(), ErrorKind::SignInRequired);
    assert_eq!(error.oauth_code(), Some("invalid_grant"));
}

#[tokio::test]
async fn a_cut_503_is_still_a_503() {
    // E3
    let endpoint = raw_server(b"HTTP/1.1 503 X\r\ncontent-length: 9\r\n\r\n{").await;
    let error = endpoint
        .request_token(request())
        .await
        .expect_err("no token");
    assert!(error.to_string().contains("(status 503)"), "{error}");
}

#[tokio::test]
async fn something_that_is_not_http_is_a_failure() {
    // E5
    let endpoint = raw_server(b"SSH-2.0-canary\r\n").await;
    let error = endpoint
        .request_token(request())
        .await
        .expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        !format!("{error} {error:?}").contains("canary"),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up() {
    // E2
    let server = server_with(token("t").set_delay(Duration::from_secs(2))).await;
    let endpoint = TokenEndpoint::builder(ClientAuthentication::none("me"))
        .token_url(format!("{}/token", server.uri()))
        .attempt_timeout(Duration::from_millis(50))
        .build()
        .expect("settings");
    let error = endpoint
        .request_token(request())
        .await
        .expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    // E3, D6
    // Kept, so that no other test gets the port meanwhile; where nobody listens, nobody answers.
    let silent = TcpSocket::new_v4().expect("a socket");
    silent.bind(([127, 0, 0, 1], 0).into()).expect("a port");
    let address = silent.local_addr().expect("an address");
    let url = format!("http://{address}/token?canary=1");
    let endpoint = TokenEndpoint::new(url, ClientAuthentication::none("me")).expect("settings");
    let error = endpoint
        .request_token(request())
        .await
        .expect_err("nobody there");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(
        !format!("{error} {error:?}").contains("canary"),
        "{error:?}"
    );
}

#[cfg(not(any(feature = "rustls", feature = "native-tls")))]
#[tokio::test]
async fn a_missing_tls_feature_is_named() {
    // E8
    let url = "https://127.0.0.1:9/token";
    let endpoint = TokenEndpoint::new(url, ClientAuthentication::none("me")).expect("settings");
    let error = endpoint.request_token(request()).await.expect_err("no TLS");
    assert_eq!(error.kind(), ErrorKind::Settings);
    assert!(
        error.to_string().contains("`rustls` or `native-tls`"),
        "{error}"
    );
}
