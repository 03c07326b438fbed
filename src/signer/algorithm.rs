//! The algorithms of signatures.

use std::fmt;

use crate::error::Error;
use crate::signer::der;

/// A signature algorithm for JWS (RFC 7518 section 3.1, RFC 8037 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SigningAlgorithm {
    /// ECDSA on P-256 with SHA-256.
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// RSASSA-PSS with SHA-256.
    Ps256,
    /// RSASSA-PSS with SHA-384.
    Ps384,
    /// RSASSA-PSS with SHA-512.
    Ps512,
    /// Ed25519.
    EdDsa,
}

impl SigningAlgorithm {
    /// All of them.
    pub(crate) const ALL: [Self; 9] = [
        Self::Es256,
        Self::Es384,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::EdDsa,
    ];

    /// Its registered name, e.g. `ES256`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The algorithm of this name, if it is one of ours.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.as_str() == name)
    }

    /// An ECDSA signature as JWS has it, from one in DER (RFC 3279 section 2.2.3), which is what KMS and
    /// HSMs give. A signature of another algorithm is the same in both worlds, and is returned as it is.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) if it is no such signature.
    pub fn signature_from_der(self, signature: &[u8]) -> Result<Vec<u8>, Error> {
        let Some(length) = self.coordinate_length() else {
            return Ok(signature.to_vec());
        };
        der::two_integers(signature, length).ok_or_else(|| {
            Error::settings(format!(
                "the signature is not an {self} one in DER, which is a sequence of two numbers"
            ))
        })
    }

    /// How many bytes a signature has, where that does not depend on the key.
    pub(crate) fn signature_length(self) -> Option<usize> {
        match self {
            Self::EdDsa => Some(64),
            _ => self.coordinate_length().map(|length| 2 * length),
        }
    }

    /// How many bytes each half of a signature has, where it has two.
    pub(crate) fn coordinate_length(self) -> Option<usize> {
        match self {
            Self::Es256 => Some(32),
            Self::Es384 => Some(48),
            _ => None,
        }
    }
}

impl fmt::Display for SigningAlgorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::SigningAlgorithm;

    #[test]
    fn a_name_is_read_as_it_is_written_and_nothing_else_is_one() {
        // H1
        for algorithm in SigningAlgorithm::ALL {
            assert_eq!(
                SigningAlgorithm::of_name(algorithm.as_str()),
                Some(algorithm)
            );
        }
        for name in ["", "none", "HS256", "es256", "ES256K", "ES512"] {
            assert_eq!(SigningAlgorithm::of_name(name), None, "{name}");
        }
    }

    #[test]
    fn a_signature_in_der_gets_its_zeros_back_and_loses_its_sign_byte() {
        // H2
        let mut der = vec![0x30, 2 + 33 + 2 + 1, 0x02, 33, 0x00];
        der.extend([0xff; 32]);
        der.extend([0x02, 1, 0x05]);
        let mut expected = vec![0xff; 32];
        expected.extend([0; 31]);
        expected.push(5);
        let es256 = SigningAlgorithm::Es256;
        assert_eq!(es256.signature_from_der(&der).unwrap(), expected);
        for cut in 0..der.len() {
            assert!(es256.signature_from_der(&der[..cut]).is_err(), "{cut}");
        }
        der.push(0);
        assert!(es256.signature_from_der(&der).is_err());
        let rs256 = SigningAlgorithm::Rs256;
        assert_eq!(rs256.signature_from_der(&der).unwrap(), der);
    }
}
