//! Holds `docs/CONFIG.md` to the keys that there are: none is missing there, and each row says what is so.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::NamedClientsConfig;
use super::faults::Faults;
use super::key_path::KeyPath;
use super::keys::{self, Key};
use super::servers::Servers;
use super::table::Table;
use super::value::TableOf;
use crate::endpoint::{ClientAuthentication, TokenEndpoint};

struct Row {
    /// The table of the configuration that the key is in, and the keys from there.
    section: &'static str,
    key: String,
    kind: String,
    /// Where it is a value and not a word about one.
    default: Option<Value>,
    example: Value,
    about: String,
}

fn value(cell: &str) -> Option<Value> {
    let code = cell.strip_prefix('`')?.strip_suffix('`')?;
    let read: Result<Map<String, Value>, _> = toml::from_str(&format!("value = {code}"));
    read.ok().map(|read| read["value"].clone())
}

fn rows() -> Vec<Row> {
    let page = include_str!("../../docs/CONFIG.md");
    let (_, tables) = page.split_once("## All keys").unwrap();
    let mut rows = Vec::new();
    for section in tables.split("### ").skip(1) {
        let name = [
            "`servers.NAME`",
            "`sources.NAME`",
            "`clients.NAME`",
            "The tables within",
        ]
        .into_iter()
        .find(|name| section.starts_with(name))
        .unwrap();
        for line in section.lines().filter(|line| line.starts_with("| `")) {
            let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [key, kind, default, example, about] = cells[..] else {
                panic!("{line}");
            };
            rows.push(Row {
                section: name.trim_matches('`').split('.').next().unwrap(),
                key: key.trim_matches('`').to_owned(),
                kind: kind.to_owned(),
                default: value(default),
                example: value(example).unwrap_or_else(|| panic!("{line}")),
                about: about.to_owned(),
            });
        }
    }
    rows
}

impl Row {
    /// Whether the crate is built without what the key is for, which the tests of the others never are.
    fn lacks_its_feature(&self) -> bool {
        self.is(&["client_certificate"]) && !keys::is_built_with("mtls")
    }

    /// The section that it is tried in.
    fn home(&self) -> &'static str {
        match (self.section, self.key.split('.').next().unwrap()) {
            ("servers" | "sources" | "clients", _) => self.section,
            (_, "client_secret" | "signing_key" | "client_certificate") => "servers",
            _ => "sources",
        }
    }

    fn is(&self, names: &[&str]) -> bool {
        names.contains(&self.key.split('.').next().unwrap())
    }

    /// A configuration that has a meaning for the key, with this value in it.
    fn with(&self, value: Value) -> Value {
        let (name, mut table) = match self.home() {
            "servers" => ("login", self.server()),
            "sources" => ("app", self.source()),
            _ => (
                "orders",
                json!({ "base_url": "https://api.example.com", "source": "app" }),
            ),
        };
        let mut place = &mut table;
        let keys: Vec<_> = self.key.split('.').collect();
        let (last, path) = keys.split_last().unwrap();
        for key in path {
            // What is beside a value within a table is what that needs.
            let beside = match (*key, *last) {
                ("signing_key", "key_id" | "algorithm" | "certificates") => {
                    json!({ "file": "/run/secrets/client.pem" })
                }
                ("signed_assertion", _) => json!({
                    "signing_key": { "file": "/run/secrets/client.pem" },
                    "audience": "https://login.example.com",
                }),
                ("client_certificate", "key_file") => json!({ "file": "/run/tls/tls.crt" }),
                ("refresh_before_expiry", "at_most") => json!({ "of_lifetime": 0.2 }),
                ("refresh_before_expiry", _) => json!({ "at_most": "5 min" }),
                _ => json!({}),
            };
            place[*key] = beside;
            place = &mut place[*key];
        }
        place[*last] = value;
        let mut whole = json!({
            "servers": { "login": {
                "issuer": "https://login.example.com", "client_id": "me", "authentication": "none",
            }},
            "sources": { "app": { "server": "login" } },
            "clients": { "orders": { "base_url": "https://api.example.com", "source": "app" } },
        });
        whole[self.home()][name] = table;
        whole
    }

    fn server(&self) -> Value {
        let mut server = json!({ "issuer": "https://login.example.com", "client_id": "me" });
        let secret = json!({ "inline": "s3cr3t" });
        let key = json!({ "file": "/run/secrets/client.pem" });
        if self.is(&["client_secret"]) {
        } else if self.is(&["client_id_in_body"]) {
            server["client_secret"] = secret;
        } else if self.is(&["client_secret_field"]) {
            server["authentication"] = json!("client_secret_post");
            server["client_secret"] = secret;
        } else if self.is(&["client_assertion"]) {
            server["authentication"] = json!("client_assertion");
        } else if self.is(&[
            "signing_key",
            "assertion_audience",
            "endpoint_as_audience",
            "plain_assertion_type",
            "certificate_chain",
            "sha1_certificate_thumbprint",
        ]) {
            server["authentication"] = json!("private_key_jwt");
            server["signing_key"] = key;
        } else {
            server["authentication"] = json!("none");
        }
        server
    }

    fn source(&self) -> Value {
        let mut source = json!({ "server": "login" });
        let secret = json!({ "inline": "s3cr3t" });
        if self.is(&["token"]) {
            source = json!({ "grant": "constant" });
        } else if self.is(&["token_file", "reload_interval"]) {
            source = json!({ "grant": "token_file", "token_file": "/run/token" });
        } else if self.is(&["refresh_token"]) {
            source["grant"] = json!("refresh_token");
        } else if self.is(&["assertion", "signed_assertion"]) {
            source["grant"] = json!("jwt_bearer");
        } else if self.is(&["grant"]) {
            source["assertion"] = secret;
        } else if self.is(&["session_timeout", "notice_within", "index_sessions"]) {
            source["grant"] = json!("user_sessions");
        } else if self.is(&[
            "subject_token",
            "subject_token_type",
            "actor_token",
            "actor_token_type",
            "requested_token_type",
            "on_behalf_of",
            "without_issued_token_type",
            "then_jwt_bearer",
        ]) {
            source["grant"] = json!("token_exchange");
            if self.is(&["subject_token_type"]) {
                source["subject_token"] = secret;
            } else if self.is(&["actor_token_type"]) {
                source["actor_token"] = secret;
            }
        }
        source
    }

    /// The full key, as a message names it.
    fn full_key(&self) -> String {
        let name = match self.home() {
            "servers" => "servers.login",
            "sources" => "sources.app",
            _ => "clients.orders",
        };
        format!("{name}.{}", self.key)
    }

    /// What is told of this value of the key; `None` if nothing is wrong.
    fn told(&self, value: Value) -> Option<String> {
        let config: NamedClientsConfig = serde_json::from_value(self.with(value)).unwrap();
        // Roots of trust are costly to read, and nothing of them is tried here.
        let http = || {
            let builder = reqwest::Client::builder();
            #[cfg(any(feature = "rustls", feature = "native-tls"))]
            let builder = builder.tls_certs_only([]);
            builder
        };
        let builder = config.builder().http(http).server("login", move |server| {
            #[cfg(feature = "mtls")]
            return server.http_from_fn(http);
            #[cfg(not(feature = "mtls"))]
            return server.http(http());
        });
        builder.build().err().map(|error| error.to_string())
    }

    /// What the builder of the server or of the source is like with this value, as far as it shows that.
    fn made(&self, value: Value) -> String {
        let name = if self.home() == "servers" {
            "login"
        } else {
            "app"
        };
        let TableOf(entries) =
            serde_json::from_value(self.with(value)[self.home()][name].clone()).unwrap();
        let faults = Faults::default();
        let (path, known) = (KeyPath::root(""), [keys::SERVER, keys::SOURCE]);
        let mut table = Table::new(path, entries, &known, &faults);
        if self.home() == "servers" {
            return format!("{:?}", super::server::read(table));
        }
        let mut servers = Servers::default();
        let client = ClientAuthentication::none("me");
        let endpoint = TokenEndpoint::new("https://login.example.com", client).unwrap();
        servers.insert("login".to_owned(), Some(endpoint));
        use super::tokens::Builder::{Application, Callers, Users};
        let shown = match super::source::read(&mut table, "app", &servers).unwrap() {
            Application(builder) => format!("{builder:?}"),
            Users(builder) => format!("{builder:?}"),
            Callers(builder) => format!("{builder:?}"),
        };
        // Each builder has a clock of its own, behind all that a configuration can set.
        shown.split_once(" clock: ").unwrap().0.to_owned()
    }
}

fn names(keys: &[Key], within: Option<&str>) -> BTreeSet<String> {
    let names = keys.iter().map(|key| match within {
        Some(table) => format!("{table}.{}", key.name),
        None => key.name.to_owned(),
    });
    names.collect()
}

#[test]
fn the_page_has_each_key_once_and_no_other() {
    // J3
    let within: BTreeSet<_> = [
        (keys::SECRET, "client_secret"),
        (keys::SIGNING_KEY, "signing_key"),
        (keys::SIGNED_ASSERTION, "signed_assertion"),
        (keys::CERTIFICATE, "client_certificate"),
        (keys::MARGIN, "refresh_before_expiry"),
        (keys::TIMEOUTS, "timeouts"),
    ]
    .into_iter()
    .flat_map(|(keys, table)| names(keys, Some(table)))
    .collect();
    let rows = rows();
    for (section, known) in [
        ("servers", names(keys::SERVER, None)),
        ("sources", names(keys::SOURCE, None)),
        ("clients", names(keys::CLIENT, None)),
        ("The tables within", within),
    ] {
        let told: Vec<_> = rows.iter().filter(|row| row.section == section).collect();
        let unique: BTreeSet<_> = told.iter().map(|row| row.key.clone()).collect();
        assert_eq!(unique, known, "{section}");
        assert_eq!(told.len(), unique.len(), "{section}");
    }
    for row in rows.iter().filter(|row| row.section != "The tables within") {
        let all = [keys::SERVER, keys::SOURCE, keys::CLIENT].concat();
        let key = all.iter().find(|key| key.name == row.key).unwrap();
        let feature = key.feature.map(|feature| format!("(feature `{feature}`)"));
        let told = feature
            .as_ref()
            .is_none_or(|feature| row.about.ends_with(feature));
        assert!(
            told && (feature.is_some() || !row.about.contains("(feature")),
            "{}",
            row.key
        );
    }
}

#[test]
fn each_example_is_taken_and_each_default_that_is_a_value() {
    // J3
    for row in rows() {
        for value in [Some(row.example.clone()), row.default.clone()]
            .into_iter()
            .flatten()
        {
            let told = row.told(value);
            // Examples name variables that are not there, and keys that are none.
            let is_understood = told.as_ref().is_none_or(|told| {
                told.contains(".env: no variable of the environment has this name")
                    || (row.lacks_its_feature() && told.contains("needs the feature `mtls`"))
                    || row.key == "signing_key.env"
                    || (row.key == "signing_key.inline" && told.contains("the PEM of the key"))
            });
            assert!(is_understood, "{}: {told:?}", row.key);
        }
    }
}

#[test]
fn each_key_wants_the_type_that_the_page_says() {
    // J3
    for row in rows() {
        let (wrong, expected) = match row.kind.as_str() {
            "text" => (json!({}), "is a table; a text is expected"),
            "text or list of texts" => (
                json!({}),
                "is a table; a text or a list of texts is expected",
            ),
            "true or false" => (json!({}), "is a table; `true` or `false` is expected"),
            "whole number" => (json!({}), "is a table; a whole number"),
            "number" => (json!({}), "is a table; a number is expected"),
            "duration" => (json!({}), "is a table; a duration"),
            "secret" => (
                json!([]),
                "is a list; a table that says where the secret is found",
            ),
            "table" => (json!([]), "is a list; a table"),
            other => panic!("{other}"),
        };
        let told = row.told(wrong).unwrap();
        let expected = if row.lacks_its_feature() {
            "client_certificate: needs the feature `mtls`".to_owned()
        } else {
            format!("{}: {expected}", row.full_key())
        };
        assert!(told.contains(&expected), "{expected}: {told}");
    }
}

#[test]
fn each_default_that_is_a_value_is_what_is_made_without_the_key() {
    // J3
    let mut compared = 0;
    for row in rows().into_iter().filter(|row| row.home() != "clients") {
        // What a builder does not show, the tests of clients see.
        let is_shown = !matches!(row.default, None | Some(Value::Bool(_)))
            && !row.is(&["reload_interval", "signed_assertion"]);
        if let Some(default) = row.default.clone().filter(|_| is_shown) {
            let without = row.made(Value::Null);
            assert_eq!(row.made(default), without, "{}", row.key);
            assert_ne!(row.made(row.example.clone()), without, "{}", row.key);
            compared += 1;
        }
    }
    assert_eq!(compared, 11);
}
