//! Which URLs of an authorization server may be asked: https, loopback, or plain http by name.

use reqwest::Url;

use crate::origin::{has_userinfo, is_secure};

/// Whether plain http to other machines was allowed by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlainHttp {
    Refused,
    Allowed,
}

/// Reads and checks a URL. What is wrong with it comes back as a clause for a message, without
/// the URL itself: it may hold a password.
pub(crate) fn check(text: &str, plain_http: PlainHttp) -> Result<Url, &'static str> {
    let url = Url::parse(text).map_err(|_| "is not an absolute URL")?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err("is neither https nor http");
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err("has no host");
    }
    if has_userinfo(&url) {
        return Err(
            "has a user name or password in it; client credentials belong into the client authentication",
        );
    }
    if url.fragment().is_some() {
        return Err("has a fragment (`#...`), which RFC 6749 section 3.2 forbids");
    }
    if plain_http == PlainHttp::Refused && !is_secure(&url) {
        return Err(
            "is neither https nor loopback, so that secrets would travel in the clear; \
                    use https, or allow it with `allow_insecure_http`",
        );
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::{PlainHttp, check};

    #[test]
    fn only_https_and_loopback_are_asked_unless_plain_http_is_allowed() {
        // D2
        for url in [
            "https://as.example.com/token",
            "https://as.example.com:8443/token?p=policy",
            "http://localhost:8080/token",
            "http://as.localhost/token",
            "http://127.0.0.1/token",
            "http://127.9.9.9/token",
            "http://[::1]:8080/token",
            "HTTP://LOCALHOST/token",
        ] {
            assert!(check(url, PlainHttp::Refused).is_ok(), "{url}");
        }
        for url in [
            "http://as.example.com/token",
            "http://localhost.example.com/token",
            "http://xlocalhost/token",
            "http://127.0.0.1.example.com/token",
            "http://10.0.0.1/token",
            "http://0.0.0.0/token",
            "http://[::ffff:10.0.0.1]/token",
        ] {
            assert!(check(url, PlainHttp::Refused).is_err(), "{url}");
            assert!(check(url, PlainHttp::Allowed).is_ok(), "{url}");
        }
    }

    #[test]
    fn a_url_that_cannot_be_asked_is_never_allowed() {
        // D2
        for url in [
            "",
            "/token",
            "as.example.com/token",
            "https://",
            "ftp://as.example.com/token",
            "unix:/run/as.sock",
            "https://user@as.example.com/token",
            "https://user:password@as.example.com/token",
            "https://:password@as.example.com/token",
            "https://as.example.com/token#part",
        ] {
            assert!(check(url, PlainHttp::Allowed).is_err(), "{url}");
        }
    }
}
