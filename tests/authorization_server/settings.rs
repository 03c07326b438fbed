//! Wrong settings are found when they are made, and the message says how to mend them.

use std::time::Duration;

use reqwest_bearer::{
    ClientAuthentication, ErrorKind, TokenEndpoint, TokenEndpointBuilder, TokenKind,
};
use wiremock::matchers::path;
use wiremock::{Mock, ResponseTemplate};

use crate::{received, request, server_with, token};

fn builder() -> TokenEndpointBuilder {
    TokenEndpoint::builder(ClientAuthentication::client_secret_basic("me", "s"))
}

#[test]
fn a_wrong_setting_is_named() {
    // E8, D2
    let with = |authentication| TokenEndpoint::builder(authentication).token_url("https://a.b/t");
    let url = |url: &str| builder().token_url(url);
    for (builder, said) in [
        (builder(), "give the token URL or the issuer"),
        (
            builder().discovery_url("https://a.b/d"),
            "`unchecked_issuer`",
        ),
        (
            builder().discovery_url("http://a.b/d?canary").issuer("x"),
            "the discovery URL is neither https nor loopback",
        ),
        (
            builder().discovery_url("https://a.b/d").issuer(""),
            "the issuer is empty",
        ),
        (
            builder().discovery_url("https://a.b/d").issuer("a b"),
            "white space",
        ),
        (
            url("https://a.b/t").unchecked_issuer(),
            "`unchecked_issuer` needs",
        ),
        (url("https://a.b/t").namespace(""), "`namespace`"),
        (url("https://a.b/t").namespace("a b"), "`namespace`"),
        (url(""), "the token URL is not an absolute URL"),
        (url("a.b/t"), "the token URL is not an absolute URL"),
        (
            url("ftp://a.b/t"),
            "the token URL is neither https nor http",
        ),
        (url("http://a.b/t"), "`allow_insecure_http`"),
        (url("https://canary:canary@a.b/t"), "user name or password"),
        (url("https://a.b/t#canary"), "fragment"),
        (
            builder().issuer("http://a.b"),
            "the issuer is neither https nor loopback",
        ),
        (
            builder().issuer("https://a.b?canary"),
            "the issuer has a query",
        ),
        (
            url("https://a.b/t").revocation_url("http://a.b/r"),
            "the revocation URL",
        ),
        (
            url("https://a.b/t").requests_at_once(0),
            "`requests_at_once`",
        ),
        (
            url("https://a.b/t").attempt_timeout(Duration::ZERO),
            "`attempt_timeout`",
        ),
        (
            with(ClientAuthentication::none("")),
            "the client id is empty",
        ),
        (
            with(ClientAuthentication::client_secret_basic("me", "")),
            "secret or assertion is empty",
        ),
        (
            with(ClientAuthentication::client_secret_basic_raw("me", "")),
            "is empty",
        ),
        (
            with(ClientAuthentication::client_secret_post("me", "")),
            "is empty",
        ),
        (
            with(ClientAuthentication::client_assertion("me", "")),
            "is empty",
        ),
        (
            with(ClientAuthentication::client_secret_basic_raw("a:b", "s")),
            "colon",
        ),
    ] {
        let error = builder.build().expect_err(said);
        assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
        assert!(error.to_string().contains(said), "{error}");
        assert!(!format!("{error:?}").contains("canary"), "{error:?}");
    }
}

#[test]
fn a_client_id_or_a_secret_with_a_control_character_is_refused_when_it_is_given() {
    // E8, D6, K18
    const BREAK: &str = "ends with a line break";
    const CONTROL: &str = "a control character in it";
    for (text, said) in [
        ("canary\n", BREAK),
        ("canary\r\n", BREAK),
        ("canary\r", BREAK),
        ("canary \n\n", BREAK),
        ("\n", BREAK),
        ("canary\0", CONTROL),
        ("canary\t", CONTROL),
        ("\ncanary", CONTROL),
        ("can\nary", CONTROL),
        ("can\u{1b}ary\n", CONTROL),
        ("canary\u{7f}", CONTROL),
        ("canary\u{85}", CONTROL),
    ] {
        for (authentication, what) in [
            (ClientAuthentication::none(text), "the client id"),
            (
                ClientAuthentication::client_secret_basic(text, "s"),
                "the client id",
            ),
            (
                ClientAuthentication::client_secret_basic("me", text),
                "the client secret",
            ),
            (
                ClientAuthentication::client_secret_basic_raw("me", text),
                "the client secret",
            ),
            (
                ClientAuthentication::client_secret_post("me", text),
                "the client secret",
            ),
            (
                ClientAuthentication::client_assertion("me", text),
                "the client assertion",
            ),
        ] {
            let error = TokenEndpoint::new("https://a.b/t", authentication).expect_err(said);
            assert_eq!(error.kind(), ErrorKind::Settings, "{error}");
            let message = error.to_string();
            assert!(message.contains(said), "{text:?}: {message}");
            assert!(message.contains(what), "{text:?}: {message}");
            assert!(!format!("{error:?}").contains("ary"), "{error:?}");
        }
    }
    // What many a generated secret has in it, and what no rule forbids.
    for text in [
        " ",
        " s ",
        "\u{a0}",
        "~!@#$%^&*()_+`-={}|[]\\:;'<>?,./\"",
        "ü",
    ] {
        let authentication = ClientAuthentication::client_secret_basic(text, text);
        assert!(TokenEndpoint::new("https://a.b/t", authentication).is_ok());
    }
}

/// What the token endpoint and the discovery see as `User-Agent`, by the settings of the HTTP client.
async fn user_agents(http: Option<reqwest::ClientBuilder>) -> [Option<String>; 3] {
    let server = server_with(token("t")).await;
    let document = serde_json::json!({
        "issuer": server.uri(),
        "token_endpoint": format!("{}/token", server.uri()),
        "revocation_endpoint": format!("{}/revoke", server.uri()),
    });
    for place in ["/.well-known/openid-configuration", "/revoke"] {
        Mock::given(path(place))
            .respond_with(ResponseTemplate::new(200).set_body_json(&document))
            .mount(&server)
            .await;
    }
    let mut builder = builder().issuer(server.uri());
    if let Some(http) = http {
        builder = builder.http(http);
    }
    let endpoint = builder.build().expect("settings");
    endpoint.request_token(request()).await.expect("a token");
    let revoked = endpoint.revoke("t", TokenKind::AccessToken).await;
    revoked.expect("it is gone");
    let sent: Vec<_> = received(&server)
        .await
        .into_iter()
        .map(|request| {
            let agent = request.headers.get("user-agent")?;
            Some(agent.to_str().expect("ASCII").to_owned())
        })
        .collect();
    sent.try_into().expect("three requests")
}

#[tokio::test]
async fn the_authorization_server_sees_a_user_agent_and_a_builder_s_own_wins() {
    // E1, K22
    let ours = format!("reqwest-bearer/{}", env!("CARGO_PKG_VERSION"));
    let http = reqwest::Client::builder;
    let headers = |name: &'static str, value: &'static str| {
        reqwest::header::HeaderMap::from_iter([(
            reqwest::header::HeaderName::from_static(name),
            reqwest::header::HeaderValue::from_static(value),
        )])
    };
    let mut secret = headers("user-agent", "mine/2");
    for value in secret.values_mut() {
        value.set_sensitive(true);
    }
    let many = (0..50).fold(http().user_agent("mine/3"), |http, number| {
        let name = reqwest::header::HeaderName::try_from(format!("x-{number}")).expect("a name");
        let value = reqwest::header::HeaderValue::from_static("some text of usual length");
        http.default_headers(reqwest::header::HeaderMap::from_iter([(name, value)]))
    });
    for (builder, expected) in [
        (None, ours.as_str()),
        (Some(http()), &ours),
        (Some(http().timeout(Duration::from_secs(9))), &ours),
        (
            Some(http().default_headers(headers("x-key", r#"mine\", "user-agent": "x"#))),
            &ours,
        ),
        (
            Some(http().default_headers(headers("accept", "text/plain"))),
            &ours,
        ),
        (Some(http().user_agent("mine/1")), "mine/1"),
        (Some(http().user_agent("")), ""),
        (
            Some(http().default_headers(headers("user-agent", "mine/1"))),
            "mine/1",
        ),
        (Some(http().default_headers(secret)), "mine/2"),
        (Some(many), "mine/3"),
        (
            Some(
                http()
                    .default_headers(headers("x-key", "a\\"))
                    .user_agent("mine/4"),
            ),
            "mine/4",
        ),
    ] {
        let shown = format!("{builder:?}");
        let expected = Some(expected.to_owned());
        assert_eq!(
            user_agents(builder).await,
            [expected.clone(), expected.clone(), expected],
            "{shown}"
        );
    }
}

#[test]
fn plain_http_can_be_allowed_by_name() {
    // D2
    let allowed = builder()
        .token_url("http://a.b/t")
        .revocation_url("http://a.b/r");
    assert!(allowed.allow_insecure_http().build().is_ok());
    assert!(
        builder()
            .issuer("http://a.b")
            .allow_insecure_http()
            .build()
            .is_ok()
    );
    assert!(builder().token_url("http://localhost:1/t").build().is_ok());
}

#[test]
fn no_setting_shows_a_secret() {
    // D6
    let authentication = ClientAuthentication::client_secret_post("me", "canary");
    let mut headers = reqwest::header::HeaderMap::new();
    headers.insert(
        "x-api-key",
        reqwest::header::HeaderValue::from_static("canary"),
    );
    let builder = TokenEndpoint::builder(authentication)
        .http(reqwest::Client::builder().default_headers(headers))
        .token_url("https://a.b/t?code=canary");
    let shown = format!("{builder:?} {builder:#?}");
    let endpoint = builder.build().expect("settings");
    let shown = format!("{shown} {endpoint:?} {endpoint:#?}");
    assert!(!shown.contains("canary"), "{shown}");
    assert!(
        shown.contains("https://a.b/t") && shown.contains("me"),
        "{shown}"
    );
}
