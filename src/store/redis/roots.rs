//! The certificates that TLS to Redis trusts: those of the operating system.
//!
//! By itself the redis crate trusts nothing at all where it was built with rustls and with native-tls.
//! Cargo builds it so as soon as two crates of one program have one wish each, and neither of them
//! could tell (a feature must not take away what another one gives). So the certificates are given.

use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use redis::{Client, ConnectionAddr, RedisResult, TlsCertificates};
use rustls_native_certs::load_native_certs;

/// The same client, which trusts what the operating system trusts now. Asked for each connection, as
/// the redis crate does it too: a certificate that is installed while the process runs counts.
pub(super) fn trusting_the_system(client: &Client) -> RedisResult<Client> {
    let info = client.get_connection_info().clone();
    if !matches!(info.addr(), ConnectionAddr::TcpTls { .. }) {
        return Ok(client.clone());
    }
    let found = load_native_certs();
    if let (true, Some(error)) = (found.certs.is_empty(), found.errors.first()) {
        return Err(io::Error::other(error.to_string()).into());
    }
    let certificates = found.certs.iter();
    let roots: String = certificates
        .map(|certificate| pem(certificate.as_ref()))
        .collect();
    let certificates = TlsCertificates {
        client_tls: None,
        root_cert: Some(roots.into_bytes()),
    };
    Client::build_with_tls(info, certificates)
}

/// RFC 7468 section 5.
fn pem(certificate: &[u8]) -> String {
    let text = STANDARD.encode(certificate);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}
