//! The address that browsers have for this application.

/// Scheme and host, such as `https://app.example.com`.
pub(crate) struct PublicUrl(String);

impl PublicUrl {
    /// Of an origin: no path, no slash at the end.
    pub(crate) fn new(origin: impl Into<String>) -> Self {
        Self(origin.into())
    }

    /// As the `Origin` header of a request has it.
    pub(crate) fn origin(&self) -> &str {
        &self.0
    }

    /// As the `Host` header of a request has it.
    pub(crate) fn host(&self) -> &str {
        self.0.split_once("://").map_or("", |(_, host)| host)
    }

    pub(crate) fn is_https(&self) -> bool {
        self.0.starts_with("https://")
    }

    /// The URL of a path, which begins with a slash.
    pub(crate) fn at(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}
