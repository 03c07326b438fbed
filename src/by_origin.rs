//! What is known of servers, by their origins.

use std::borrow::Cow;
use std::fmt;
use std::sync::OnceLock;

use papaya::HashMap;
use reqwest::Url;

/// Of so many origins something is known. A client asks a handful.
const MOST: usize = 1_000;

/// A value for each origin, as long as there is room. What is kept here can be learnt again.
pub(crate) struct ByOrigin<V> {
    /// Made for the first value: an empty map takes 19 KB, and thousands of endpoints have nothing to keep.
    known: OnceLock<HashMap<String, V>>,
}

impl<V> ByOrigin<V> {
    /// What `look` makes of what is known of the server of this URL.
    pub(crate) fn look<T>(&self, url: &Url, look: impl FnOnce(&V) -> T) -> Option<T> {
        self.known.get()?.pin().get(&*origin(url)).map(look)
    }

    /// Keeps a value in place of the one before. Where there is no room, all others are forgotten.
    pub(crate) fn insert(&self, url: &Url, value: V) {
        let (origin, known) = (origin(url), self.known.get_or_init(HashMap::new).pin());
        if known.len() >= MOST && !known.contains_key(&*origin) {
            known.clear();
        }
        known.insert(origin.into_owned(), value);
    }
}

impl<V> Default for ByOrigin<V> {
    fn default() -> Self {
        Self {
            known: OnceLock::new(),
        }
    }
}

impl<V> fmt::Debug for ByOrigin<V> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ByOrigin")
            .field("origins", &self.known.get().map_or(0, HashMap::len))
            .finish_non_exhaustive()
    }
}

/// The beginning of the URL, or a text of its own where a user is named between its parts.
fn origin(url: &Url) -> Cow<'_, str> {
    let is_plain = matches!(url.scheme(), "http" | "https")
        && url.username().is_empty()
        && url.password().is_none();
    let path = url.as_str().match_indices('/').nth(2);
    match path.and_then(|(path, _)| url.as_str().get(..path)) {
        Some(beginning) if is_plain => Cow::Borrowed(beginning),
        _ => Cow::Owned(url.origin().ascii_serialization()),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Url;

    use super::{ByOrigin, MOST};

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn each_origin_has_what_was_learnt_of_it_last() {
        // H5, H6
        let known = ByOrigin::default();
        let of = |text: &str| known.look(&url(text), |value| *value);
        assert_eq!(of("https://a.test/"), None);
        known.insert(&url("https://a.test/1"), 1);
        known.insert(&url("https://a.test:443/2?q#f"), 2);
        known.insert(&url("https://u:p@b.test/"), 3);
        assert_eq!(of("https://a.test"), Some(2));
        assert_eq!(of("https://b.test/x"), Some(3));
        for other in ["http://a.test/", "https://a.test:8443/", "https://c.test/"] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn however_many_origins_there_are_the_memory_for_them_has_an_end() {
        // H5, H6
        let known = ByOrigin::default();
        for port in 1..=3 * MOST {
            let url = url(&format!("https://a.test:{port}/"));
            known.insert(&url, port);
            assert_eq!(known.look(&url, |value| *value), Some(port));
            assert!(known.known.get().unwrap().len() <= MOST);
        }
    }
}
