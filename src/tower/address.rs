//! Which URL a request of a tower service goes to.

use http::Uri;
use reqwest::Url;

use crate::error::{Error, ErrorKind};

/// The URL that this URI means; that of `relative_to` with the same path, if the URI names no origin.
///
/// # Errors
/// If it names none and nothing is said of such, or one that cannot be read for certain.
pub(super) fn url_of(uri: &Uri, relative_to: Option<&Url>) -> Result<Url, Error> {
    match (uri.scheme_str(), uri.authority()) {
        (Some(scheme), Some(authority)) => {
            let text = format!("{scheme}://{authority}{}", path_of(uri));
            let url = Url::parse(&text).ok().filter(|url| is_same_place(url, uri));
            url.ok_or_else(unreadable)
        }
        (None, None) => {
            let origin = relative_to.ok_or_else(nowhere)?;
            let origin = origin.as_str().trim_end_matches('/');
            Url::parse(&format!("{origin}{}", path_of(uri))).map_err(|_| unreadable())
        }
        _ => Err(unreadable()),
    }
}

/// Path and query. What is no path, as `*` is, would else end the name of the host.
fn path_of(uri: &Uri) -> &str {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    if path.starts_with('/') { path } else { "/" }
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

    use super::url_of;
    use crate::error::ErrorKind;

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
}
