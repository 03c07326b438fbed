//! How a relative path is joined to a base URL without ever leaving it.

use reqwest::Url;

use crate::error::{Error, ErrorKind};

/// Why the path of a request could not be joined: travels with the request as an extension, so that
/// the error comes from `send`, as reqwest's own errors about URLs do.
#[derive(Clone, Debug)]
pub(crate) struct InvalidPath(pub(crate) Error);

/// Schemes that are meant as such although no `//` follows them. Any other word before a colon is
/// taken as part of the path, because APIs have paths such as `orders:42` or `orders:search`.
const SCHEMES_WITHOUT_SLASHES: [&str; 9] = [
    "about",
    "blob",
    "data",
    "file",
    "ftp",
    "javascript",
    "mailto",
    "ws",
    "wss",
];

/// The base URL that a setting names.
///
/// # Errors
/// If it is no absolute http or https URL with a host, or has more than a path. The messages never
/// repeat the text, which may hold a password.
pub(crate) fn base_url(text: &str) -> Result<Url, Error> {
    let url = Url::parse(text).map_err(|cause| {
        Error::settings(format!(
            "a base URL is a URL such as `https://api.example.com/v1`, and this text is none: {cause}"
        ))
    })?;
    if !is_web(url.scheme()) || url.host_str().is_none() {
        return Err(Error::settings(
            "a base URL begins with `https://` (or `http://`), followed by a host, such as \
             `https://api.example.com/v1`",
        ));
    }
    let surplus = [
        (
            !url.username().is_empty() || url.password().is_some(),
            "user information",
        ),
        (url.query().is_some(), "a query"),
        (url.fragment().is_some(), "a fragment"),
    ];
    match surplus.into_iter().find(|(present, _)| *present) {
        None => Ok(url),
        Some((_, part)) => Err(Error::settings(format!(
            "a base URL is a scheme, a host, a port and a path: leave out {part}"
        ))),
    }
}

/// The URL of `path` below `base`, which [`base_url`] made.
///
/// Both `orders` and `/orders` are below the base path, unlike in a browser. The empty path is the
/// base itself. A query is kept; a fragment is dropped, because HTTP does not send it. An absolute
/// http or https URL is taken as it is: whether the token may go there is another question.
///
/// # Errors
/// If the path could mean another place than one below the base: another host (`//host`), another
/// scheme, or dot segments that climb out, in whatever disguise. The messages never repeat the
/// path, which may hold what a user typed.
pub(crate) fn join(base: &Url, path: &str) -> Result<Url, Error> {
    // `Url` drops tabs and line ends wherever they are, so that `.<tab>./` would become `../`.
    // Nothing else that a path may hold is a control character either.
    if path.chars().any(char::is_control) {
        return Err(invalid("the path holds a control character; encode it"));
    }
    if let Some((scheme, rest)) = scheme_of(path) {
        return absolute(path, scheme, rest);
    }
    if path.starts_with(['/', '\\']) && path[1..].starts_with(['/', '\\']) {
        return Err(invalid(
            "a path that begins with two slashes names another host: leave one out",
        ));
    }
    let path = path.split_once('#').map_or(path, |(before, _)| before);
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    if climbs_out(path) {
        return Err(invalid("the path's `..` segments lead out of the base URL"));
    }
    let mut url = base.clone();
    if !path.is_empty() {
        let relative = path.strip_prefix(['/', '\\']).unwrap_or(path);
        url.set_path(&format!("{}/{relative}", trimmed(base.path())));
    }
    url.set_query(query);
    // The count of segments above is ours, what has just been built is `Url`'s: should the two ever
    // differ, an error is better than a token in the wrong place.
    if is_below(base, &url) {
        Ok(url)
    } else {
        Err(invalid("the path leads out of the base URL"))
    }
}

fn absolute(text: &str, scheme: &str, rest: &str) -> Result<Url, Error> {
    if !is_web(&scheme.to_ascii_lowercase()) {
        return Err(invalid(
            "only http and https URLs can be requested; a path that begins with such a word needs \
             a slash before it",
        ));
    }
    // `Url` would read `https:orders`, `https:/orders` and `https:///orders` as URLs of the host
    // `orders`, which is hardly what was meant.
    let authority = rest.strip_prefix("//").unwrap_or_default();
    if authority.is_empty() || authority.starts_with(['/', '\\']) {
        return Err(invalid(
            "an absolute URL has two slashes and a host after its scheme",
        ));
    }
    Url::parse(text).map_err(|cause| invalid(format!("the absolute URL cannot be read: {cause}")))
}

/// The scheme that a path begins with and what follows its colon, if it is meant as one.
fn scheme_of(path: &str) -> Option<(&str, &str)> {
    let (word, rest) = path.split_once(':')?;
    let is_scheme = word.starts_with(|first: char| first.is_ascii_alphabetic())
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    let known = || {
        let word = word.to_ascii_lowercase();
        is_web(&word) || SCHEMES_WITHOUT_SLASHES.contains(&word.as_str())
    };
    let slashes = rest.starts_with(['/', '\\']) && rest[1..].starts_with(['/', '\\']);
    (is_scheme && (slashes || known())).then_some((word, rest))
}

fn is_web(scheme: &str) -> bool {
    scheme == "https" || scheme == "http"
}

/// Whether a `..` segment goes above where the path begins, even if a later segment comes back.
///
/// Counted twice. First as `Url` has it, where an encoded slash is a letter of a segment and an
/// empty segment is one too; then as a server has it that decodes slashes and merges them before
/// it looks for dots, and takes what follows a semicolon for a parameter of the segment (RFC 3986
/// section 3.3), as Java's do: `..;` is `..` there.
fn climbs_out(path: &str) -> bool {
    let plain = path.replace('\\', "/");
    let mut decoded = plain.clone();
    for encoded in ["%2f", "%2F", "%5c", "%5C"] {
        decoded = decoded.replace(encoded, "/");
    }
    let relative = plain.strip_prefix('/').unwrap_or(&plain);
    go_above(relative.split('/'))
        || go_above(
            decoded
                .split('/')
                .map(without_parameters)
                .filter(|segment| !segment.is_empty()),
        )
}

fn without_parameters(segment: &str) -> &str {
    let end = [";", "%3b", "%3B"]
        .into_iter()
        .filter_map(|mark| segment.find(mark));
    &segment[..end.min().unwrap_or(segment.len())]
}

fn go_above<'path>(mut segments: impl Iterator<Item = &'path str>) -> bool {
    let mut depth = 0_usize;
    segments.any(|segment| {
        match segment.replace("%2e", ".").replace("%2E", ".").as_str() {
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            "." => {}
            _ => depth += 1,
        }
        false
    })
}

fn is_below(base: &Url, url: &Url) -> bool {
    authority(base) == authority(url)
        && url
            .path()
            .strip_prefix(trimmed(base.path()))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// What comes before the path: scheme, user information, host and port.
fn authority(url: &Url) -> Option<&str> {
    let text = url.as_str();
    // The path begins with the third slash, after the two of `https://`.
    let (end, _) = text.match_indices('/').nth(2)?;
    Some(&text[..end])
}

fn trimmed(base_path: &str) -> &str {
    base_path.strip_suffix('/').unwrap_or(base_path)
}

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidPath, message)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::Url;

    use super::{base_url, join};
    use crate::error::ErrorKind;

    fn joined(base: &str, path: &str) -> Result<String, ErrorKind> {
        join(&base_url(base).unwrap(), path)
            .map(String::from)
            .map_err(|error| error.kind())
    }

    #[test]
    fn a_base_url_is_scheme_host_port_and_path() {
        for (text, url) in [
            ("https://h", "https://h/"),
            ("https://h/v1", "https://h/v1"),
            ("https://h/v1/", "https://h/v1/"),
            ("HTTP://H:8080/a/../b", "http://h:8080/b"),
            ("https://h:443", "https://h/"),
            ("https://[::1]:8443/v1", "https://[::1]:8443/v1"),
        ] {
            assert_eq!(base_url(text).unwrap().as_str(), url, "{text}");
        }
        for text in [
            "",
            "h",
            "/v1",
            "//h/v1",
            "https://",
            "ftp://h",
            "file:///v1",
            "data:,v1",
            "h:8080",
            "https://canary@h",
            "https://u:canary@h",
            "https://h?canary",
            "https://h/v1?",
            "https://h/#canary",
        ] {
            let error = base_url(text).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Settings, "{text}");
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_relative_path_is_below_the_base_path() {
        for base in ["https://h/v1", "https://h/v1/"] {
            for (path, url) in [
                ("orders", "https://h/v1/orders"),
                ("/orders", "https://h/v1/orders"),
                ("\\orders", "https://h/v1/orders"),
                ("orders/", "https://h/v1/orders/"),
                ("/", "https://h/v1/"),
                ("orders/42/lines", "https://h/v1/orders/42/lines"),
                ("orders?x=1", "https://h/v1/orders?x=1"),
                (
                    "orders?x=../..&y=https://evil/?",
                    "https://h/v1/orders?x=../..&y=https://evil/?",
                ),
                ("orders?", "https://h/v1/orders?"),
                ("orders#top", "https://h/v1/orders"),
                ("orders?x=1#top?y", "https://h/v1/orders?x=1"),
                ("orders:42", "https://h/v1/orders:42"),
                ("orders:search?x", "https://h/v1/orders:search?x"),
                ("/data:export", "https://h/v1/data:export"),
                ("urn:isbn:1", "https://h/v1/urn:isbn:1"),
                ("a b/\u{fc}", "https://h/v1/a%20b/%C3%BC"),
                (" https://evil", "https://h/v1/%20https://evil"),
                ("a%2Fb", "https://h/v1/a%2Fb"),
                ("a//b", "https://h/v1/a//b"),
                (".//evil", "https://h/v1//evil"),
                ("@evil", "https://h/v1/@evil"),
                (":80", "https://h/v1/:80"),
                // Dot segments that stay inside.
                ("a/../b", "https://h/v1/b"),
                ("a/%2e%2E/b", "https://h/v1/b"),
                ("a\\..\\b", "https://h/v1/b"),
                ("a/b/../../c", "https://h/v1/c"),
                ("./a/./b", "https://h/v1/a/b"),
                ("a/..", "https://h/v1/"),
                ("...", "https://h/v1/..."),
                ("..a/b..", "https://h/v1/..a/b.."),
                // Parameters of segments.
                ("a;x=../b;y", "https://h/v1/a;x=../b;y"),
                ("a;x/..;/b", "https://h/v1/a;x/..;/b"),
            ] {
                assert_eq!(joined(base, path).as_deref(), Ok(url), "{base} {path}");
            }
        }
    }

    #[test]
    fn the_empty_path_is_the_base_itself() {
        for (base, path, url) in [
            ("https://h", "", "https://h/"),
            ("https://h/v1", "", "https://h/v1"),
            ("https://h/v1/", "", "https://h/v1/"),
            ("https://h/v1", "?x=1", "https://h/v1?x=1"),
            ("https://h/v1/", "?x=1", "https://h/v1/?x=1"),
            ("https://h/v1", "#top", "https://h/v1"),
            ("https://h", "orders", "https://h/orders"),
            ("https://h", "/orders", "https://h/orders"),
        ] {
            assert_eq!(joined(base, path).as_deref(), Ok(url), "{base} {path}");
        }
    }

    #[test]
    fn a_path_that_leaves_the_base_is_an_error() {
        for path in [
            // Another host.
            "//evil",
            "/\\evil",
            "\\/evil",
            "\\\\evil",
            "///evil",
            "//",
            "\t//evil",
            "/\t/evil",
            "/\r\n/evil",
            "//evil?x",
            "\u{0}//evil",
            // Dot segments.
            "..",
            "../",
            "/..",
            "/../",
            "../admin",
            "../v1",
            "../v1/orders",
            "/../v12",
            "a/../..",
            "a/../../b",
            "./..",
            "/./../a",
            "..\\admin",
            "\\..\\admin",
            "a\\..\\..\\b",
            "..?x",
            "..#x",
            "a/..//../..",
            "%2e%2e",
            "%2E%2E",
            "%2e%2E/a",
            ".%2e",
            ".%2E",
            "%2e.",
            "%2E./a",
            "/%2e%2e/a",
            ".\t.",
            ".\n./a",
            "\t..",
            "%2\te%2e",
            "a/..\r/../b",
            // Servers that decode slashes first.
            "..%2fadmin",
            "a%2f..%2f..%2fadmin",
            "..%5Cadmin",
            "%2e%2e%2Fadmin",
            "a%2fb/../../c",
            "a%2fb/../../v1/c",
            "..\\v1\\orders",
            "%2e%2E/v1",
            "a%2f%2f..%2f..%2fadmin",
            // Servers that leave parameters out of a segment before they look at it.
            "..;/admin",
            "..;x=y/admin",
            "%2e%2e%3B/admin",
            "a/..;/..%3b/admin",
            ";x/../admin",
            // Other schemes.
            "data:text/plain,x",
            "DATA:,x",
            "file:///etc/passwd",
            "file:/etc/passwd",
            "ftp://h",
            "ws://h/v1",
            "javascript:alert(1)",
            "orders://evil",
            "orders:\\\\evil",
            "orders:/\\evil",
            // Hardly URLs.
            "https:orders",
            "HTTPS:orders",
            "https:/orders",
            "https:\\\\orders",
            "https:///orders",
            "http://\\evil",
            "https://",
            "https:",
            "https://:80",
            "https://a b/",
            "https://[::1",
        ] {
            assert_eq!(
                joined("https://h/v1", path),
                Err(ErrorKind::InvalidPath),
                "{path:?}"
            );
        }
    }

    #[test]
    fn an_absolute_url_is_taken_as_it_is() {
        for url in [
            "https://h/v2/orders",
            "https://h/v1/../admin",
            "http://other.test:8080/?x#y",
            "HTTPS://OTHER.test",
            "https://u:p@other.test/",
        ] {
            let expected = Url::parse(url).unwrap();
            assert_eq!(
                joined("https://h/v1", url).as_deref(),
                Ok(expected.as_str()),
                "{url}"
            );
        }
    }

    #[test]
    fn an_error_does_not_repeat_the_path() {
        // D6
        let base = base_url("https://h/v1").unwrap();
        for path in [
            "//canary",
            "../canary",
            "data:canary",
            "https:canary",
            "\tcanary",
            "https://[canary",
        ] {
            let error = join(&base, path).unwrap_err();
            assert!(
                !format!("{error} {error:?}").contains("canary"),
                "{error:?}"
            );
        }
    }

    /// Pieces that ways out are made of.
    fn path_like() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            4 => proptest::sample::select(vec![
                "/", "\\", ".", "..", "%2e", "%2E", "%2f", "%5C", "\t", "\n", " ", ":", "@", "?",
                "#", "v1", "a", "https:", "http://", "evil", "%", "data:", "[", "%00",
            ]).prop_map(str::to_owned),
            1 => "\\PC{0,3}",
            1 => any::<char>().prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn no_path_leaves_the_base(
            path in path_like(),
            base in proptest::sample::select(vec![
                "https://h", "https://h/v1", "https://h/v1/", "http://h:8080/a/v1", "https://h/a//",
            ]),
        ) {
            let base = base_url(base).unwrap();
            let Ok(url) = join(&base, &path) else { return Ok(()); };
            let lower = path.to_ascii_lowercase();
            if lower.starts_with("https://") || lower.starts_with("http://") {
                prop_assert_eq!(url, Url::parse(&path).unwrap());
                return Ok(());
            }
            prop_assert_eq!(url.origin(), base.origin());
            prop_assert!(url.username().is_empty() && url.password().is_none());
            let base_path = base.path().strip_suffix('/').unwrap_or(base.path());
            let rest = url.path().strip_prefix(base_path);
            prop_assert!(rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/')), "{}", url);
            // What comes out is settled: reading it again changes nothing.
            prop_assert_eq!(Url::parse(url.as_str()).unwrap(), url);
        }

        #[test]
        fn a_plain_path_is_appended(path in "[a-z0-9]{1,8}(/[a-z0-9:@._-]{1,8}x){0,3}([?][a-z=&/.]{0,8})?") {
            let base = base_url("https://h/v1").unwrap();
            let expected = format!("https://h/v1/{path}");
            let url = join(&base, &path).unwrap();
            prop_assert_eq!(url.as_str(), &expected);
            prop_assert_eq!(String::from(join(&base, &format!("/{path}")).unwrap()), expected);
        }
    }
}
