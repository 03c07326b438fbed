//! Any input at all: no panic, and no value in any message.

use proptest::prelude::*;
use reqwest_bearer::{NamedClientsConfig, reqwest};
use serde_json::{Map, Value, json};

const CANARY: &str = "c4n4ry-s3cr3t";

/// Every key that there is, so that each way through the reading is met.
const KEYS: [&str; 84] = [
    "clients",
    "servers",
    "sources",
    "login",
    "app",
    "orders",
    "issuer",
    "token_url",
    "client_id",
    "authentication",
    "client_secret",
    "client_assertion",
    "signing_key",
    "client_certificate",
    "client_id_in_body",
    "client_id_field",
    "client_secret_field",
    "assertion_audience",
    "endpoint_as_audience",
    "plain_assertion_type",
    "certificate_chain",
    "sha1_certificate_thumbprint",
    "discovery_url",
    "unchecked_issuer",
    "revocation_url",
    "authorization_url",
    "pushed_authorization_url",
    "device_authorization_url",
    "registration_url",
    "namespace",
    "allow_insecure_http",
    "requests_at_once",
    "attempt_timeout",
    "json_requests",
    "expires_with_id_token",
    "dpop_nonce_first",
    "server",
    "grant",
    "scope",
    "audience",
    "resource",
    "extra",
    "refresh_token",
    "subject_token",
    "subject_token_type",
    "actor_token",
    "actor_token_type",
    "requested_token_type",
    "on_behalf_of",
    "without_issued_token_type",
    "then_jwt_bearer",
    "assertion",
    "signed_assertion",
    "token",
    "token_file",
    "reload_interval",
    "refresh_before_expiry",
    "wait_before_expiry",
    "default_lifetime",
    "timeouts",
    "reuse_grace",
    "ask_for_demanded_claims",
    "cache_capacity",
    "session_timeout",
    "notice_within",
    "index_sessions",
    "base_url",
    "source",
    "origin",
    "other_origins_without_token",
    "timeout",
    "connect_timeout",
    "header",
    "scheme",
    "without_scheme",
    "id_token",
    "error_on_ended_session",
    "env",
    "file",
    "inline",
    "of_lifetime",
    "at_most",
    "lifetime",
    "unheard_of",
];

/// A value that is likely to be right somewhere, or a wrong one.
fn leaf() -> impl Strategy<Value = Value> {
    let texts = prop::sample::select(vec![
        CANARY.to_owned(),
        format!("https://{CANARY}:{CANARY}@api.example.com/{CANARY}"),
        format!("https://api.example.com/{CANARY}?{CANARY}#{CANARY}"),
        format!("${{{CANARY}}}"),
        format!("{CANARY}\n"),
        "https://api.example.com".to_owned(),
        "login".to_owned(),
        "app".to_owned(),
        "none".to_owned(),
        "private_key_jwt".to_owned(),
        "client_secret_post".to_owned(),
        "tls_client_auth".to_owned(),
        "constant".to_owned(),
        "token_exchange".to_owned(),
        "jwt_bearer".to_owned(),
        "refresh_token".to_owned(),
        "user_sessions".to_owned(),
        "30 s".to_owned(),
        "CARGO_PKG_NAME".to_owned(),
    ]);
    prop_oneof![
        6 => texts.prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => any::<f64>().prop_map(Value::from),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => prop::collection::vec(Just(json!(CANARY)), 0..3).prop_map(Value::from),
    ]
}

fn table(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    let key = prop::sample::select(KEYS.to_vec());
    let entries = prop::collection::vec((key, value), 0..12);
    entries.prop_map(|entries| {
        let entries = entries
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value));
        Value::Object(entries.collect::<Map<_, _>>())
    })
}

/// Tables of the shape that a configuration has, with anything in them.
fn shaped() -> impl Strategy<Value = Value> {
    let inner = || prop_oneof![3 => leaf(), 2 => table(leaf())];
    let secret = prop::sample::select(vec![
        json!({ "inline": CANARY }),
        json!({ "env": CANARY }),
        json!({ "file": CANARY }),
        json!(CANARY),
    ]);
    (table(inner()), table(inner()), table(inner()), secret).prop_map(
        |(mut server, source, mut client, secret)| {
            server["client_secret"] = secret;
            client["base_url"] = json!("https://api.example.com");
            json!({
                "servers": { "login": server },
                "sources": { "app": source },
                "clients": { "orders": client, "billing": { "source": "app" } },
            })
        },
    )
}

/// Roots of trust are costly to read, and nothing of them is tried here.
fn without_roots() -> reqwest::ClientBuilder {
    let builder = reqwest::Client::builder();
    #[cfg(any(feature = "rustls", feature = "native-tls"))]
    let builder = builder.tls_certs_only([]);
    builder
}

/// Reads it and builds it, and looks for the canary in whatever is said.
fn is_harmless(value: Value) -> Result<(), TestCaseError> {
    let Ok(config) = serde_json::from_value::<NamedClientsConfig>(value) else {
        return Ok(());
    };
    let shown = format!("{config:?}");
    prop_assert!(!shown.contains(CANARY), "{}", shown);
    let builder = config.builder().http(without_roots);
    let builder = builder.server("login", |server| {
        #[cfg(feature = "mtls")]
        return server.http_from_fn(without_roots);
        #[cfg(not(feature = "mtls"))]
        return server.http(without_roots());
    });
    let told = match builder.build() {
        Ok(made) => format!("{made:?}"),
        Err(error) => format!("{error} {error:?}"),
    };
    // What a client is for is no secret: its base URL, as it was built.
    prop_assert!(!told.contains(CANARY), "{}", told);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_configuration_is_built_or_told_wrong_and_shows_no_value(value in shaped()) {
        // J3, D6
        is_harmless(value)?;
    }

    #[test]
    fn any_value_at_all_is_no_reason_to_panic(value in table(prop_oneof![leaf(), table(table(leaf()))])) {
        // J3, D6
        is_harmless(value)?;
    }
}
