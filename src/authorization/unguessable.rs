//! Texts that nobody guesses: states, nonces and PKCE's verifiers.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::error::{Error, HowFar};
use crate::secret::Secret;

/// 256 random bits in 43 characters, the least that a verifier has (RFC 7636 section 4.1).
///
/// # Errors
/// If the operating system gives no random numbers.
pub(crate) fn unguessable() -> Result<Secret, Error> {
    let mut bytes = zeroize::Zeroizing::new([0; 32]);
    getrandom::fill(&mut *bytes).map_err(|_| {
        Error::settings("the operating system gives no random numbers").got(HowFar::NotSent)
    })?;
    Ok(Secret::new(URL_SAFE_NO_PAD.encode(*bytes)))
}

/// The S256 challenge of a verifier (RFC 7636 section 4.2).
pub(crate) fn challenge(verifier: &Secret) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.expose()))
}

/// Compares digests, so that the time which it takes says nothing of how much of the text was right.
pub(crate) fn is_same(expected: &Secret, came: &str) -> bool {
    Sha256::digest(expected.expose()) == Sha256::digest(came)
}

#[cfg(test)]
mod tests {
    use super::{challenge, is_same, unguessable};
    use crate::secret::Secret;

    #[test]
    fn the_challenge_is_the_one_of_the_example_in_rfc_7636_appendix_b() {
        // I4
        let verifier = Secret::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(
            challenge(&verifier),
            "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
        );
    }

    #[test]
    fn what_is_drawn_is_a_verifier_and_never_comes_twice() {
        // I4
        let drawn: Vec<_> = (0..100).map(|_| unguessable().unwrap()).collect();
        for (i, one) in drawn.iter().enumerate() {
            let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
            assert!(one.expose().len() >= 43 && one.expose().bytes().all(unreserved));
            for (j, other) in drawn.iter().enumerate() {
                assert_eq!(is_same(one, other.expose()), i == j);
            }
        }
    }
}
