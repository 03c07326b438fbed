//! The key of a session, as it is written with a sign-in that has begun.

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::dpop::SessionKey;
use crate::secret::Secret;

#[derive(Serialize, Deserialize)]
pub(super) struct KeptKey {
    algorithm: String,
    pem: Zeroizing<String>,
}

impl KeptKey {
    pub(super) fn of(key: &SessionKey) -> Self {
        Self {
            algorithm: key.algorithm().to_owned(),
            pem: Zeroizing::new(key.pem().expose().to_owned()),
        }
    }

    /// # Errors
    /// If it is none, or this build knows no keys.
    pub(super) fn read(&self) -> Result<SessionKey, String> {
        let pem = Secret::new(self.pem.as_str());
        SessionKey::read(pem, self.algorithm.clone()).map_err(|error| error.to_string())
    }
}
