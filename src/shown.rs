//! What a builder of reqwest's shows of itself, where it has no getter.

use std::fmt::{self, Write as _};

use reqwest::ClientBuilder;
use zeroize::Zeroizing;

/// A builder shows some hundred bytes of itself, and its headers.
pub(crate) const LONGEST: usize = 64 * 1024;

/// The `Debug` output of a builder, API keys among its headers included: wiped when it goes, and never
/// copied to a larger place, which would leave it behind in the smaller one.
pub(crate) struct Shown(Zeroizing<String>);

impl Shown {
    /// `None` if it is longer than anybody reads.
    pub(crate) fn of(builder: &ClientBuilder) -> Option<Self> {
        let mut shown = Self(Zeroizing::new(String::with_capacity(LONGEST)));
        write!(shown, "{builder:?}").ok()?;
        Some(shown)
    }

    /// Its settings, as far as they come before its default headers, and those; `None` if reqwest shows its
    /// builders in another way than we know.
    pub(crate) fn settings_and_headers(&self) -> Option<(&str, &str)> {
        self.0.split_once("default_headers: {")
    }
}

impl fmt::Write for Shown {
    fn write_str(&mut self, piece: &str) -> fmt::Result {
        if self.0.len() + piece.len() > LONGEST {
            return Err(fmt::Error);
        }
        self.0.push_str(piece);
        Ok(())
    }
}
