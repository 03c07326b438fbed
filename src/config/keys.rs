//! All the keys that a configuration may have. `docs/CONFIG.md` says what each is for, and a test holds the two
//! together.
//!
//! A key is called as the setter of the builder that it goes to, so that what a builder says about a setting is
//! right for the key as well.

/// A key of a table.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// The feature of the crate without which it means nothing.
    pub(super) feature: Option<&'static str>,
}

const fn key(name: &'static str) -> Key {
    Key {
        name,
        feature: None,
    }
}

const fn with(feature: &'static str, name: &'static str) -> Key {
    Key {
        name,
        feature: Some(feature),
    }
}

/// Of the whole.
pub(super) const ROOT: &[Key] = &[key("clients"), key("servers"), key("sources")];

/// Of an authorization server, and who the program is there.
pub(super) const SERVER: &[Key] = &[
    key("issuer"),
    key("token_url"),
    key("client_id"),
    key("authentication"),
    key("client_secret"),
    key("client_assertion"),
    with("signing", "signing_key"),
    with("mtls", "client_certificate"),
    key("client_id_in_body"),
    key("client_id_field"),
    key("client_secret_field"),
    key("assertion_audience"),
    key("endpoint_as_audience"),
    with("signing", "plain_assertion_type"),
    with("signing", "certificate_chain"),
    with("signing", "sha1_certificate_thumbprint"),
    key("discovery_url"),
    key("unchecked_issuer"),
    key("revocation_url"),
    key("authorization_url"),
    key("pushed_authorization_url"),
    key("device_authorization_url"),
    key("registration_url"),
    key("namespace"),
    key("allow_insecure_http"),
    key("requests_at_once"),
    key("attempt_timeout"),
    key("json_requests"),
    key("expires_with_id_token"),
    with("dpop", "dpop_nonce_first"),
];

/// Of a token source: what is asked for, and when. Of a client too that has a source of its own.
pub(super) const SOURCE: &[Key] = &[
    key("server"),
    key("grant"),
    key("scope"),
    key("audience"),
    key("resource"),
    key("extra"),
    key("refresh_token"),
    key("subject_token"),
    key("subject_token_type"),
    key("actor_token"),
    key("actor_token_type"),
    key("requested_token_type"),
    key("on_behalf_of"),
    key("without_issued_token_type"),
    key("then_jwt_bearer"),
    key("assertion"),
    with("signing", "signed_assertion"),
    key("token"),
    key("token_file"),
    key("reload_interval"),
    key("refresh_before_expiry"),
    key("wait_before_expiry"),
    key("default_lifetime"),
    key("timeouts"),
    key("reuse_grace"),
    key("ask_for_demanded_claims"),
    key("cache_capacity"),
    key("session_timeout"),
    key("notice_within"),
    key("index_sessions"),
];

/// Of a client alone.
pub(super) const CLIENT: &[Key] = &[
    key("base_url"),
    key("source"),
    key("origin"),
    key("other_origins_without_token"),
    key("allow_insecure_http"),
    key("timeout"),
    key("connect_timeout"),
    key("header"),
    key("scheme"),
    key("without_scheme"),
    key("id_token"),
    key("error_on_ended_session"),
    with("mtls", "client_certificate"),
];

/// Where a secret is found.
pub(super) const SECRET: &[Key] = &[key("env"), key("file"), key("inline")];

/// Where a key that signs is found, and how it signs.
#[cfg(any(test, feature = "signing"))]
pub(super) const SIGNING_KEY: &[Key] = &[
    key("env"),
    key("file"),
    key("inline"),
    key("key_id"),
    key("algorithm"),
    key("certificates"),
];

/// What an assertion that the program signs itself says.
#[cfg(any(test, feature = "signing"))]
pub(super) const SIGNED_ASSERTION: &[Key] = &[
    key("signing_key"),
    key("audience"),
    key("issuer"),
    key("subject"),
    key("scope"),
    key("lifetime"),
];

/// Where a client certificate and its key are.
#[cfg(any(test, feature = "mtls"))]
pub(super) const CERTIFICATE: &[Key] = &[key("file"), key("key_file")];

/// How long before the end of a token something happens.
pub(super) const MARGIN: &[Key] = &[key("of_lifetime"), key("at_most")];

/// How long things may take.
pub(super) const TIMEOUTS: &[Key] = &[key("attempt"), key("refresh"), key("wait")];

/// Whether the crate was built with this feature, which is that of a key.
pub(super) fn is_built_with(feature: &str) -> bool {
    let features = [
        ("signing", cfg!(feature = "signing")),
        ("mtls", cfg!(feature = "mtls")),
        ("dpop", cfg!(feature = "dpop")),
    ];
    features.contains(&(feature, true))
}
