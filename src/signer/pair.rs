//! A key pair as the cryptographic library has it.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::error::{KeyRejected, Unspecified};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
    EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaKeyPair,
};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, HowFar};
use crate::signer::algorithm::SigningAlgorithm;
use crate::signer::public_jwk::PublicJwk;

/// A private key with its public one, checked.
pub(crate) enum Pair {
    P256(EcdsaKeyPair),
    P384(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

/// The curves of ECDSA that are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Curve {
    P256,
    P384,
}

impl Curve {
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        match name {
            "P-256" => Some(Self::P256),
            "P-384" => Some(Self::P384),
            _ => None,
        }
    }

    pub(crate) fn algorithm(self) -> &'static EcdsaSigningAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED_SIGNING,
            Self::P384 => &ECDSA_P384_SHA384_FIXED_SIGNING,
        }
    }
}

impl Pair {
    pub(crate) fn ec(curve: Curve, pair: Result<EcdsaKeyPair, KeyRejected>) -> Result<Self, Error> {
        let pair = pair.map_err(|_| broken())?;
        Ok(match curve {
            Curve::P256 => Self::P256(pair),
            Curve::P384 => Self::P384(pair),
        })
    }

    pub(crate) fn ed25519(pair: Result<Ed25519KeyPair, KeyRejected>) -> Result<Self, Error> {
        pair.map(Self::Ed25519).map_err(|_| broken())
    }

    pub(crate) fn rsa(pair: Result<RsaKeyPair, KeyRejected>) -> Result<Self, Error> {
        pair.map(Self::Rsa)
            .map_err(|rejected| match rejected.description_() {
                "TooSmall" => Error::settings(
                    "the RSA key is too short: it has fewer than the 2048 bits that RFC 7518 section \
                     3.3 asks for",
                ),
                "TooLarge" => {
                    Error::settings("the RSA key is too long: it has more than 8192 bits")
                }
                _ => broken(),
            })
    }

    pub(crate) fn generate(algorithm: SigningAlgorithm) -> Result<Self, Error> {
        let pair = match algorithm {
            SigningAlgorithm::Es256 => {
                EcdsaKeyPair::generate(Curve::P256.algorithm()).map(Self::P256)
            }
            SigningAlgorithm::Es384 => {
                EcdsaKeyPair::generate(Curve::P384.algorithm()).map(Self::P384)
            }
            SigningAlgorithm::EdDsa => Ed25519KeyPair::generate().map(Self::Ed25519),
            _ => RsaKeyPair::generate(KeySize::Rsa2048).map(Self::Rsa),
        };
        pair.map_err(|_| unable("the key cannot be generated"))
    }

    /// What it signs with where neither a JWK nor a setting says.
    pub(crate) fn usual_algorithm(&self) -> SigningAlgorithm {
        match self {
            Self::P256(_) => SigningAlgorithm::Es256,
            Self::P384(_) => SigningAlgorithm::Es384,
            // What every server takes.
            Self::Rsa(_) => SigningAlgorithm::Rs256,
            Self::Ed25519(_) => SigningAlgorithm::EdDsa,
        }
    }

    /// Whether it can sign by this algorithm.
    pub(crate) fn allows(&self, algorithm: SigningAlgorithm) -> bool {
        use SigningAlgorithm::{Ps256, Ps384, Ps512, Rs256, Rs384, Rs512};
        match self {
            Self::Rsa(_) => matches!(algorithm, Rs256 | Rs384 | Rs512 | Ps256 | Ps384 | Ps512),
            Self::P256(_) | Self::P384(_) | Self::Ed25519(_) => algorithm == self.usual_algorithm(),
        }
    }

    /// What kind of key it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::P256(_) => "on P-256",
            Self::P384(_) => "on P-384",
            Self::Rsa(_) => "of RSA",
            Self::Ed25519(_) => "on Ed25519",
        }
    }

    pub(crate) fn sign(
        &self,
        algorithm: SigningAlgorithm,
        message: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let random = SystemRandom::new();
        let signed = match self {
            Self::P256(pair) | Self::P384(pair) => pair
                .sign(&random, message)
                .map(|signature| signature.as_ref().to_vec()),
            Self::Ed25519(pair) => pair
                .try_sign(message)
                .map(|signature| signature.as_ref().to_vec()),
            Self::Rsa(pair) => {
                let padding = match algorithm {
                    SigningAlgorithm::Rs384 => &RSA_PKCS1_SHA384,
                    SigningAlgorithm::Rs512 => &RSA_PKCS1_SHA512,
                    SigningAlgorithm::Ps256 => &RSA_PSS_SHA256,
                    SigningAlgorithm::Ps384 => &RSA_PSS_SHA384,
                    SigningAlgorithm::Ps512 => &RSA_PSS_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(padding, &random, message, &mut signature)
                    .map(|()| signature)
            }
        };
        signed.map_err(|_| unable("the key cannot sign"))
    }

    pub(crate) fn public_jwk(&self) -> PublicJwk {
        let halves = |point: &[u8]| {
            // Uncompressed: 4, X and Y (SEC 1 section 2.3.3).
            let coordinates = point.get(1..).unwrap_or_default();
            let (x, y) = coordinates.split_at(coordinates.len() / 2);
            (x.to_vec(), y.to_vec())
        };
        match self {
            Self::P256(pair) => {
                let (x, y) = halves(pair.public_key().as_ref());
                PublicJwk::ec("P-256", &x, &y)
            }
            Self::P384(pair) => {
                let (x, y) = halves(pair.public_key().as_ref());
                PublicJwk::ec("P-384", &x, &y)
            }
            Self::Ed25519(pair) => PublicJwk::ed25519(pair.public_key().as_ref()),
            Self::Rsa(pair) => PublicJwk::rsa(
                pair.public_key()
                    .modulus()
                    .big_endian_without_leading_zero(),
                pair.public_key()
                    .exponent()
                    .big_endian_without_leading_zero(),
            ),
        }
    }

    /// What each certificate of this key has in it: the point or the modulus.
    pub(crate) fn public_bytes(&self) -> Vec<u8> {
        match self {
            Self::P256(pair) | Self::P384(pair) => pair.public_key().as_ref().to_vec(),
            Self::Ed25519(pair) => pair.public_key().as_ref().to_vec(),
            Self::Rsa(pair) => pair
                .public_key()
                .modulus()
                .big_endian_without_leading_zero()
                .to_vec(),
        }
    }

    /// The private key as PKCS#8 (RFC 5958).
    pub(crate) fn to_pkcs8(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let der = match self {
            Self::P256(pair) | Self::P384(pair) => {
                pair.to_pkcs8v1().map(|der| der.as_ref().to_vec())
            }
            Self::Ed25519(pair) => pair.to_pkcs8v1().map(|der| der.as_ref().to_vec()),
            Self::Rsa(pair) => as_pkcs8(pair),
        };
        der.map(Zeroizing::new)
            .map_err(|_| unable("the key cannot be written as PKCS#8"))
    }
}

fn as_pkcs8(pair: &RsaKeyPair) -> Result<Vec<u8>, Unspecified> {
    pair.as_der().map(|der| der.as_ref().to_vec())
}

fn broken() -> Error {
    Error::settings(
        "the key is damaged: its parts do not belong together, or some are missing or cut off",
    )
}

fn unable(message: &str) -> Error {
    Error::new(ErrorKind::Unavailable, message).got(HowFar::NotSent)
}
