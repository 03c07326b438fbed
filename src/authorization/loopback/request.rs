//! The head of what came to the loopback port, and whether it may be the user's browser on its way back.

/// More headers than a browser sends.
const MOST_HEADERS: usize = 100;

/// What the receiver is called.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// Host and port.
    pub(super) authority: String,
    pub(super) path: String,
}

/// What a head asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked<'head> {
    /// The rest of it has not come yet.
    More,
    /// This is no HTTP.
    Unreadable,
    /// Something else of this port, such as an icon.
    OtherPath,
    /// Anything but a page.
    OtherMethod { is_head: bool },
    /// From within a page of whatever origin, or by another name of this machine.
    NotTheUser,
    /// A query of the redirect URI.
    Redirect(&'head str),
}

impl Address {
    /// Reads a head. A user's browser comes to the redirect URI as to any page: by `GET`, at the name that the
    /// URI has, and not from within another page. Older browsers do not say the last.
    pub(super) fn read<'head>(&self, head: &'head [u8]) -> Asked<'head> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        match request.parse(head) {
            Ok(httparse::Status::Complete(_)) => {}
            Ok(httparse::Status::Partial) => return Asked::More,
            Err(_) => return Asked::Unreadable,
        }
        let (Some(method), Some(target)) = (request.method, request.path) else {
            return Asked::Unreadable;
        };
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        if path != self.path {
            return Asked::OtherPath;
        }
        if method != "GET" {
            let is_head = method == "HEAD";
            return Asked::OtherMethod { is_head };
        }
        let is = |name: &str, is_right: &dyn Fn(&[u8]) -> bool| {
            let mut values = request
                .headers
                .iter()
                .filter(|header| header.name.eq_ignore_ascii_case(name))
                .map(|header| is_right(header.value));
            // Once and right; `None` if it is not there.
            values
                .next()
                .map(|is_right| is_right && values.next().is_none())
        };
        // Whatever name else leads here was made to (DNS rebinding).
        let host = is("host", &|host| self.is_authority(host)).unwrap_or(false);
        // A frame, an image or a script of another page is no user who comes back (Fetch Metadata).
        let mode = is("sec-fetch-mode", &|mode| mode == b"navigate").unwrap_or(true);
        let place = is("sec-fetch-dest", &|place| place == b"document").unwrap_or(true);
        // Browsers send it with `fetch`, and not with the redirect of a page.
        let origin = is("origin", &|origin| origin == b"null").unwrap_or(true);
        if host && mode && place && origin {
            Asked::Redirect(query)
        } else {
            Asked::NotTheUser
        }
    }

    fn is_authority(&self, host: &[u8]) -> bool {
        let own = self.authority.as_bytes();
        // Port 80 goes without saying.
        let without_port = own.strip_suffix(b":80");
        host.eq_ignore_ascii_case(own)
            || without_port.is_some_and(|own| host.eq_ignore_ascii_case(own))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{Address, Asked};

    fn address() -> Address {
        Address {
            authority: "127.0.0.1:8400".to_owned(),
            path: "/callback".to_owned(),
        }
    }

    fn asked(line: &str, headers: &str) -> String {
        let head = format!("{line} HTTP/1.1\r\n{headers}\r\n");
        format!("{:?}", address().read(head.as_bytes()))
    }

    #[test]
    fn only_a_browser_on_its_way_back_is_heard() {
        // I4
        const HOST: &str = "Host: 127.0.0.1:8400\r\n";
        let with = |more: &str| format!("{HOST}{more}\r\n");
        let get = "GET /callback?code=c&state=s";
        let redirect = r#"Redirect("code=c&state=s")"#;
        let not = "NotTheUser";
        for (line, headers, expected) in [
            (get, HOST.to_owned(), redirect),
            ("GET /callback", HOST.to_owned(), r#"Redirect("")"#),
            ("GET /callback?a?b", HOST.to_owned(), r#"Redirect("a?b")"#),
            (
                get,
                with(
                    "sec-fetch-mode: navigate\r\nSec-Fetch-Dest: document\r\nSec-Fetch-Site: cross-site",
                ),
                redirect,
            ),
            (get, with("Origin: null"), redirect),
            (get, "host: 127.0.0.1:8400\r\n".to_owned(), redirect),
            (get, String::new(), not),
            (get, "Host: 127.0.0.1\r\n".to_owned(), not),
            (get, "Host: 127.0.0.1:8401\r\n".to_owned(), not),
            (get, "Host: localhost:8400\r\n".to_owned(), not),
            (get, "Host: evil.example.com:8400\r\n".to_owned(), not),
            (get, with("Host: 127.0.0.1:8400"), not),
            (get, with("Origin: https://evil.example.com"), not),
            (get, with("Sec-Fetch-Mode: no-cors"), not),
            (get, with("Sec-Fetch-Mode: cors"), not),
            (get, with("Sec-Fetch-Dest: iframe"), not),
            (get, with("Sec-Fetch-Dest: image"), not),
            (
                "HEAD /callback?code=c",
                HOST.to_owned(),
                "OtherMethod { is_head: true }",
            ),
            (
                "POST /callback",
                HOST.to_owned(),
                "OtherMethod { is_head: false }",
            ),
            ("GET /favicon.ico", HOST.to_owned(), "OtherPath"),
            ("GET /callback/x?code=c", HOST.to_owned(), "OtherPath"),
            ("GET /Callback?code=c", HOST.to_owned(), "OtherPath"),
            (
                "GET http://127.0.0.1:8400/callback?code=c",
                HOST.to_owned(),
                "OtherPath",
            ),
            ("HEAD /", HOST.to_owned(), "OtherPath"),
        ] {
            assert_eq!(asked(line, &headers), expected, "{line} {headers}");
        }
        let port_80 = Address {
            authority: "127.0.0.1:80".to_owned(),
            path: "/".to_owned(),
        };
        let head = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
        assert_eq!(port_80.read(head), Asked::Redirect(""));
    }

    #[test]
    fn half_a_head_is_waited_for_and_no_head_is_none() {
        // I4
        let whole = b"GET /callback?code=c HTTP/1.1\r\nHost: 127.0.0.1:8400\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(address().read(&whole[..length]), Asked::More, "{length}");
        }
        let many = format!(
            "GET /callback HTTP/1.1\r\n{}\r\n",
            "a: b\r\n".repeat(super::MOST_HEADERS + 1)
        );
        for bad in [
            &b"\x16\x03\x01\x02\x00\x01"[..],
            b"GET /callback\r\n\r\n",
            b"GET  HTTP/1.1\r\n\r\n",
            b"\0",
            many.as_bytes(),
        ] {
            assert_eq!(address().read(bad), Asked::Unreadable, "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_head_makes_a_panic(head in proptest::collection::vec(any::<u8>(), 0..200)) {
            // I4
            let _ = address().read(&head);
        }
    }
}
