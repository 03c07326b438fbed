//! The nonces that servers want in proofs: the newest one of each origin (RFC 9449 sections 8 and 9).

use std::sync::Arc;

use http::{HeaderMap, HeaderName};
use reqwest::Url;

use crate::by_origin::ByOrigin;

/// Where a server gives the next nonce.
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");

/// More than this is no nonce: it would be sent with each request.
const LONGEST: usize = 4 * 1024;

/// A nonce, which is no secret: it is worth nothing without the key.
pub(crate) type Nonce = Arc<str>;

/// The newest nonce of each origin. Clones share them.
///
/// A nonce is of a server and not of a client, so the tokens of all users have one place for them; and of
/// an origin, so that an API beside its authorization server needs no answer more to learn it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Nonces(Arc<ByOrigin<Nonce>>);

impl Nonces {
    /// What proofs for this URL are to have in them, if its server has said.
    pub(crate) fn of(&self, url: &Url) -> Option<Nonce> {
        self.0.look(url, Nonce::clone)
    }

    /// Takes note of what an answer of this URL gives. One that cannot be used says nothing.
    pub(crate) fn learn(&self, url: &Url, headers: &HeaderMap) {
        let Ok(Some(nonce)) = nonce_in(headers) else {
            return;
        };
        // Most answers repeat it.
        if self.0.look(url, |known| **known == *nonce) != Some(true) {
            self.0.insert(url, nonce.into());
        }
    }
}

/// A nonce that cannot be used: empty, too long, with a character that it cannot have, or one of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Unusable;

/// The nonce in an answer, if there is one.
fn nonce_in(headers: &HeaderMap) -> Result<Option<&str>, Unusable> {
    let mut given = headers.get_all(DPOP_NONCE).iter();
    let nonce = match (given.next(), given.next()) {
        (None, _) => return Ok(None),
        (Some(nonce), None) => nonce.as_bytes(),
        (Some(_), Some(_)) => return Err(Unusable),
    };
    // 1*NQCHAR (RFC 9449 section 8.1).
    let is_nqchar = |byte: &u8| matches!(byte, 0x21 | 0x23..=0x5B | 0x5D..=0x7E);
    let is_good = (1..=LONGEST).contains(&nonce.len()) && nonce.iter().all(is_nqchar);
    match std::str::from_utf8(nonce) {
        Ok(text) if is_good => Ok(Some(text)),
        _ => Err(Unusable),
    }
}

/// The nonce that an answer gives which wants one in the proof.
///
/// # Errors
/// What is wrong with it: it is the one that was sent, or none that can be. Another request would be answered
/// the same.
pub(crate) fn next_nonce(headers: &HeaderMap, sent: Option<&Nonce>) -> Result<Nonce, &'static str> {
    match nonce_in(headers) {
        Ok(Some(nonce)) if Some(nonce) != sent.map(|sent| &**sent) => Ok(nonce.into()),
        Ok(Some(_)) => Err("gives the one that was in the proof"),
        Ok(None) => Err("gives none"),
        Err(Unusable) => {
            Err("gives one that cannot be sent: too long, or with a character that none has")
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue};
    use reqwest::Url;

    use super::{LONGEST, Nonces, Unusable, nonce_in};

    fn headers(nonces: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for nonce in nonces {
            headers.append("dpop-nonce", HeaderValue::from_bytes(nonce).unwrap());
        }
        headers
    }

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn a_nonce_is_of_the_characters_that_the_rfc_has_and_not_too_long() {
        // H6
        assert_eq!(nonce_in(&headers(&[])), Ok(None));
        let longest = vec![b'a'; LONGEST];
        for good in [
            &b"a"[..],
            b"eyJ7S_zG.eyJbYu3.xOmpWkQ",
            b"!#[]~+/=",
            &longest,
        ] {
            let text = std::str::from_utf8(good).unwrap();
            assert_eq!(nonce_in(&headers(&[good])), Ok(Some(text)));
        }
        let too_long = vec![b'a'; LONGEST + 1];
        for bad in [
            &b""[..],
            b"a b",
            b"a\tb",
            b"a\"b",
            b"a\\b",
            b"\xff",
            &too_long,
        ] {
            assert_eq!(nonce_in(&headers(&[bad])), Err(Unusable), "{bad:?}");
        }
        assert_eq!(nonce_in(&headers(&[b"a", b"b"])), Err(Unusable));
        assert!(HeaderValue::from_bytes(b"a\r\nb").is_err());
    }

    #[test]
    fn each_origin_has_the_nonce_that_it_gave_last() {
        // H6
        let nonces = Nonces::default();
        nonces.learn(&url("https://a.test/1"), &headers(&[b"a-1"]));
        nonces
            .clone()
            .learn(&url("https://b.test/"), &headers(&[b"b-1"]));
        nonces.learn(&url("https://a.test/2?x"), &headers(&[b"a-2"]));
        for silent in [&headers(&[]), &headers(&[b"a b"])] {
            nonces.learn(&url("https://a.test/"), silent);
        }
        for (of, nonce) in [
            ("https://a.test/3", Some("a-2")),
            ("https://a.test:443/", Some("a-2")),
            ("https://b.test/", Some("b-1")),
            ("http://a.test/", None),
            ("https://a.test:8443/", None),
            ("https://c.test/", None),
        ] {
            assert_eq!(nonces.of(&url(of)).as_deref(), nonce, "{of}");
        }
    }
}
