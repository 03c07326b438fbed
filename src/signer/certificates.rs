//! The certificates of a key, by which some servers know it.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// `x5t#S256` (RFC 7515 section 4.1.8).
pub(crate) fn thumbprint(certificate: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(certificate))
}

/// `x5t` (RFC 7515 section 4.1.7), for servers that know nothing newer. It names a certificate and
/// protects nothing, so that SHA-1 does no harm.
pub(crate) fn sha1_thumbprint(certificate: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(digest::digest(
        &digest::SHA1_FOR_LEGACY_USE_ONLY,
        certificate,
    ))
}

/// `x5c` (RFC 7515 section 4.1.6): base64 with padding, and not base64url.
pub(crate) fn chain(certificates: &[Vec<u8>]) -> Value {
    let certificates = certificates.iter();
    certificates
        .map(|certificate| Value::String(STANDARD.encode(certificate)))
        .collect()
}

/// Whether the certificate may be of the key with these public bytes: it has them in it.
pub(crate) fn is_of_key(certificate: &[u8], public: &[u8]) -> bool {
    !public.is_empty()
        && certificate
            .windows(public.len())
            .any(|window| window == public)
}
