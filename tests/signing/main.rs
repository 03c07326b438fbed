//! Keys, and requests that are signed with them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test may fail it"
)]

#[path = "../support/mod.rs"]
mod support;

mod assertions;
mod files;
mod keys;
mod refusals;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest_bearer::SigningAlgorithm::{
    EdDsa, Es256, Es384, Ps256, Ps384, Ps512, Rs256, Rs384, Rs512,
};
use reqwest_bearer::{Signer, SigningKey};
use serde_json::Value;

/// One of OpenSSL's files.
macro_rules! pem {
    ($name:literal) => {
        include_str!(concat!("keys/", $name, ".pem"))
    };
}
use pem;

/// Whether a compact JWS is of this key.
fn verifies(jws: &str, key: &SigningKey) -> bool {
    let (text, signature) = jws.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let public = key.public_jwk().to_value();
    let member = |name: &str| {
        URL_SAFE_NO_PAD
            .decode(public[name].as_str().unwrap())
            .unwrap()
    };
    let point = || [vec![4], member("x"), member("y")].concat();
    let text = text.as_bytes();
    let rsa = |parameters| {
        let (n, e) = (member("n"), member("e"));
        RsaPublicKeyComponents { n, e }.verify(parameters, text, &signature)
    };
    let verified = match key.algorithm() {
        Es256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point()).verify(text, &signature),
        Es384 => UnparsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, point()).verify(text, &signature),
        EdDsa => UnparsedPublicKey::new(&ED25519, member("x")).verify(text, &signature),
        Rs256 => rsa(&RSA_PKCS1_2048_8192_SHA256),
        Rs384 => rsa(&RSA_PKCS1_2048_8192_SHA384),
        Rs512 => rsa(&RSA_PKCS1_2048_8192_SHA512),
        Ps256 => rsa(&RSA_PSS_2048_8192_SHA256),
        Ps384 => rsa(&RSA_PSS_2048_8192_SHA384),
        Ps512 => rsa(&RSA_PSS_2048_8192_SHA512),
        _ => panic!("no such algorithm"),
    };
    verified.is_ok()
}

fn header(jws: &str) -> Value {
    part(jws, 0)
}

fn claims(jws: &str) -> Value {
    part(jws, 1)
}

fn part(jws: &str, number: usize) -> Value {
    let part = jws.split('.').nth(number).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}
