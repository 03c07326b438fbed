//! How the program proves who it is to an authorization server.

#[cfg(feature = "mtls")]
use crate::config::certificate;
use crate::config::secret::{Found, WHERE};
#[cfg(feature = "signing")]
use crate::config::signing_key;
use crate::config::table::Table;
use crate::endpoint::{ClientAuthentication, SecretSource};

/// The registered names of the ways, as the constructors of [`ClientAuthentication`] are called.
const WAYS: [&str; 10] = [
    "client_secret_basic",
    "client_secret_basic_raw",
    "client_secret_post",
    "none",
    "private_key_jwt",
    "client_secret_jwt",
    "client_assertion",
    "jwt_svid",
    "tls_client_auth",
    "self_signed_tls_client_auth",
];

/// The keys of the table of a server that are read here.
pub(super) const KEYS: [&str; 14] = [
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
];

/// What the table of a server says of client authentication, if nothing is wrong with it.
pub(super) fn read(table: &mut Table<'_>) -> Option<ClientAuthentication> {
    if !table.has("client_id") {
        table.missing(
            "client_id",
            "give the one that the authorization server issued",
        );
    }
    let client_id = table.settled_text("client_id");
    let way = way(table)?;
    // With a stand-in, so that the faults of a secret are told beside those of the id.
    let id = client_id.clone().unwrap_or_else(|| "unknown".to_owned());
    let client = made(table, way, id)?;
    let client = with_settings(table, client);
    client_id.map(|_| client)
}

/// Which way it is: never found out by trying, and by default the one that most servers want of a secret.
fn way(table: &mut Table<'_>) -> Option<&'static str> {
    if table.has("authentication") {
        return table.word("authentication", &WAYS);
    }
    if table.has("client_secret") {
        return Some("client_secret_basic");
    }
    table.missing(
        "authentication",
        "give a `client_secret`, or say by which way the client proves who it is (`none` for a public client)",
    );
    None
}

fn made(table: &mut Table<'_>, way: &str, id: String) -> Option<ClientAuthentication> {
    match way {
        "client_secret_basic" => {
            let secret = secret(table, "client_secret", way)?;
            Some(ClientAuthentication::client_secret_basic(id, secret))
        }
        "client_secret_basic_raw" => {
            let secret = secret(table, "client_secret", way)?;
            Some(ClientAuthentication::client_secret_basic_raw(id, secret))
        }
        "client_secret_post" => {
            let secret = secret(table, "client_secret", way)?;
            Some(ClientAuthentication::client_secret_post(id, secret))
        }
        "client_assertion" => {
            let assertion = secret(table, "client_assertion", way)?;
            Some(ClientAuthentication::client_assertion(id, assertion))
        }
        "jwt_svid" => {
            let assertion = secret(table, "client_assertion", way)?;
            Some(ClientAuthentication::jwt_svid(id, assertion))
        }
        "none" => Some(ClientAuthentication::none(id)),
        "private_key_jwt" | "client_secret_jwt" => signed(table, way, id),
        _ => certified(table, way, id),
    }
}

/// The secret that this way needs.
fn secret(table: &mut Table<'_>, key: &str, way: &str) -> Option<SecretSource> {
    if !table.has(key) {
        table.missing(key, &format!("`{way}` needs it, as {WHERE}"));
    }
    Found::read(table, key).map(Found::source)
}

#[cfg(feature = "signing")]
fn signed(table: &mut Table<'_>, way: &str, id: String) -> Option<ClientAuthentication> {
    if way == "client_secret_jwt" {
        let secret = secret(table, "client_secret", way)?;
        return Some(ClientAuthentication::client_secret_jwt(id, secret));
    }
    if !table.has("signing_key") {
        table.missing(
            "signing_key",
            "`private_key_jwt` needs it: `{ file = \"/run/secrets/client.pem\" }`",
        );
    }
    let key = signing_key::read(table)?;
    Some(ClientAuthentication::private_key_jwt(id, key))
}

#[cfg(not(feature = "signing"))]
fn signed(table: &mut Table<'_>, way: &str, _: String) -> Option<ClientAuthentication> {
    needs_feature(table, way, "signing")
}

#[cfg(feature = "mtls")]
fn certified(table: &mut Table<'_>, way: &str, id: String) -> Option<ClientAuthentication> {
    if !table.has("client_certificate") {
        let message = format!(
            "`{way}` needs it: `{{ file = \"/run/tls/tls.crt\", key_file = \"/run/tls/tls.key\" }}`"
        );
        table.missing("client_certificate", &message);
    }
    let certificate = certificate::read(table)?;
    Some(match way {
        "tls_client_auth" => ClientAuthentication::tls_client_auth(id, certificate),
        _ => ClientAuthentication::self_signed_tls_client_auth(id, certificate),
    })
}

#[cfg(not(feature = "mtls"))]
fn certified(table: &mut Table<'_>, way: &str, _: String) -> Option<ClientAuthentication> {
    needs_feature(table, way, "mtls")
}

#[cfg(not(all(feature = "signing", feature = "mtls")))]
fn needs_feature(table: &Table<'_>, way: &str, feature: &str) -> Option<ClientAuthentication> {
    table.fault(
        "authentication",
        format!("`{way}` needs the feature `{feature}` of reqwest-bearer, with which this program was not built"),
    );
    None
}

/// What is said besides the way.
fn with_settings(table: &mut Table<'_>, mut client: ClientAuthentication) -> ClientAuthentication {
    if table.flag("client_id_in_body") {
        client = client.client_id_in_body();
    }
    if let Some(name) = table.text("client_id_field") {
        client = client.client_id_field(name);
    }
    if let Some(name) = table.text("client_secret_field") {
        client = client.client_secret_field(name);
    }
    if let Some(audience) = table.settled_text("assertion_audience") {
        client = client.assertion_audience(audience);
    }
    if table.flag("endpoint_as_audience") {
        client = client.endpoint_as_audience();
    }
    #[cfg(feature = "signing")]
    {
        if table.flag("plain_assertion_type") {
            client = client.plain_assertion_type();
        }
        if table.flag("certificate_chain") {
            client = client.certificate_chain();
        }
        if table.flag("sha1_certificate_thumbprint") {
            client = client.sha1_certificate_thumbprint();
        }
    }
    // Beside another way: for tokens that are bound to it.
    #[cfg(feature = "mtls")]
    if let Some(certificate) = certificate::read(table) {
        client = client.client_certificate(certificate);
    }
    client
}
