//! Where a value stands in a configuration, as a message names it: `clients.orders.base_url`.

use std::fmt;

/// The keys from the outermost table to the value.
#[derive(Clone)]
pub(super) struct KeyPath(String);

impl KeyPath {
    /// Where the program has the whole: nowhere in particular, or below a key of its own.
    pub(super) fn root(prefix: &str) -> Self {
        Self(prefix.to_owned())
    }

    /// The key of an entry of the table that this is.
    pub(super) fn join(&self, key: &str) -> Self {
        let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        // In quotes as TOML has it, and a control character as an escape, so that a message stays a line.
        let key = if !key.is_empty() && key.bytes().all(is_bare) {
            key.to_owned()
        } else {
            format!("{key:?}")
        };
        Self(match self.0.as_str() {
            "" => key,
            before => format!("{before}.{key}"),
        })
    }

    /// The same for what one of our own names says, of which some lead two tables down.
    pub(super) fn join_all(&self, keys: &str) -> Self {
        keys.split('.')
            .fold(self.clone(), |path, key| path.join(key))
    }

    /// The value at this place in the list that this is, counted from 0.
    pub(super) fn at(&self, index: usize) -> Self {
        Self(format!("{}[{index}]", self.0))
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
