//! A private key in a file that may be replaced while the process runs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, HowFar};
use crate::signer::algorithm::SigningAlgorithm;
use crate::signer::signing_key::SigningKey;

/// A private key in a file, as PEM or as JWK ([`SigningKey::from_pem`], [`SigningKey::from_jwk`]), that
/// is read for each assertion.
///
/// The next assertion after the file was replaced is signed with the new key. While the file is away,
/// half written or wrong, the key that it had before signs, and each token request says so by
/// [`Event::SigningKeyUnreadable`](crate::Event::SigningKeyUnreadable). If there was none before, token
/// requests fail: with [`ErrorKind::Unavailable`] while the file cannot be read or is empty, otherwise
/// with [`ErrorKind::Settings`].
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
    known: Arc<Mutex<Known>>,
}

/// What the file had in it. Parsing an RSA key takes longer than reading it.
#[derive(Default)]
struct Known {
    key: Option<(Fingerprint, SigningKey)>,
    fault: Option<Error>,
}

type Fingerprint = [u8; 32];

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
        let texts = self.texts().await;
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let read = texts.and_then(|texts| {
            let fingerprint = texts.fingerprint();
            match &known.key {
                Some((same, key)) if *same == fingerprint => Ok((fingerprint, key.clone())),
                _ => Ok((fingerprint, self.parse(&texts)?)),
            }
        });
        match (read, &known.key) {
            (Ok((fingerprint, key)), _) => {
                known.key = Some((fingerprint, key.clone()));
                known.fault = None;
                Ok(key)
            }
            (Err(fault), Some((_, key))) => {
                let key = key.clone();
                known.fault = Some(fault);
                Ok(key)
            }
            (Err(fault), None) => Err(fault),
        }
    }

    /// What was wrong with the file when it was last read, if the key before was taken in its place.
    pub(crate) fn fault(&self) -> Option<Error> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.fault.clone()
    }

    async fn texts(&self) -> Result<Texts, Error> {
        Ok(Texts {
            key: read_file(&self.path).await?,
            certificates: match &self.certificates {
                Some(path) => Some(read_file(path).await?),
                None => None,
            },
        })
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

/// What was read at one time.
struct Texts {
    key: Zeroizing<String>,
    certificates: Option<Zeroizing<String>>,
}

impl Texts {
    fn fingerprint(&self) -> Fingerprint {
        let certificates = self.certificates.as_deref();
        Sha256::new()
            // No length of one can pass for a part of the other.
            .chain_update(self.key.len().to_be_bytes())
            .chain_update(&*self.key)
            .chain_update(certificates.map_or("", String::as_str))
            .finalize()
            .into()
    }
}

/// A file that is being replaced can be away or empty for an instant.
async fn read_file(path: &Path) -> Result<Zeroizing<String>, Error> {
    let shown = path.display();
    let fault = |fault: &str| {
        let message = format!("the key file {shown} {fault}");
        Error::new(ErrorKind::Unavailable, message).got(HowFar::NotSent)
    };
    let text = tokio::fs::read_to_string(path)
        .await
        .map(Zeroizing::new)
        .map_err(|error| fault("cannot be read").with_source(error))?;
    if text.trim().is_empty() {
        return Err(fault("is empty"));
    }
    Ok(text)
}
