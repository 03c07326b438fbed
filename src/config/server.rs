//! An authorization server, and who the program is there: one table of `servers`.

use crate::config::authentication;
use crate::config::table::Table;
use crate::endpoint::{ClientAuthentication, TokenEndpointBuilder};

/// What the table says, to be built. Where something is wrong, that is noted, and the rest is there to be
/// looked at.
pub(super) fn read(mut table: Table<'_>) -> TokenEndpointBuilder {
    let client = authentication::read(&mut table).unwrap_or_else(|| {
        table.forget(&authentication::KEYS);
        ClientAuthentication::none("unknown")
    });
    let builder = with_urls(&mut table, TokenEndpointBuilder::new(client));
    let builder = with_settings(&mut table, builder);
    table.finish(|key| format!("has no meaning with this `authentication`{}", what_for(key)));
    builder
}

/// What the keys are for that mean something with one way of client authentication alone.
fn what_for(key: &str) -> &'static str {
    match key {
        "client_secret" => "; it is for those whose names begin with `client_secret`",
        "client_assertion" => "; it is for `client_assertion` and `jwt_svid`",
        "signing_key" => "; it is for `private_key_jwt`",
        _ => "",
    }
}

fn with_urls(table: &mut Table<'_>, mut builder: TokenEndpointBuilder) -> TokenEndpointBuilder {
    type Setter = fn(TokenEndpointBuilder, String) -> TokenEndpointBuilder;
    let setters: [(&str, Setter); 8] = [
        ("issuer", |builder, text| builder.issuer(text)),
        ("token_url", |builder, text| builder.token_url(text)),
        ("discovery_url", |builder, text| builder.discovery_url(text)),
        ("revocation_url", |builder, text| {
            builder.revocation_url(text)
        }),
        ("authorization_url", |builder, text| {
            builder.authorization_url(text)
        }),
        ("pushed_authorization_url", |builder, text| {
            builder.pushed_authorization_url(text)
        }),
        ("device_authorization_url", |builder, text| {
            builder.device_authorization_url(text)
        }),
        ("registration_url", |builder, text| {
            builder.registration_url(text)
        }),
    ];
    for (key, set) in setters {
        if let Some(text) = table.settled_text(key) {
            builder = set(builder, text);
        }
    }
    builder
}

fn with_settings(table: &mut Table<'_>, mut builder: TokenEndpointBuilder) -> TokenEndpointBuilder {
    if let Some(namespace) = table.settled_text("namespace") {
        builder = builder.namespace(namespace);
    }
    if table.flag("unchecked_issuer") {
        builder = builder.unchecked_issuer();
    }
    if table.flag("allow_insecure_http") {
        builder = builder.allow_insecure_http();
    }
    if let Some(count) = table.count("requests_at_once") {
        builder = builder.requests_at_once(count);
    }
    if let Some(timeout) = table.duration("attempt_timeout") {
        builder = builder.attempt_timeout(timeout);
    }
    if table.flag("json_requests") {
        builder = builder.json_requests();
    }
    if table.flag("expires_with_id_token") {
        builder = builder.expires_with_id_token();
    }
    #[cfg(feature = "dpop")]
    if table.flag("dpop_nonce_first") {
        builder = builder.dpop_nonce_first();
    }
    builder
}
