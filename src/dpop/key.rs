//! The key that tokens are bound to.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::HeaderValue;

use crate::dpop::proof::Sending;
use crate::dpop::proof_id::ProofIds;
use crate::error::{Error, HowFar};
use crate::secret::Secret;

#[cfg(feature = "dpop")]
use crate::signer::{Jws, PublicJwk, Signer, SigningAlgorithm, SigningKey, WrittenHeader};

/// A private key that tokens are bound to (RFC 9449): with each request that carries such a token goes a
/// proof, signed with it, of having it. Whoever steals the token alone cannot use it.
///
/// ```
/// # fn source(endpoint: reqwest_bearer::TokenEndpoint) -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::{ClientCredentials, DpopKey, TokenSource};
///
/// let key = DpopKey::generate()?;
/// let source = TokenSource::builder(ClientCredentials::new(endpoint)).dpop(&key).build()?;
/// # Ok(()) }
/// ```
///
/// Clones share it. Two are equal if their public keys are. `Debug` shows the thumbprint alone.
#[derive(Clone)]
pub struct DpopKey(Arc<dyn Prover>);

/// A private key as PEM, and the name of its algorithm.
type Kept = Result<(Secret, String), Error>;

type Signed<'key> = Pin<Box<dyn Future<Output = Result<String, Error>> + Send + 'key>>;

/// What a key does, whoever keeps it.
trait Prover: Send + Sync {
    fn thumbprint(&self) -> &str;
    fn proof_ids(&self) -> &ProofIds;
    /// A proof with these claims.
    fn sign(&self, claims: Vec<u8>) -> Signed<'_>;
    /// The private key as PEM and the name of its algorithm; `None` if something else keeps it.
    fn kept(&self) -> Option<Kept>;
}

#[cfg(feature = "dpop")]
impl DpopKey {
    /// A new key for ES256, which every server with DPoP knows. Tokens that outlive the process want a key
    /// that does, too: [`from_key`](Self::from_key).
    ///
    /// # Errors
    /// If the operating system gives no random numbers.
    pub fn generate() -> Result<Self, Error> {
        SigningKey::generate(SigningAlgorithm::Es256).map(Self::from_key)
    }

    /// A key that the program keeps.
    #[must_use]
    pub fn from_key(key: SigningKey) -> Self {
        let public = key.public_jwk();
        Self::new(key.clone(), &public, Some(key))
    }

    /// A key that something else keeps, such as a KMS, with its public part. It signs for each request, so
    /// one that is far away makes each request wait. Its algorithm and its key id are read here, once.
    #[must_use]
    pub fn from_signer(signer: impl Signer, public: &PublicJwk) -> Self {
        Self::new(signer, public, None)
    }

    /// The thumbprint of the public key (RFC 7638): the `dpop_jkt` of an authorization request (RFC 9449
    /// section 10), and the `jkt` that the server writes into the tokens.
    #[must_use]
    pub fn thumbprint(&self) -> &str {
        self.0.thumbprint()
    }

    fn new(signer: impl Signer, public: &PublicJwk, kept: Option<SigningKey>) -> Self {
        let header = Jws::new([])
            .header("typ", "dpop+jwt")
            .header("jwk", public.to_value())
            .write_header(&signer);
        Self(Arc::new(SigningProver {
            signer,
            header,
            thumbprint: public.thumbprint(),
            proof_ids: ProofIds::default(),
            kept,
        }))
    }
}

impl DpopKey {
    /// The key that a record has kept.
    ///
    /// # Errors
    /// If the text is none of this algorithm.
    #[cfg(feature = "dpop")]
    pub(crate) fn read(pem: &Secret, algorithm: &str) -> Result<Self, Error> {
        let Some(algorithm) = SigningAlgorithm::of_name(algorithm) else {
            return Err(Error::settings(
                "the key of the session has an unknown algorithm",
            ));
        };
        let key = SigningKey::from_pem(pem.expose())?.with_algorithm(algorithm)?;
        Ok(Self::from_key(key))
    }

    #[cfg(not(feature = "dpop"))]
    pub(crate) fn read(_: &Secret, _: &str) -> Result<Self, Error> {
        Err(Error::settings(
            "the session is bound to a key, and the feature `dpop` is off",
        ))
    }

    /// The private key as PEM and the name of its algorithm, for a record; `None` if something else keeps
    /// it.
    pub(crate) fn kept(&self) -> Option<Kept> {
        self.0.kept()
    }

    /// The same, whatever the features.
    pub(crate) fn jkt(&self) -> &str {
        self.0.thumbprint()
    }

    /// A proof for this sending, marked as sensitive.
    ///
    /// # Errors
    /// If the key cannot sign, or nothing random can be had.
    pub(crate) async fn proof(&self, sending: &Sending<'_>) -> Result<HeaderValue, Error> {
        let id = self.0.proof_ids().next()?;
        let signed = self.0.sign(sending.claims(&id)).await?;
        // It moves, so that no copy of it stays behind.
        let mut header = HeaderValue::try_from(signed).map_err(|_| {
            Error::settings("the proof of the DPoP key cannot be sent as a header")
                .got(HowFar::NotSent)
        })?;
        header.set_sensitive(true);
        Ok(header)
    }
}

impl PartialEq for DpopKey {
    fn eq(&self, other: &Self) -> bool {
        self.jkt() == other.jkt()
    }
}

impl Eq for DpopKey {}

impl fmt::Debug for DpopKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DpopKey")
            .field("thumbprint", &self.jkt())
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "dpop")]
struct SigningProver<S> {
    signer: S,
    /// The same in each proof: it says which key that is.
    header: WrittenHeader,
    thumbprint: String,
    proof_ids: ProofIds,
    /// The signer, if it is a key that this process has.
    kept: Option<SigningKey>,
}

#[cfg(feature = "dpop")]
impl<S: Signer> Prover for SigningProver<S> {
    fn thumbprint(&self) -> &str {
        &self.thumbprint
    }

    fn proof_ids(&self) -> &ProofIds {
        &self.proof_ids
    }

    fn sign(&self, claims: Vec<u8>) -> Signed<'_> {
        Box::pin(async move { self.header.sign(&claims, &self.signer).await })
    }

    fn kept(&self) -> Option<Kept> {
        let key = self.kept.as_ref()?;
        let algorithm = key.algorithm().to_string();
        Some(key.to_pem().map(|pem| (pem, algorithm)))
    }
}
