//! Who signs: keys that this process has, and those that something else keeps.

use std::future::Future;

use crate::error::Error;

mod algorithm;
pub(crate) mod certificates;
mod der;
pub(crate) mod files;
pub(crate) mod hmac;
mod jws;
mod key_file;
mod key_source;
mod pair;
pub(crate) mod pem;
mod private_jwk;
mod public_jwk;
mod signing_key;

pub use algorithm::SigningAlgorithm;
pub use jws::Jws;
#[cfg(feature = "dpop")]
pub(crate) use jws::WrittenHeader;
pub use key_file::SigningKeyFile;
pub use key_source::SigningKeySource;
pub use public_jwk::PublicJwk;
pub use signing_key::SigningKey;

/// Something that signs with a private key: a [`SigningKey`], or a key that never leaves a KMS or an HSM.
///
/// Write your own as a plain `async fn`:
///
/// ```
/// use reqwest_bearer::{Error, Signer, SigningAlgorithm};
///
/// struct Kms {
///     key: String,
/// }
///
/// impl Signer for Kms {
///     fn algorithm(&self) -> SigningAlgorithm {
///         SigningAlgorithm::Es256
///     }
///
///     fn key_id(&self) -> Option<&str> {
///         Some(&self.key)
///     }
///
///     async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
///         let der = sign_with_the_kms(&self.key, message).await?;
///         self.algorithm().signature_from_der(&der)
///     }
/// }
/// # async fn sign_with_the_kms(_: &str, _: &[u8]) -> Result<Vec<u8>, Error> {
/// #     Err(Error::unavailable("the KMS does not answer"))
/// # }
/// ```
///
/// It is asked anew for each request, with a new message each time.
pub trait Signer: Send + Sync + 'static {
    /// The algorithm of all its signatures.
    fn algorithm(&self) -> SigningAlgorithm;

    /// What the server knows the key by (`kid`, RFC 7515 section 4.1.4).
    /// Default: nothing, which suits servers that know one key of this client.
    fn key_id(&self) -> Option<&str> {
        None
    }

    /// The certificate of the key and those that vouch for it, each as DER, its own first, where the
    /// server knows the key by its certificate.
    /// Default: none.
    fn certificates(&self) -> &[Vec<u8>] {
        &[]
    }

    /// Signs the message: the bytes themselves, not a digest of them.
    ///
    /// The signature is in the form of RFC 7518 section 3: an ECDSA one is R and S beside each other, 64
    /// bytes with [`Es256`](SigningAlgorithm::Es256). Where something signs in DER, as most KMS do,
    /// [`SigningAlgorithm::signature_from_der`] makes the one of the other.
    ///
    /// # Errors
    /// Any, without a secret in its text. Nothing has been sent then, so the attempt is repeated where
    /// the [kind](Error::kind) allows it.
    fn sign(&self, message: &[u8]) -> impl Future<Output = Result<Vec<u8>, Error>> + Send;
}
