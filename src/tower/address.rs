//! Which URL a request of a tower service goes to.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use http::Uri;
use http::uri::{Authority, Scheme};
use reqwest::Url;

use crate::error::{Error, ErrorKind};

/// Where requests go: by the URI that they name, or by what was said of those that name a path alone.
#[derive(Debug)]
pub(super) struct Addresses {
    /// Where requests go that name no origin, as far as the program has said so.
    relative_to: Option<Url>,
    /// The place that was named last: most requests of a client go to one, and its name need not be read each
    /// time, which is the larger part of reading a URL.
    last: ArcSwapOption<Place>,
}

/// A scheme and an authority, and what they mean as a URL.
#[derive(Debug)]
struct Place {
    scheme: Scheme,
    authority: Authority,
    root: Url,
}

impl Addresses {
    pub(super) fn new(relative_to: Option<Url>) -> Self {
        Self {
            relative_to,
            last: ArcSwapOption::empty(),
        }
    }

    /// The URL that this URI means; that of the layer's origin with the same path, if the URI names none.
    ///
    /// # Errors
    /// If it names none and nothing is said of such, or one that cannot be read for certain.
    pub(super) fn url_of(&self, uri: &Uri) -> Result<Url, Error> {
        match (uri.scheme(), uri.authority()) {
            (Some(scheme), Some(authority)) => {
                if let Some(place) = &*self.last.load()
                    && place.scheme == *scheme
                    && place.authority.as_str() == authority.as_str()
                {
                    return Ok(below(&place.root, uri));
                }
                let place = Place {
                    scheme: scheme.clone(),
                    authority: authority.clone(),
                    root: root_of(scheme, authority, uri)?,
                };
                let url = below(&place.root, uri);
                self.last.store(Some(Arc::new(place)));
                Ok(url)
            }
            (None, None) => {
                let origin = self.relative_to.as_ref().ok_or_else(nowhere)?;
                Ok(below(origin, uri))
            }
            _ => Err(unreadable()),
        }
    }
}

fn root_of(scheme: &Scheme, authority: &Authority, uri: &Uri) -> Result<Url, Error> {
    let root = Url::parse(&format!("{scheme}://{authority}/")).ok();
    let root = root.filter(|root| is_same_place(root, uri));
    root.ok_or_else(unreadable)
}

/// The URL below `root` with the path and query of the URI. What is no path, as `*` is, is the root itself.
fn below(root: &Url, uri: &Uri) -> Url {
    let mut url = root.clone();
    if let Some(path) = uri.path_and_query()
        && path.path().starts_with('/')
    {
        url.set_path(path.path());
        url.set_query(path.query());
    }
    url
}

/// Whether both readings lead to the same host and port. What is below reads the URI and not the URL, and a
/// token must go nowhere else than where it was judged to go.
fn is_same_place(url: &Url, uri: &Uri) -> bool {
    let is_same_host = match (url.host_str(), uri.host()) {
        (Some(host), Some(other)) => host.eq_ignore_ascii_case(other),
        _ => false,
    };
    let own_port = match url.scheme() {
        "https" => Some(443),
        "http" => Some(80),
        _ => None,
    };
    is_same_host && url.port_or_known_default() == uri.port_u16().or(own_port)
}

fn nowhere() -> Error {
    Error::new(
        ErrorKind::OriginNotAllowed,
        "the request names no origin, only a path, as those of tonic do; if what is below the layer sends \
         all such requests to the origin that the layer is bound to, say `relative_requests_to_origin`",
    )
}

fn unreadable() -> Error {
    Error::new(
        ErrorKind::OriginNotAllowed,
        "it is not certain which origin the URI of the request means, so the token does not go there; write \
         `https://`, the host as URLs have it (lower case, an address in full), and the path",
    )
}

#[cfg(test)]
mod tests {
    use http::Uri;
    use reqwest::Url;

    use super::Addresses;
    use crate::error::{Error, ErrorKind};

    fn url_of(uri: &Uri, relative_to: Option<&Url>) -> Result<Url, Error> {
        Addresses::new(relative_to.cloned()).url_of(uri)
    }

    #[test]
    fn a_uri_is_read_as_what_is_below_reads_it() {
        // D1
        for (uri, url) in [
            ("https://api.test", "https://api.test/"),
            ("https://API.test:443/a?b=c", "https://api.test/a?b=c"),
            ("http://127.0.0.1:8080/a", "http://127.0.0.1:8080/a"),
            ("https://[::1]:8443/", "https://[::1]:8443/"),
            ("https://user@api.test/", "https://user@api.test/"),
            ("https://api.test@evil.test/", "https://api.test@evil.test/"),
            ("https://api.test./", "https://api.test./"),
        ] {
            let read: Uri = uri.parse().unwrap();
            assert_eq!(url_of(&read, None).unwrap().as_str(), url, "{uri}");
        }
    }

    #[test]
    fn a_uri_that_two_readers_could_take_for_two_hosts_is_an_error() {
        // D1
        for uri in [
            "https://0x7f.1/",
            "https://127.1/",
            "https://api%2etest/",
            "https://api.test:99999/",
            "https://api.test:x/",
            "api.test:443",
        ] {
            let Ok(read) = uri.parse::<Uri>() else {
                continue;
            };
            let error = url_of(&read, Url::parse("https://api.test").ok().as_ref()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OriginNotAllowed, "{uri}");
            assert!(!error.to_string().contains("api.test"), "{error}");
        }
    }

    #[test]
    fn a_path_alone_belongs_to_the_origin_that_was_said_and_to_nothing_without_one() {
        // D1, J2
        let origin = Url::parse("https://api.test:8443").unwrap();
        for (uri, url) in [
            ("/a/b?c", "https://api.test:8443/a/b?c"),
            ("//evil.test/a", "https://api.test:8443//evil.test/a"),
            ("/@evil.test", "https://api.test:8443/@evil.test"),
            ("*", "https://api.test:8443/"),
        ] {
            let read: Uri = uri.parse().unwrap();
            assert_eq!(url_of(&read, Some(&origin)).unwrap().as_str(), url, "{uri}");
            let error = url_of(&read, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::OriginNotAllowed, "{uri}");
        }
    }

    #[test]
    fn whatever_was_named_before_a_uri_is_read_as_one_text() {
        // D1
        let addresses = Addresses::new(None);
        let places = [
            "https://api.test",
            "https://API.test",
            "http://api.test",
            "https://api.test:8443",
            "https://me@api.test",
            "https://Me@api.test",
            "https://other.test",
        ];
        let paths = [
            "",
            "/",
            "/a",
            "/a/../b",
            "/a/./b/",
            "//evil.test/a",
            "/a%2e%2e/b",
            "/a?b=c",
            "/?",
            "/a?b?c/../d",
            "/a\\b",
            "/@evil.test",
            "/:443",
        ];
        for place in places.iter().chain(&places) {
            for path in paths {
                let text = format!("{place}{path}");
                let uri: Uri = text.parse().unwrap();
                let read = addresses.url_of(&uri).unwrap();
                assert_eq!(read, Url::parse(&text).unwrap(), "{text}");
            }
        }
    }
}
