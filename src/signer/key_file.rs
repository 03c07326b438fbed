//! A private key in a file that may be replaced while the process runs.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use crate::error::{Error, HowFar};
use crate::signer::algorithm::SigningAlgorithm;
use crate::signer::files::{LastGood, Texts};
use crate::signer::signing_key::SigningKey;

/// A private key in a file, as PEM or as JWK ([`SigningKey::from_pem`], [`SigningKey::from_jwk`]), that
/// is read for each assertion.
///
/// The next assertion after the file was replaced is signed with the new key. While the file is away,
/// half written or wrong, the key that it had before signs, and each token request says so by
/// [`Event::SigningKeyUnreadable`](crate::Event::SigningKeyUnreadable). If there was none before, token
/// requests fail: with [`ErrorKind::Unavailable`](crate::ErrorKind::Unavailable) while the file cannot be read or
/// is empty, otherwise with [`ErrorKind::Settings`](crate::ErrorKind::Settings).
///
/// ```
/// use reqwest_bearer::{ClientAuthentication, SigningAlgorithm, SigningKeyFile};
///
/// let key = SigningKeyFile::new("/run/secrets/client.pem")
///     .certificates("/run/secrets/client.crt")
///     .algorithm(SigningAlgorithm::Ps256);
/// let client = ClientAuthentication::private_key_jwt("my-client", key);
/// ```
#[derive(Clone)]
pub struct SigningKeyFile {
    path: PathBuf,
    certificates: Option<PathBuf>,
    key_id: Option<Arc<str>>,
    algorithm: Option<SigningAlgorithm>,
    known: Arc<LastGood<SigningKey>>,
}

impl SigningKeyFile {
    /// The key in this file. Nothing is read before the first assertion.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            certificates: None,
            key_id: None,
            algorithm: None,
            known: Arc::default(),
        }
    }

    /// Where its certificates are, as PEM, that of the key first. The key and this file are replaced one
    /// after the other, so until they belong together the ones before serve.
    /// Default: in the file of the key, if it has any.
    #[must_use]
    pub fn certificates(self, path: impl Into<PathBuf>) -> Self {
        Self {
            certificates: Some(path.into()),
            ..self.unread()
        }
    }

    /// What the server knows the key by (`kid`), whatever the file says.
    /// Default: that of the JWK; none for PEM.
    #[must_use]
    pub fn key_id(self, key_id: impl AsRef<str>) -> Self {
        Self {
            key_id: Some(Arc::from(key_id.as_ref())),
            ..self.unread()
        }
    }

    /// What it signs by. A key that cannot counts as wrong.
    /// Default: as for [`SigningKey::with_algorithm`].
    #[must_use]
    pub fn algorithm(self, algorithm: SigningAlgorithm) -> Self {
        Self {
            algorithm: Some(algorithm),
            ..self.unread()
        }
    }

    /// What other settings made of the file is not for this one.
    fn unread(self) -> Self {
        Self {
            known: Arc::default(),
            ..self
        }
    }

    pub(crate) async fn read(&self) -> Result<SigningKey, Error> {
        let texts = Texts::read(&self.path, self.certificates.as_deref()).await;
        self.known.after(texts, |texts| self.parse(texts))
    }

    /// What was wrong with the file when it was last read, if the key before was taken in its place.
    pub(crate) fn fault(&self) -> Option<Error> {
        self.known.fault()
    }

    fn parse(&self, texts: &Texts) -> Result<SigningKey, Error> {
        let read = || {
            let is_jwk = texts.key.trim_start().starts_with('{');
            let mut key = if is_jwk {
                SigningKey::from_jwk(&*texts.key)?
            } else {
                SigningKey::from_pem(&*texts.key)?
            };
            if let Some(certificates) = &texts.certificates {
                key = key.with_certificates(&**certificates)?;
            }
            if let Some(algorithm) = self.algorithm {
                key = key.with_algorithm(algorithm)?;
            }
            Ok(match &self.key_id {
                Some(key_id) => key.with_key_id(key_id),
                None => key,
            })
        };
        let shown = self.path.display();
        read().map_err(|error: Error| {
            Error::settings(format!("the key file {shown}: {error}")).got(HowFar::NotSent)
        })
    }
}

impl fmt::Debug for SigningKeyFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SigningKeyFile")
            .field("path", &self.path)
            .field("certificates", &self.certificates)
            .field("key_id", &self.key_id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
