//! How a shared store keeps what it is given: encrypted, or as it is.

use std::fmt;

/// Whether others who can read a shared store can read the tokens in it.
///
/// There is no default: whoever opens such a store says one of the two words.
#[must_use]
pub struct Protection(Kind);

pub(super) enum Kind {
    PlainText,
}

impl Protection {
    /// Tokens as they are. Whoever can read the store, one of its backups or the network on the
    /// way there has the refresh token of every user, and can act as every one of them.
    pub fn plain_text() -> Self {
        Self(Kind::PlainText)
    }

    pub(super) fn into_kind(self) -> Kind {
        self.0
    }
}

impl fmt::Debug for Protection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Kind::PlainText => "Protection::plain_text",
        })
    }
}
