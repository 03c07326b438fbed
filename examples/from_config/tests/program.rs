//! The program as its user runs it: with the file that it comes with, with the environment above that, and with
//! each of the mistakes that are likely.

#![expect(clippy::unwrap_used, reason = "what cannot go on in a test may end it")]

use std::process::{Command, Output};

use tempfile::TempDir;
use wiremock::matchers::{body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const SHIPPED: &str = include_str!("../clients.toml");

/// The program with these variables and no others, and with this file in place of its own.
struct Program {
    command: Command,
    _folder: TempDir,
}

impl Program {
    fn with(file: &str, variables: &[(&str, &str)], arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clients = folder.path().join("clients.toml");
        std::fs::write(&clients, file).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_from_config"));
        command.env_clear().env("CLIENTS", clients);
        command.envs(variables.iter().copied()).args(arguments);
        Self {
            command,
            _folder: folder,
        }
    }

    async fn run(mut self) -> Output {
        // Beside the server, which lives in this process.
        tokio::task::spawn_blocking(move || self.command.output().unwrap())
            .await
            .unwrap()
    }
}

const SECRET: (&str, &str) = ("LOGIN_SECRET", "s3cr3t");

/// What the program says of this file, which it cannot use.
async fn told(file: &str, variables: &[(&str, &str)]) -> String {
    let output = Program::with(file, variables, &[]).run().await;
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!output.status.success(), "{told}");
    assert_eq!(output.stdout, b"");
    told.trim_end().to_owned()
}

#[tokio::test]
async fn the_file_that_it_comes_with_is_right() {
    let mut program = Program::with("", &[SECRET], &[]);
    program.command.env_remove("CLIENTS");
    let output = program.run().await;
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        "billing calls https://billing.example.com/ with the tokens of `app`\n\
         orders calls https://orders.example.com/v1 with the tokens of `app`\n"
    );
}

#[tokio::test]
async fn the_environment_overrides_the_file_and_both_apis_are_called_with_one_token() {
    let server = MockServer::start().await;
    let token = r#"{ "access_token": "t1", "token_type": "Bearer", "expires_in": 3600 }"#;
    Mock::given(method("POST"))
        .and(path("/token"))
        .and(header("authorization", "Basic ZnJvbS1jb25maWc6czNjcjN0"))
        .and(body_string_contains("scope=orders%3Aread+billing%3Aread"))
        .respond_with(ResponseTemplate::new(200).set_body_raw(token, "application/json"))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(header("authorization", "Bearer t1"))
        .respond_with(ResponseTemplate::new(204))
        .expect(2)
        .mount(&server)
        .await;
    let (url, token_url) = (server.uri(), format!("{}/token", server.uri()));
    let orders = format!("{url}/orders");
    let variables = [
        SECRET,
        ("FROM_CONFIG__APIS__SERVERS__LOGIN__TOKEN_URL", &token_url),
        ("FROM_CONFIG__APIS__SERVERS__LOGIN__ATTEMPT_TIMEOUT", "60"),
        ("FROM_CONFIG__APIS__SERVERS__LOGIN__REQUESTS_AT_ONCE", "2"),
        ("FROM_CONFIG__APIS__CLIENTS__ORDERS__BASE_URL", &orders),
        (
            "FROM_CONFIG__APIS__CLIENTS__ORDERS__OTHER_ORIGINS_WITHOUT_TOKEN",
            "true",
        ),
        ("FROM_CONFIG__APIS__CLIENTS__BILLING__BASE_URL", &url),
    ];
    let output = Program::with(SHIPPED, &variables, &["--call", "open"])
        .run()
        .await;
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!("billing {url}/open: 204 No Content\norders {url}/orders/open: 204 No Content\n")
    );
}

#[tokio::test]
async fn the_likely_mistakes_are_told_with_the_key_and_the_way_out() {
    for (of, instead, message) in [
        (
            "issuer =",
            "isuer =",
            "2 settings are wrong:\n  \
             apis.servers.login.isuer: is no key of this table; did you mean `issuer`?\n  \
             apis.servers.login: give the token URL or the issuer",
        ),
        (
            "{ env = \"LOGIN_SECRET\" }",
            "\"s3cr3t\"",
            "apis.servers.login.client_secret: is a text; a table that says where the secret is found: `{ env = \"NAME\" }`, \
             `{ file = \"/run/secrets/name\" }`, or `{ inline = \"...\" }` if it may stand in the configuration itself is \
             expected",
        ),
        (
            "\"https://orders.example.com/v1\"",
            "\"orders.example.com/v1\"",
            "apis.clients.orders.base_url: a base URL is a URL such as `https://api.example.com/v1`, and this text is none: \
             relative URL without a base",
        ),
        (
            "\"https://orders.example.com/v1\"",
            "\"http://orders.example.com/v1\"",
            "apis.clients.orders.base_url: http://orders.example.com: a token sent by plain http can be read on the way; use \
             https, or say `allow_insecure_http`",
        ),
        (
            "\"https://orders.example.com/v1\"",
            "\"https://${HOST}/v1\"",
            "apis.clients.orders.base_url: has `${` in it, and nothing is filled in here; have it filled in by what reads the \
             configuration, or give a secret by `{ env = \"NAME\" }`",
        ),
        (
            "server = \"login\"",
            "server = \"logon\"",
            "apis.sources.app.server: names none of `servers`: `login`; did you mean `login`?",
        ),
        (
            "timeout = \"20 s\"",
            "timeout = \"twenty\"",
            "apis.clients.orders.timeout: is a text that cannot be read as a duration, such as `\"30 s\"`, `\"5 min\"` or a \
             number of seconds",
        ),
        (
            "origin = \"https://files.example.com\"",
            "origins = [\"https://files.example.com\"]",
            "apis.clients.billing.origins: is no key of this table; did you mean `origin`?",
        ),
    ] {
        assert!(SHIPPED.contains(of), "{of}");
        assert_eq!(
            told(&SHIPPED.replacen(of, instead, 1), &[SECRET]).await,
            message
        );
    }
    assert_eq!(
        told(SHIPPED, &[]).await,
        "apis.servers.login.client_secret.env: no variable of the environment has this name"
    );
    let misspelt = (
        "FROM_CONFIG__APIS__CLIENTS__ORDER__BASE_URL",
        "https://x.example.com",
    );
    assert_eq!(
        told(SHIPPED, &[SECRET, misspelt]).await,
        "apis.clients.order.source: is missing; name one of `sources`: `app`, or give a `server` for a source of its own"
    );
}
