//! The clients are the same, whichever format they stand in and whatever reads it.

#![expect(clippy::unwrap_used, reason = "what cannot go on in a test may end it")]

use config::{Config, File, FileFormat, Source};
use figment::Figment;
use figment::providers::{Env, Format, Toml};
use reqwest_bearer::{NamedClients, NamedClientsConfig};

const TOML: &str = r#"
    [servers.login]
    issuer = "https://login.example.com"
    client_id = "me"
    client_secret = { inline = "s3cr3t" }
    requests_at_once = 4
    json_requests = true

    [clients.orders]
    base_url = "https://orders.example.com"
    server = "login"
    scope = ["a", "b"]
    refresh_before_expiry = { of_lifetime = 0.1, at_most = 60 }
"#;

const YAML: &str = r#"
servers:
  login:
    issuer: https://login.example.com
    client_id: me
    client_secret: { inline: s3cr3t }
    requests_at_once: 4
    json_requests: true
    token_url: ~
clients:
  orders:
    base_url: https://orders.example.com
    server: login
    scope: [a, b]
    refresh_before_expiry: { of_lifetime: 0.1, at_most: 60 }
"#;

const JSON: &str = r#"{
    "servers": { "login": {
        "issuer": "https://login.example.com", "client_id": "me", "client_secret": { "inline": "s3cr3t" },
        "requests_at_once": 4, "json_requests": true
    } },
    "clients": { "orders": {
        "base_url": "https://orders.example.com", "server": "login", "scope": ["a", "b"],
        "refresh_before_expiry": { "of_lifetime": 0.1, "at_most": 60 }
    } }
}"#;

fn built(config: NamedClientsConfig) -> NamedClients {
    let apis = config.build().unwrap();
    assert_eq!(
        apis.get("orders").unwrap().base_url().as_str(),
        "https://orders.example.com/"
    );
    apis
}

fn told(config: NamedClientsConfig) -> String {
    config.build().unwrap_err().to_string()
}

/// Variables of the environment, without those of the process that runs the test.
fn environment(variables: &[(&str, &str)]) -> config::Environment {
    let variables = variables
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    config::Environment::with_prefix("APP")
        .prefix_separator("__")
        .separator("__")
        .source(Some(variables.collect()))
}

fn read(sources: Vec<Box<dyn Source + Send + Sync>>) -> NamedClientsConfig {
    let config = Config::builder().add_source(sources).build().unwrap();
    config.try_deserialize().unwrap()
}

#[test]
fn toml_and_yaml_say_the_same_by_config() {
    for (text, format) in [(TOML, FileFormat::Toml), (YAML, FileFormat::Yaml)] {
        built(read(vec![Box::new(File::from_str(text, format))]));
    }
    // JSON is YAML, too.
    built(read(vec![Box::new(File::from_str(JSON, FileFormat::Yaml))]));
}

#[test]
fn everything_can_come_from_the_environment_where_all_values_are_texts() {
    let variables = [
        ("APP__SERVERS__LOGIN__ISSUER", "https://login.example.com"),
        ("APP__SERVERS__LOGIN__CLIENT_ID", "me"),
        ("APP__SERVERS__LOGIN__CLIENT_SECRET__INLINE", "0123"),
        ("APP__SERVERS__LOGIN__REQUESTS_AT_ONCE", "4"),
        ("APP__SERVERS__LOGIN__JSON_REQUESTS", "true"),
        ("APP__SERVERS__LOGIN__ATTEMPT_TIMEOUT", "2.5"),
        (
            "APP__CLIENTS__ORDERS__BASE_URL",
            "https://orders.example.com",
        ),
        ("APP__CLIENTS__ORDERS__SERVER", "login"),
        ("APP__CLIENTS__ORDERS__SCOPE", "a b"),
        (
            "APP__CLIENTS__ORDERS__REFRESH_BEFORE_EXPIRY__OF_LIFETIME",
            "0.1",
        ),
        (
            "APP__CLIENTS__ORDERS__REFRESH_BEFORE_EXPIRY__AT_MOST",
            "1 min",
        ),
    ];
    built(read(vec![Box::new(environment(&variables))]));
    let wrong = [("APP__CLIENTS__ORDERS__TIMEOUT", "soon")];
    let config = read(vec![
        Box::new(environment(&variables)),
        Box::new(environment(&wrong)),
    ]);
    assert!(
        told(config)
            .starts_with("clients.orders.timeout: is a text that cannot be read as a duration")
    );
}

#[test]
fn figment_reads_the_same_and_what_it_takes_for_a_number_is_no_text() {
    let read = |figment: Figment| figment.extract::<NamedClientsConfig>().unwrap();
    built(read(Figment::new().merge(Toml::string(TOML))));
    // What it would make of `0123` is 123, which was not meant.
    let number = Figment::new()
        .merge(Toml::string(TOML))
        .merge(("servers.login.client_id", 123));
    assert_eq!(
        told(read(number)),
        "servers.login.client_id: is a number; a text is expected: put it in quotes"
    );
    // Of the variables of this process it takes one that cargo has set.
    let of_cargo = Env::raw()
        .only(&["CARGO_PKG_NAME"])
        .map(|_| "clients.orders.colour".into());
    let colour = Figment::new()
        .merge(Toml::string(TOML))
        .merge(of_cargo.split("."));
    assert_eq!(
        told(read(colour)),
        "clients.orders.colour: is no key of this table"
    );
}

#[test]
fn a_table_that_is_not_there_is_told_by_the_reader() {
    let nothing = Figment::new().extract_inner::<NamedClientsConfig>("apis");
    assert!(nothing.is_err());
}
