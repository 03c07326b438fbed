//! What the RFCs themselves give as examples.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

mod rfc7515;
mod rfc7638;
mod rfc8037;
mod rfc9449;

use aws_lc_rs::signature::{UnparsedPublicKey, VerificationAlgorithm};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Whether the signature of a compact JWS is one of this public key.
fn verifies(jws: &str, algorithm: &'static dyn VerificationAlgorithm, public: &[u8]) -> bool {
    let (text, signature) = jws.rsplit_once('.').unwrap();
    let signature = decode(signature);
    UnparsedPublicKey::new(algorithm, public)
        .verify(text.as_bytes(), &signature)
        .is_ok()
}

fn decode(base64url: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(base64url).unwrap()
}
