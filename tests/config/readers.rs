//! Whatever reads a configuration, it means the same: formats differ in what they can say.

use std::collections::BTreeMap;

use reqwest_bearer::NamedClientsConfig;
use serde_json::{Value, json};

use crate::server::{config, wrong};

fn good() -> Value {
    json!({
        "servers": { "login": {
            "issuer": "https://login.example.com", "client_id": "me", "authentication": "none",
            "attempt_timeout": 2.5, "requests_at_once": 4, "json_requests": true
        }},
        "clients": { "orders": { "base_url": "https://api.example.com", "server": "login" } }
    })
}

#[test]
fn a_number_or_a_truth_may_be_a_text_as_it_is_in_the_environment() {
    // J3
    let mut texts = good();
    texts["servers"]["login"]["attempt_timeout"] = json!("2.5");
    texts["servers"]["login"]["requests_at_once"] = json!("4");
    texts["servers"]["login"]["json_requests"] = json!("true");
    for value in [good(), texts] {
        let config: NamedClientsConfig = serde_json::from_value(value).unwrap();
        assert!(config.build().is_ok());
    }
}

#[test]
fn a_null_is_as_good_as_nothing() {
    // J3
    let mut value = good();
    value["clients"]["orders"]["scope"] = Value::Null;
    value["clients"]["orders"]["colour"] = Value::Null;
    value["sources"] = Value::Null;
    value["servers"]["login"]["token_url"] = Value::Null;
    let config: NamedClientsConfig = serde_json::from_value(value).unwrap();
    assert!(config.build().is_ok());
}

#[test]
fn a_key_that_is_there_twice_is_an_error_and_not_the_one_or_the_other() {
    // J3
    let text =
        r#"{ "clients": { "orders": { "base_url": "https://a", "base_url": "https://b" } } }"#;
    let error = serde_json::from_str::<NamedClientsConfig>(text).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the key `base_url` is given twice"),
        "{error}"
    );
}

#[test]
fn it_may_lie_flat_beside_other_settings_of_the_program() {
    // J3
    #[derive(serde::Deserialize)]
    struct Settings {
        listen: String,
        #[serde(flatten)]
        apis: NamedClientsConfig,
    }
    let mut value = good();
    value["listen"] = json!("[::1]:80");
    let settings: Settings = serde_json::from_value(value.clone()).unwrap();
    assert_eq!(settings.listen, "[::1]:80");
    assert!(settings.apis.build().is_ok());
    // A key that is nobody's is not lost between the two.
    value["listne"] = json!("[::1]:81");
    let settings: Settings = serde_json::from_value(value).unwrap();
    let told = wrong(settings.apis.build());
    assert_eq!(told, "listne: is no key of this table");
}

#[test]
fn what_is_no_table_at_all_is_told_by_whoever_reads_it() {
    // J3
    let error = serde_json::from_str::<NamedClientsConfig>("[1]").unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected a table with `clients`"),
        "{error}"
    );
    let missing = serde_json::from_str::<BTreeMap<String, NamedClientsConfig>>("{}").unwrap();
    assert!(missing.is_empty());
}

#[test]
fn a_date_of_toml_is_no_text() {
    // J3: it has a kind of its own, which no key has.
    let told = wrong(config("clients.a.base_url = 2026-01-01").build());
    assert!(
        told.contains("clients.a.base_url: is a table; a text is expected"),
        "{told}"
    );
}
