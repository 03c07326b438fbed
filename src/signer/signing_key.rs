//! A private key that this process has.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};

use crate::error::Error;
use crate::secret::Secret;
use crate::signer::algorithm::SigningAlgorithm;
use crate::signer::pair::{Curve, Pair};
use crate::signer::pem::{self, Block, CERTIFICATE, PKCS1, PKCS8, SEC1};
use crate::signer::public_jwk::PublicJwk;
use crate::signer::{Signer, certificates, der, private_jwk};

/// A private key in memory: one of RSA with 2,048 bits or more, or one on P-256, P-384 or Ed25519.
///
/// Clones share it, and parsing it is done once. `Debug` shows its algorithm and key id alone; its memory
/// is wiped on drop.
///
/// ```
/// use reqwest_bearer::{SigningAlgorithm, SigningKey};
///
/// # fn main() -> Result<(), reqwest_bearer::Error> {
/// let generated = SigningKey::generate(SigningAlgorithm::Es256)?;
/// let kept = generated.to_pem()?;
/// let again = SigningKey::from_pem(kept.expose())?.with_key_id("2026-01");
/// assert_eq!(again.public_jwk().thumbprint(), generated.public_jwk().thumbprint());
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct SigningKey {
    pair: Arc<Pair>,
    algorithm: SigningAlgorithm,
    key_id: Option<Arc<str>>,
    certificates: Arc<[Vec<u8>]>,
}

impl SigningKey {
    /// The private key in a text of PEM: PKCS#8, SEC 1 (`EC PRIVATE KEY`) or PKCS#1
    /// (`RSA PRIVATE KEY`). Certificates beside it are taken for its own, the first for that of the key.
    /// An RSA key signs by `RS256`, see [`with_algorithm`](Self::with_algorithm).
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) for anything else, without any of the text: a
    /// public key, a certificate alone, a key that is encrypted, cut off, too short, on another curve.
    pub fn from_pem(text: impl AsRef<str>) -> Result<Self, Error> {
        let blocks = pem::blocks(text.as_ref()).map_err(|fault| wrong(fault.as_clause()))?;
        let mut keys = blocks.iter().filter_map(Self::of_block);
        let pair = match (keys.next(), keys.next()) {
            (Some(pair), None) => pair?,
            (Some(_), Some(_)) => return Err(wrong("has more than one private key in it")),
            (None, _) => return Err(wrong(pem::without_key(&blocks))),
        };
        let chain: Vec<_> = of_certificates(blocks);
        Self::new(pair).certified(chain)
    }

    /// The private key in a text of JSON (RFC 7517), of the type `EC`, `OKP` or `RSA`. Its `kid` and
    /// its `alg` are taken over; an RSA key without `alg` signs by `RS256`.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) for anything else, without any of the text: a
    /// public key, a set, one for another use.
    pub fn from_jwk(text: impl AsRef<str>) -> Result<Self, Error> {
        let jwk = private_jwk::parse(text.as_ref())?;
        let mut key = Self::new(jwk.pair);
        key.algorithm = jwk.algorithm.unwrap_or(key.algorithm);
        key.key_id = jwk.key_id.map(Arc::from);
        Ok(key)
    }

    /// A new key for this algorithm; one of RSA has 2,048 bits, and takes a good part of a second.
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    pub fn generate(algorithm: SigningAlgorithm) -> Result<Self, Error> {
        let mut key = Self::new(Pair::generate(algorithm)?);
        key.algorithm = algorithm;
        Ok(key)
    }

    /// The same key, which the server knows by this id (`kid`).
    /// Default: that of the JWK; none from PEM.
    #[must_use]
    pub fn with_key_id(mut self, key_id: impl AsRef<str>) -> Self {
        self.key_id = Some(Arc::from(key_id.as_ref()));
        self
    }

    /// The same key, which signs by this algorithm.
    /// Default: the one of its curve; for an RSA key that of the JWK, or else `RS256`.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) if a key of its kind cannot.
    pub fn with_algorithm(mut self, algorithm: SigningAlgorithm) -> Result<Self, Error> {
        if !self.pair.allows(algorithm) {
            let kind = self.pair.kind();
            return Err(Error::settings(format!(
                "a key {kind} cannot sign by {algorithm}"
            )));
        }
        self.algorithm = algorithm;
        Ok(self)
    }

    /// The same key with these certificates, a text of PEM with that of the key first.
    /// Default: those in the text of the key.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) if there is none, or the first is of another
    /// key.
    pub fn with_certificates(self, text: impl AsRef<str>) -> Result<Self, Error> {
        let blocks = pem::blocks(text.as_ref()).map_err(|fault| wrong(fault.as_clause()))?;
        let chain = of_certificates(blocks);
        if chain.is_empty() {
            return Err(wrong("has no certificate in it"));
        }
        self.certified(chain)
    }

    /// The public key.
    #[must_use]
    pub fn public_jwk(&self) -> PublicJwk {
        self.pair.public_jwk()
    }

    /// The private key as PKCS#8 in PEM (RFC 5958, RFC 7468 section 10), for whoever keeps it.
    /// [`from_pem`](Self::from_pem) reads it; neither key id nor algorithm are in it.
    ///
    /// # Errors
    /// If the cryptographic library has no memory.
    pub fn to_pem(&self) -> Result<Secret, Error> {
        let der = self.pair.to_pkcs8()?;
        let text = pem::write(PKCS8, &der);
        Ok(Secret::new(text.as_str()))
    }

    fn new(pair: Pair) -> Self {
        Self {
            algorithm: pair.usual_algorithm(),
            pair: Arc::new(pair),
            key_id: None,
            certificates: Arc::default(),
        }
    }

    fn certified(mut self, chain: Vec<Vec<u8>>) -> Result<Self, Error> {
        let public = self.pair.public_bytes();
        let own = chain.first();
        if own.is_some_and(|own| !certificates::is_of_key(own, &public)) {
            return Err(Error::settings(
                "the first certificate is of another key; put that of the private key first",
            ));
        }
        self.certificates = Arc::from(chain);
        Ok(self)
    }

    /// The key of a block, if it has a private one.
    fn of_block(block: &Block<'_>) -> Option<Result<Pair, Error>> {
        let der = &block.der[..];
        Some(match block.label {
            PKCS8 => of_pkcs8(der),
            SEC1 => of_curve(sec1_curve(der), der),
            PKCS1 => Pair::rsa(RsaKeyPair::from_der(der)),
            _ => return None,
        })
    }
}

impl Signer for SigningKey {
    fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }

    fn key_id(&self) -> Option<&str> {
        self.key_id.as_deref()
    }

    fn certificates(&self) -> &[Vec<u8>] {
        &self.certificates
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.pair.sign(self.algorithm, message)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningKey")
            .field("algorithm", &self.algorithm)
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

/// PrivateKeyInfo (RFC 5958 section 2): which kind of key is in there is told by its algorithm.
fn of_pkcs8(der: &[u8]) -> Result<Pair, Error> {
    let Some((algorithm, parameters)) = pkcs8_algorithm(der) else {
        return Err(wrong("is damaged or cut off: it is no PKCS#8"));
    };
    match algorithm {
        // ecPublicKey, rsaEncryption and Ed25519: RFC 5480 section 2.1.1, RFC 8017 appendix A.1, RFC 8410.
        [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01] => of_curve(parameters, der),
        [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01] => {
            Pair::rsa(RsaKeyPair::from_pkcs8(der))
        }
        [0x2b, 0x65, 0x70] => {
            // As OpenSSL writes it the public key is not in there.
            Pair::ed25519(Ed25519KeyPair::from_pkcs8_maybe_unchecked(der))
        }
        _ => Err(wrong(
            "has a key of an algorithm that is not ours; use RSA, P-256, P-384 or Ed25519",
        )),
    }
}

fn pkcs8_algorithm(mut der: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let mut info = der::take(&mut der, der::SEQUENCE)?;
    der::take(&mut info, der::INTEGER)?;
    let mut identifier = der::take(&mut info, der::SEQUENCE)?;
    let algorithm = der::take(&mut identifier, der::OID)?;
    Some((algorithm, der::take(&mut identifier, der::OID)))
}

/// The curve of an ECPrivateKey (RFC 5915 section 3).
fn sec1_curve(mut der: &[u8]) -> Option<&[u8]> {
    const PARAMETERS: u8 = 0xa0;
    let mut key = der::take(&mut der, der::SEQUENCE)?;
    der::take(&mut key, der::INTEGER)?;
    der::take(&mut key, der::OCTET_STRING)?;
    let mut parameters = der::take(&mut key, PARAMETERS)?;
    der::take(&mut parameters, der::OID)
}

fn of_curve(curve: Option<&[u8]>, der: &[u8]) -> Result<Pair, Error> {
    let curve = match curve {
        // RFC 5480 section 2.1.1.1.
        Some([0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07]) => Curve::P256,
        Some([0x2b, 0x81, 0x04, 0x00, 0x22]) => Curve::P384,
        Some(_) => {
            return Err(wrong(
                "has a key on a curve that is not ours; use P-256 or P-384",
            ));
        }
        None => return Err(wrong("is damaged or cut off: its curve has no name")),
    };
    Pair::ec(
        curve,
        EcdsaKeyPair::from_private_key_der(curve.algorithm(), der),
    )
}

fn of_certificates(blocks: Vec<Block<'_>>) -> Vec<Vec<u8>> {
    let certificates = blocks
        .into_iter()
        .filter(|block| block.label == CERTIFICATE);
    certificates.map(|block| block.der.to_vec()).collect()
}

fn wrong(clause: &str) -> Error {
    Error::settings(format!("the PEM of the key {clause}"))
}
