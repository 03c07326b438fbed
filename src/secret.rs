//! A text that never shows itself and is wiped from memory when it goes.

use std::borrow::Cow;
use std::fmt;

use zeroize::Zeroizing;

/// A secret text: a token, a client secret, an assertion, an authorization code.
///
/// Its `Debug` output is a fixed word, it has no `Display`, and its memory is zeroised on drop.
/// [`expose`](Secret::expose) is the one name that reads it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Takes the text into custody.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// The text itself. Search for this name to find every place that reads a secret.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[secret]")
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

/// So that `&std::env::var("TOKEN")?` will do, as it does wherever a plain text is taken.
impl From<&String> for Secret {
    fn from(text: &String) -> Self {
        Self::new(text)
    }
}

impl From<Box<str>> for Secret {
    fn from(text: Box<str>) -> Self {
        Self::new(text)
    }
}

impl From<Cow<'_, str>> for Secret {
    fn from(text: Cow<'_, str>) -> Self {
        Self::new(text)
    }
}

impl From<&Secret> for Secret {
    fn from(secret: &Secret) -> Self {
        secret.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn a_secret_does_not_show_itself() {
        // D6
        assert_eq!(format!("{:?}", Secret::new("s3cr3t")), "[secret]");
    }
}
