//! The key of one user's session, with the text that a record keeps of it.

use std::fmt;
use std::sync::Arc;

use crate::dpop::key::DpopKey;
use crate::error::Error;
use crate::secret::Secret;

/// A key that is kept: as PKCS#8 in PEM, beside the name of its algorithm, which is not in there. Cheap to
/// clone, and no larger than a pointer, since most records have none.
#[derive(Clone)]
pub(crate) struct SessionKey(Arc<Kept>);

struct Kept {
    key: DpopKey,
    pem: Secret,
    algorithm: String,
}

impl SessionKey {
    /// # Errors
    /// If something else keeps the key, so that there is no text of it.
    pub(crate) fn of(key: &DpopKey) -> Result<Self, Error> {
        let Some(kept) = key.kept() else {
            return Err(Error::settings(
                "the DPoP key of a session is kept in its record, and this one is kept by a signer of \
                 its own; give each session a key from `DpopKey::generate`",
            ));
        };
        let (pem, algorithm) = kept?;
        let key = key.clone();
        Ok(Self(Arc::new(Kept {
            key,
            pem,
            algorithm,
        })))
    }

    /// The key of a record.
    ///
    /// # Errors
    /// If it is none, or this build knows no keys.
    pub(crate) fn read(pem: Secret, algorithm: String) -> Result<Self, Error> {
        let key = DpopKey::read(&pem, &algorithm)?;
        Ok(Self(Arc::new(Kept {
            key,
            pem,
            algorithm,
        })))
    }

    pub(crate) fn key(&self) -> &DpopKey {
        &self.0.key
    }

    pub(crate) fn pem(&self) -> &Secret {
        &self.0.pem
    }

    pub(crate) fn algorithm(&self) -> &str {
        &self.0.algorithm
    }
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("SessionKey")
            .field(self.key())
            .finish()
    }
}
