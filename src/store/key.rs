//! The name that a record has in a store.

use std::fmt;

use sha2::{Digest, Sha256};

/// The name of one record: a digest (SHA-256) of who was granted what.
///
/// A digest, because the subject is part of it: a session id is as good as a password, and whoever
/// can list the keys of a store must not find any. `Display` is 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StoreKey([u8; 32]);

impl StoreKey {
    /// The key of these parts; no two lists of parts have the same one. The crate makes its keys by
    /// itself; this is for the tests of a store of your own.
    #[must_use]
    pub fn of(parts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut digest = Sha256::new();
        for part in parts {
            let part = part.as_ref();
            // With its length before it, or ["ab", "c"] would be ["a", "bc"].
            digest.update(part.len().to_be_bytes());
            digest.update(part.as_bytes());
        }
        Self(digest.finalize().into())
    }

    /// The key whose 64 hexadecimal digits these are.
    pub(crate) fn from_digits(digits: &str) -> Option<Self> {
        let mut bytes = [0; 32];
        if digits.len() != 64 || !digits.is_ascii() {
            return None;
        }
        for (number, byte) in bytes.iter_mut().enumerate() {
            let digits = digits.get(2 * number..2 * number + 2)?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// The 32 bytes of the digest.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for StoreKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for StoreKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "StoreKey({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::StoreKey;

    #[test]
    fn no_two_lists_of_parts_have_one_key() {
        // D8
        let lists: [&[&str]; 7] = [
            &[],
            &[""],
            &["", ""],
            &["ab", "c"],
            &["a", "bc"],
            &["abc"],
            &["abc", ""],
        ];
        for (i, one) in lists.iter().enumerate() {
            for (j, other) in lists.iter().enumerate() {
                let same = StoreKey::of(one.iter().copied()) == StoreKey::of(other.iter().copied());
                assert_eq!(same, i == j, "{one:?} {other:?}");
            }
        }
    }
}
