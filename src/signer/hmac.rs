//! Signatures by a secret that both sides have.

use aws_lc_rs::hmac;

use crate::error::{Error, HowFar};
use crate::secret::Secret;
use crate::signer::jws::Jws;

/// HMAC with SHA-256 (RFC 7518 section 3.2).
pub(crate) const ALGORITHM: &str = "HS256";

/// The shortest secret for it, in bytes: as long as its digest (RFC 7518 section 3.2).
const SHORTEST: usize = 32;

/// # Errors
/// If the secret is too short. Servers refuse such a one, mostly without saying why.
pub(crate) fn sign(jws: Jws, secret: &Secret) -> Result<Secret, Error> {
    check(secret)?;
    Ok(jws.sign_by(ALGORITHM, |text| code(secret.expose().as_bytes(), text)))
}

pub(crate) fn check(secret: &Secret) -> Result<(), Error> {
    if secret.expose().len() < SHORTEST {
        return Err(Error::settings(
            "the client secret is shorter than the 32 bytes that `client_secret_jwt` needs (RFC 7518 \
             section 3.2)",
        )
        .got(HowFar::NotSent));
    }
    Ok(())
}

fn code(secret: &[u8], text: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&key, text).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::{check, code};
    use crate::secret::Secret;

    #[test]
    fn rfc7515_a1_hmac_with_sha_256() {
        // H1
        let key = "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
        let text = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let key = URL_SAFE_NO_PAD.decode(key).unwrap();
        assert_eq!(
            URL_SAFE_NO_PAD.encode(code(&key, text.as_bytes())),
            "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
        );
    }

    #[test]
    fn a_secret_has_at_least_as_many_bytes_as_the_digest() {
        // H1
        assert!(check(&Secret::new("x".repeat(31))).is_err());
        assert!(check(&Secret::new("x".repeat(32))).is_ok());
    }
}
