//! Files that may be replaced while the process runs: read as a whole, and believed only when what is in
//! them is good.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, HowFar};

/// Tells one content of the files from another.
pub(crate) type Fingerprint = [u8; 32];

/// What was read at one time.
pub(crate) struct Texts {
    pub(crate) key: Zeroizing<String>,
    /// If they have a file of their own.
    pub(crate) certificates: Option<Zeroizing<String>>,
}

/// What the files had in them when they were last good, and what has been wrong with them since.
pub(crate) struct LastGood<T>(Mutex<Known<T>>);

struct Known<T> {
    good: Option<(Fingerprint, T)>,
    fault: Option<Error>,
}

impl Texts {
    /// Reads the file of a key, and that of its certificates if they have one.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] if one is away or empty: a file that is being replaced can be either for
    /// an instant.
    pub(crate) async fn read(key: &Path, certificates: Option<&Path>) -> Result<Self, Error> {
        Ok(Self {
            key: read_file("key", key).await?,
            certificates: match certificates {
                Some(path) => Some(read_file("certificate", path).await?),
                None => None,
            },
        })
    }

    pub(crate) fn fingerprint(&self) -> Fingerprint {
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

async fn read_file(of: &str, path: &Path) -> Result<Zeroizing<String>, Error> {
    let shown = path.display();
    let fault = |fault: &str| {
        let message = format!("the {of} file {shown} {fault}");
        Error::new(ErrorKind::Unavailable, message).got(HowFar::NotSent)
    };
    let text = tokio::fs::read_to_string(path)
        .await
        .map(Zeroizing::new)
        .map_err(|error| match error.kind() {
            io::ErrorKind::InvalidData => Error::settings(format!(
                "the {of} file {shown} is no text; give it as PEM, not as DER"
            ))
            .got(HowFar::NotSent),
            _ => fault("cannot be read").with_source(error),
        })?;
    if text.trim().is_empty() {
        return Err(fault("is empty"));
    }
    Ok(text)
}

impl<T: Clone> LastGood<T> {
    /// What is to be used now: what was just read if it is good, and otherwise what was good before. It is
    /// parsed only where it is not what was parsed last, since that takes longer than reading it.
    ///
    /// # Errors
    /// What is wrong with what was read, if nothing was good before.
    pub(crate) fn after(
        &self,
        read: Result<Texts, Error>,
        parse: impl FnOnce(&Texts) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let read = read.and_then(|texts| {
            let fingerprint = texts.fingerprint();
            match &known.good {
                Some((same, good)) if *same == fingerprint => Ok((fingerprint, good.clone())),
                _ => Ok((fingerprint, parse(&texts)?)),
            }
        });
        match (read, &known.good) {
            (Ok((fingerprint, good)), _) => {
                known.good = Some((fingerprint, good.clone()));
                known.fault = None;
                Ok(good)
            }
            (Err(fault), Some((_, good))) => {
                let good = good.clone();
                known.fault = Some(fault);
                Ok(good)
            }
            (Err(fault), None) => Err(fault),
        }
    }

    /// What was wrong with the files when they were last read, if what was good before is used in their
    /// place.
    pub(crate) fn fault(&self) -> Option<Error> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.fault.clone()
    }
}

impl<T> Default for LastGood<T> {
    fn default() -> Self {
        Self(Mutex::new(Known {
            good: None,
            fault: None,
        }))
    }
}
