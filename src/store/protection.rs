//! How a shared store keeps what it is given: encrypted, or as it is.

use std::fmt;

use crate::store::EncryptionKeys;

/// Whether others who can read a shared store can read the tokens in it.
///
/// There is no default: whoever opens such a store says one of the two words.
#[must_use]
pub struct Protection(
    /// None for plain text.
    Option<EncryptionKeys>,
);

impl Protection {
    /// Tokens encrypted with these keys, as [`EncryptedStore`](crate::EncryptedStore) does it. The
    /// keys have to be kept where the store and its backups are not.
    pub fn encrypted(keys: EncryptionKeys) -> Self {
        Self(Some(keys))
    }

    /// Tokens as they are. Whoever can read the store, one of its backups or the network on the
    /// way there has the refresh token of every user, and can act as every one of them.
    pub fn plain_text() -> Self {
        Self(None)
    }

    /// The keys for an [`EncryptedStore`](crate::EncryptedStore) around the store that is opened, `None` for
    /// plain text: for a shared store of your own.
    #[must_use]
    pub fn into_keys(self) -> Option<EncryptionKeys> {
        self.0
    }
}

impl fmt::Debug for Protection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Some(_) => "Protection::encrypted",
            None => "Protection::plain_text",
        })
    }
}
