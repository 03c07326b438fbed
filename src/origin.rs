//! Where a token may go: the origin of a URL.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use reqwest::Url;

use crate::error::Error;

/// An origin (RFC 6454): the scheme, host and port that a token is bound to.
///
/// Hosts are compared as `Url` normalised them (lower case, punycode). A trailing dot makes
/// another host, as it does for certificates and for reqwest.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Origin {
    scheme: &'static str,
    host: Box<str>,
    /// `None` is the scheme's own port, which `Url` leaves out.
    port: Option<u16>,
    /// What the URLs of this origin begin with, up to and with the slash of the path, unless they
    /// name a user.
    beginning: Box<str>,
}

impl Origin {
    /// The origin that a setting names: `https://api.example.com`, with or without a port and a
    /// last slash.
    ///
    /// # Errors
    /// If it is no http or https URL with a host, or says more than an origin. The messages never
    /// repeat the text, which may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let url = Url::parse(text).map_err(|cause| {
            Error::settings(format!(
                "an origin is a URL such as `https://api.example.com`, and this text is none: {cause}"
            ))
        })?;
        let origin = Self::of(&url).ok_or_else(|| {
            Error::settings(
                "an origin begins with `https://` (or `http://`), followed by a host, such as \
                 `https://api.example.com`",
            )
        })?;
        let surplus = [
            (has_userinfo(&url), "user information"),
            (url.path() != "/", "a path"),
            (url.query().is_some(), "a query"),
            (url.fragment().is_some(), "a fragment"),
        ];
        match surplus.into_iter().find(|(present, _)| *present) {
            None => Ok(origin),
            Some((_, part)) => Err(Error::settings(format!(
                "an origin is a scheme, a host and a port, without {part}: write `{origin}`"
            ))),
        }
    }

    /// The origin of a URL; `None` if it is neither http nor https.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        let scheme = ["https", "http"]
            .into_iter()
            .find(|scheme| *scheme == url.scheme())?;
        let host = url.host_str()?;
        let port = url.port();
        let beginning = match port {
            None => format!("{scheme}://{host}/"),
            Some(port) => format!("{scheme}://{host}:{port}/"),
        };
        Some(Self {
            scheme,
            host: host.into(),
            port,
            beginning: beginning.into(),
        })
    }

    /// Whether the URL is of this origin. Every call asks this, so it does not allocate.
    #[inline]
    pub(crate) fn matches(&self, url: &Url) -> bool {
        url.as_str().starts_with(&*self.beginning)
            || (url.scheme() == self.scheme
                && url.port() == self.port
                && url.host_str() == Some(&*self.host))
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.scheme, self.host)?;
        match self.port {
            None => Ok(()),
            Some(port) => write!(formatter, ":{port}"),
        }
    }
}

/// Whether two URLs have the same scheme, host and port. These are the three that reqwest compares
/// when it decides whether a redirected request keeps its `Authorization` header, and in the same
/// way; the redirect policy leans on that.
#[inline]
pub(crate) fn same_origin(a: &Url, b: &Url) -> bool {
    // Most answers come from the very URL that was asked: no comparison, or one in place of three.
    std::ptr::eq(a, b)
        || a == b
        || (a.scheme() == b.scheme()
            && a.host_str() == b.host_str()
            && a.port_or_known_default() == b.port_or_known_default())
}

/// Whether a token may travel to this URL without being read on the way (D2): https, or http that
/// does not leave the machine.
pub(crate) fn is_secure(url: &Url) -> bool {
    match url.scheme() {
        "https" => true,
        "http" => url.host_str().is_some_and(is_loopback),
        _ => false,
    }
}

/// Whether all these URLs are plain http to this machine: what goes there must not go by way of a
/// proxy, which reqwest takes from the environment for `localhost` as well.
pub(crate) fn all_stay_here<'text>(urls: impl IntoIterator<Item = &'text str>) -> bool {
    let stays = |text| Url::parse(text).is_ok_and(|url| url.scheme() == "http" && is_secure(&url));
    urls.into_iter().all(stays)
}

/// Whether the URL names a user or a password.
pub(crate) fn has_userinfo(url: &Url) -> bool {
    !url.username().is_empty() || url.password().is_some()
}

/// The loopback addresses, and the names that RFC 6761 section 6.3 keeps for them. `localhost.` is
/// left out: it is another host here, and not every resolver knows it.
pub(crate) fn is_loopback(host: &str) -> bool {
    let v6 = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    if let Some(address) = v6 {
        return address.parse().is_ok_and(|ip: Ipv6Addr| ip.is_loopback());
    }
    if let Ok(address) = host.parse::<Ipv4Addr>() {
        return address.is_loopback();
    }
    host == "localhost"
        || host
            .strip_suffix(".localhost")
            .is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::Url;

    use super::{Origin, is_secure, same_origin};
    use crate::error::ErrorKind;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        // D1
        for (text, shown) in [
            ("https://api.example.com", "https://api.example.com"),
            ("https://api.example.com/", "https://api.example.com"),
            ("https://api.example.com:443", "https://api.example.com"),
            (
                "https://api.example.com:8443",
                "https://api.example.com:8443",
            ),
            ("http://api.example.com:443", "http://api.example.com:443"),
            ("http://api.example.com:80", "http://api.example.com"),
            ("HTTPS://API.Example.COM", "https://api.example.com"),
            (
                "https://b\u{fc}cher.example",
                "https://xn--bcher-kva.example",
            ),
            ("https://api.example.com.", "https://api.example.com."),
            ("http://[::1]:80", "http://[::1]"),
            ("http://127.1", "http://127.0.0.1"),
        ] {
            let origin = Origin::parse(text).unwrap();
            assert_eq!(origin.to_string(), shown, "{text}");
            assert_eq!(Origin::parse(shown).unwrap(), origin, "{text}");
            assert_eq!(Origin::of(&url(text)), Some(origin), "{text}");
        }
    }

    #[test]
    fn an_origin_that_says_more_is_an_error_that_says_how_to_mend_it() {
        // D1
        for (text, part) in [
            ("https://api.example.com:8443/v1", "a path"),
            ("https://api.example.com:8443//", "a path"),
            ("https://api.example.com:8443?x=1", "a query"),
            ("https://api.example.com:8443/?", "a query"),
            ("https://api.example.com:8443/#", "a fragment"),
            ("https://canary@api.example.com:8443", "user information"),
            ("https://:canary@api.example.com:8443", "user information"),
            (
                "https://u:canary@api.example.com:8443/canary?canary#canary",
                "user information",
            ),
        ] {
            let error = Origin::parse(text).unwrap_err();
            let message = error.to_string();
            assert_eq!(error.kind(), ErrorKind::Settings, "{text}");
            assert!(message.contains(part), "{text}: {message}");
            assert!(
                message.contains("`https://api.example.com:8443`"),
                "{text}: {message}"
            );
            assert!(!message.contains("canary"), "{message}");
        }
    }

    #[test]
    fn what_is_no_web_address_is_no_origin() {
        // D1
        for text in [
            "",
            "api.example.com",
            "//api.example.com",
            "/v1",
            "https://",
            "http://:80",
            "ftp://api.example.com",
            "ws://api.example.com",
            "file:///etc/passwd",
            "data:,x",
            "localhost:8080",
            "https://api.example.com:99999",
            "https://a b",
        ] {
            let error = Origin::parse(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Settings, "{text}");
            assert!(error.to_string().contains("`https://"), "{text}: {error}");
        }
    }

    #[test]
    fn another_scheme_host_or_port_is_another_origin() {
        // D1
        let same = [
            "https://api.test",
            "https://api.test:443/a?b#c",
            "https://user:pw@API.test/",
        ];
        let others = [
            "http://api.test",
            "http://api.test:443",
            "https://api.test:8443",
            "https://api.test.",
            "https://test",
            "https://v.api.test",
            "https://api.test.evil",
            "https://api.test@evil/",
            "https://evil/https://api.test",
            "wss://api.test",
            "data:,x",
        ];
        let origin = Origin::parse("https://api.test").unwrap();
        for text in same {
            assert!(origin.matches(&url(text)), "{text}");
            assert_eq!(Origin::of(&url(text)).as_ref(), Some(&origin), "{text}");
        }
        for text in others {
            assert!(!origin.matches(&url(text)), "{text}");
            assert_ne!(Origin::of(&url(text)).as_ref(), Some(&origin), "{text}");
        }
    }

    #[test]
    fn only_https_and_loopback_are_secure() {
        // D2
        for text in [
            "https://example.com",
            "https://10.0.0.1:8443",
            "http://127.0.0.1",
            "http://127.1:3000",
            "http://127.255.255.254",
            "http://2130706433",
            "http://[::1]:8080",
            "http://[0:0:0:0:0:0:0:1]",
            "http://localhost",
            "http://LocalHost:1",
            "http://api.localhost",
            "http://a.b.localhost",
        ] {
            assert!(is_secure(&url(text)), "{text}");
        }
        for text in [
            "http://example.com",
            "http://10.0.0.1",
            "http://128.0.0.1",
            "http://126.255.255.255",
            "http://0.0.0.0",
            "http://[::2]",
            "http://[::]",
            "http://[::ffff:127.0.0.1]",
            "http://localhost.",
            "http://a.localhost.",
            "http://localhost.example.com",
            "http://notlocalhost",
            "http://.localhost",
            "http://127.0.0.1.example.com",
            "http://localhost@example.com",
            "ws://localhost",
            "ftp://127.0.0.1",
            "data:,localhost",
        ] {
            assert!(!is_secure(&url(text)), "{text}");
        }
    }

    fn any_url() -> impl Strategy<Value = Url> {
        // Few values of each part, so that equal origins are drawn often.
        let scheme = prop_oneof![Just("https"), Just("http"), Just("HTTP"), Just("ws")];
        let user = prop_oneof![3 => Just(""), 1 => Just("api.test@"), 1 => Just("u:p@")];
        let host = prop_oneof![
            Just("api.test"),
            Just("API.test"),
            Just("api.test."),
            Just("127.0.0.1"),
            Just("127.1"),
            Just("[::1]"),
        ];
        let port =
            prop_oneof![3 => Just(""), 1 => Just(":80"), 1 => Just(":443"), 1 => Just(":8443")];
        (
            scheme,
            user,
            host,
            port,
            "(/[a-z:@]{0,8})?([?][a-z]{0,3})?(#[a-z]{0,3})?",
        )
            .prop_map(|(scheme, user, host, port, rest)| {
                url(&format!("{scheme}://{user}{host}{port}{rest}"))
            })
    }

    proptest! {
        #[test]
        fn an_origin_matches_what_has_the_same_origin(a in any_url(), b in any_url()) {
            // D1
            prop_assert_eq!(same_origin(&a, &b), a.origin() == b.origin());
            prop_assert_eq!(same_origin(&a, &b), same_origin(&b, &a));
            match Origin::of(&a) {
                Some(origin) => {
                    prop_assert!(origin.matches(&a));
                    prop_assert_eq!(origin.matches(&b), same_origin(&a, &b));
                    prop_assert_eq!(Some(&origin) == Origin::of(&b).as_ref(), same_origin(&a, &b));
                    prop_assert_eq!(Origin::parse(&origin.to_string()).unwrap(), origin);
                }
                None => prop_assert_eq!(a.scheme(), "ws"),
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "\\PC{0,40}|https?://[a-z.:/@\\[\\]?#0-9]{0,30}") {
            // D1
            if let Ok(origin) = Origin::parse(&text) {
                prop_assert!(origin.matches(&url(&text)));
            }
        }
    }
}
