//! Where the key comes from that a client signs with: asked for each assertion.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, HowFar};
use crate::signer::key_file::SigningKeyFile;
use crate::signer::{Signer, SigningAlgorithm};

/// The key that a client signs its assertions with: a [`SigningKey`](crate::SigningKey) or another
/// [`Signer`], a [`SigningKeyFile`], or a function.
///
/// Files and functions are asked for each assertion, so that a key can be replaced while the process
/// runs.
///
/// ```
/// use reqwest_bearer::{ClientAuthentication, SigningKey, SigningKeyFile, SigningKeySource};
///
/// # fn clients(pem: &str) -> Result<(), reqwest_bearer::Error> {
/// // A key in memory:
/// let key = SigningKey::from_pem(pem)?.with_key_id("2026-01");
/// ClientAuthentication::private_key_jwt("my-client", key);
/// // A file, such as a mounted secret of Kubernetes:
/// let file = SigningKeyFile::new("/run/secrets/client-key.pem");
/// ClientAuthentication::private_key_jwt("my-client", file);
/// // A function, such as one that asks a vault:
/// let vault = SigningKeySource::from_fn(|| async { SigningKey::from_pem(read_from_the_vault().await) });
/// ClientAuthentication::private_key_jwt("my-client", vault);
/// # Ok(()) }
/// # async fn read_from_the_vault() -> String { String::new() }
/// ```
#[derive(Clone)]
pub struct SigningKeySource(Origin);

#[derive(Clone)]
enum Origin {
    Signer(SharedSigner),
    Function(Arc<dyn Fn() -> Reading + Send + Sync>),
    File(SigningKeyFile),
}

type Reading = Pin<Box<dyn Future<Output = Result<SharedSigner, Error>> + Send>>;

impl SigningKeySource {
    /// A function that is called for each assertion.
    ///
    /// An [`Error`] of this crate that it returns keeps its kind; any other becomes the source of
    /// an error of the kind [`ErrorKind::Unavailable`], so its text must hold no secret.
    #[must_use]
    pub fn from_fn<F, Fut, S, E>(read: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<S, E>> + Send + 'static,
        S: Signer,
        E: StdError + Send + Sync + 'static,
    {
        Self(Origin::Function(Arc::new(move || {
            let reading = read();
            Box::pin(async move { reading.await.map(SharedSigner::new).map_err(unreadable) })
        })))
    }

    /// Who signs now. Nothing has been sent yet, so an error may always be repeated.
    pub(crate) async fn read(&self) -> Result<SharedSigner, Error> {
        match &self.0 {
            Origin::Signer(signer) => Ok(signer.clone()),
            Origin::Function(read) => read().await,
            Origin::File(file) => file.read().await.map(SharedSigner::new),
        }
    }

    /// What is wrong with the file, as long as the key that it had before signs in its place.
    pub(crate) fn fault(&self) -> Option<Error> {
        match &self.0 {
            Origin::File(file) => file.fault(),
            Origin::Signer(_) | Origin::Function(_) => None,
        }
    }
}

impl<S: Signer> From<S> for SigningKeySource {
    fn from(signer: S) -> Self {
        Self(Origin::Signer(SharedSigner::new(signer)))
    }
}

impl From<SigningKeyFile> for SigningKeySource {
    fn from(file: SigningKeyFile) -> Self {
        Self(Origin::File(file))
    }
}

impl fmt::Debug for SigningKeySource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Origin::Signer(signer) => signer.fmt(formatter),
            Origin::Function(_) => formatter.write_str("[key from a function]"),
            Origin::File(file) => file.fmt(formatter),
        }
    }
}

fn unreadable<E: StdError + Send + Sync + 'static>(error: E) -> Error {
    match (&error as &dyn Any).downcast_ref::<Error>() {
        Some(own) => own.clone(),
        None => {
            Error::new(ErrorKind::Unavailable, "the signing key cannot be read").with_source(error)
        }
    }
    .got(HowFar::NotSent)
}

/// A signer of any type, shared.
#[derive(Clone)]
pub(crate) struct SharedSigner(Arc<dyn DynSigner>);

/// [`Signer`] with a boxed future, since a trait with an `async fn` is no object.
trait DynSigner: Send + Sync {
    fn algorithm(&self) -> SigningAlgorithm;
    fn key_id(&self) -> Option<&str>;
    fn certificates(&self) -> &[Vec<u8>];
    fn sign<'message>(&'message self, message: &'message [u8]) -> Signing<'message>;
}

type Signing<'message> = Pin<Box<dyn Future<Output = Result<Vec<u8>, Error>> + Send + 'message>>;

impl<S: Signer> DynSigner for S {
    fn algorithm(&self) -> SigningAlgorithm {
        Signer::algorithm(self)
    }

    fn key_id(&self) -> Option<&str> {
        Signer::key_id(self)
    }

    fn certificates(&self) -> &[Vec<u8>] {
        Signer::certificates(self)
    }

    fn sign<'message>(&'message self, message: &'message [u8]) -> Signing<'message> {
        Box::pin(Signer::sign(self, message))
    }
}

impl SharedSigner {
    pub(crate) fn new(signer: impl Signer) -> Self {
        Self(Arc::new(signer))
    }
}

impl Signer for SharedSigner {
    fn algorithm(&self) -> SigningAlgorithm {
        self.0.algorithm()
    }

    fn key_id(&self) -> Option<&str> {
        self.0.key_id()
    }

    fn certificates(&self) -> &[Vec<u8>] {
        self.0.certificates()
    }

    async fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.0.sign(message).await
    }
}

impl fmt::Debug for SharedSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Signer")
            .field("algorithm", &self.0.algorithm())
            .field("key_id", &self.0.key_id())
            .finish_non_exhaustive()
    }
}
