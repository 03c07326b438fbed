//! What a proof says: a pure function of the request that it goes along with.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use reqwest::Url;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::clock::Moment;

/// One sending of a request.
#[derive(Clone, Copy)]
pub(crate) struct Sending<'request> {
    pub(crate) method: &'request Method,
    pub(crate) url: &'request Url,
    /// The [digest](ath) of the access token that it carries; none at a token endpoint.
    pub(crate) ath: Option<&'request str>,
    pub(crate) nonce: Option<&'request str>,
    pub(crate) now: Moment,
}

/// In the order of RFC 9449 section 4.2.
#[derive(Serialize)]
struct Claims<'request> {
    jti: &'request str,
    htm: &'request str,
    htu: &'request str,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<&'request str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<&'request str>,
}

impl Sending<'_> {
    /// The claims of its proof with this id, as JSON.
    pub(crate) fn claims(&self, jti: &str) -> Vec<u8> {
        let url = bare(self.url);
        let claims = Claims {
            jti,
            htm: self.method.as_str(),
            htu: &url,
            iat: self.now.wall.as_secs(),
            ath: self.ath,
            nonce: self.nonce,
        };
        // Room for all but the longest URLs and nonces, so that nothing grows.
        let mut json = Vec::with_capacity(512);
        // Texts and a number: nothing of it fails.
        let _ = serde_json::to_writer(&mut json, &claims);
        json
    }
}

/// What stands in a proof for an access token: the same in all of them.
pub(crate) fn ath(token: &str) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(token))
}

/// The URL without query and fragment (RFC 9449 section 4.2), and without the user information that no
/// server sees in it: reqwest makes a header of that.
fn bare(url: &Url) -> Cow<'_, str> {
    if url.username().is_empty() && url.password().is_none() {
        // In a path both are escaped.
        let bare = url.as_str().split(['?', '#']).next();
        return Cow::Borrowed(bare.unwrap_or_default());
    }
    let mut bare = url.clone();
    bare.set_query(None);
    bare.set_fragment(None);
    // Fails for URLs without a host, which have none.
    let _ = bare.set_username("");
    let _ = bare.set_password(None);
    Cow::Owned(bare.into())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http::Method;
    use reqwest::Url;
    use serde_json::{Value, json};

    use super::{Sending, ath};
    use crate::clock::Moment;

    fn claims(url: &str, method: &Method, token: Option<&str>, nonce: Option<&str>) -> Value {
        let ath = token.map(ath);
        let wall = Duration::from_millis(1_562_262_618_999);
        let sending = Sending {
            method,
            url: &Url::parse(url).unwrap(),
            ath: ath.as_deref(),
            nonce,
            now: Moment {
                monotonic: Duration::ZERO,
                wall,
            },
        };
        serde_json::from_slice(&sending.claims("e1j3V_bKic8-LAEB")).unwrap()
    }

    #[test]
    fn rfc9449_4_2_the_claims_of_the_example_are_made_of_its_request() {
        // H5
        let url = "https://server.example.com/token";
        let mut made = claims(url, &Method::POST, None, None);
        // Both have these of their own.
        let own = made.as_object_mut().unwrap();
        assert!(own.remove("jti").is_some() && own.remove("iat").is_some());
        assert_eq!(made, json!({ "htm": "POST", "htu": url }));
    }

    #[test]
    fn rfc9449_7_1_the_claims_of_the_example_are_made_of_its_request() {
        // H5
        let token = "Kz~8mXK1EalYznwH-LC-1fBAo.4Ljp~zsPE_NeO.gxU";
        let made = claims(
            "https://resource.example.org/protectedresource",
            &Method::GET,
            Some(token),
            None,
        );
        assert_eq!(
            made,
            json!({
                "jti": "e1j3V_bKic8-LAEB",
                "htm": "GET",
                "htu": "https://resource.example.org/protectedresource",
                "iat": 1_562_262_618,
                "ath": "fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo"
            })
        );
    }

    #[test]
    fn a_proof_names_the_url_without_what_is_only_the_caller_s() {
        // H5
        for (url, htu) in [
            ("https://a.b/c?d=e#f", "https://a.b/c"),
            ("https://a.b", "https://a.b/"),
            ("https://u:p@a.b:8443/c%20d?", "https://a.b:8443/c%20d"),
            ("https://A.B:443/c/", "https://a.b/c/"),
        ] {
            assert_eq!(claims(url, &Method::POST, None, None)["htu"], htu, "{url}");
        }
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        // H5
        let made = claims("https://a.b/", &Method::POST, None, None);
        let members = made.as_object().unwrap();
        assert!(!members.contains_key("ath") && !members.contains_key("nonce"));
        let made = claims("https://a.b/", &Method::POST, None, Some("n-1"));
        assert_eq!(made["nonce"], "n-1");
    }
}
