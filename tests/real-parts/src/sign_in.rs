//! The authorization code grant up to the code (RFC 6749 section 4.1.1, RFC 7636), without a
//! browser: the redirects are followed by hand and the cookies kept in a map.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest::header::{COOKIE, LOCATION, SET_COOKIE};
use reqwest::{Response, StatusCode, Url};
use sha2::{Digest as _, Sha256};

use crate::Issuer;

/// More hops than any sign-in takes: authorize, log in, resume, agree, resume, callback.
const MOST_HOPS: usize = 12;

/// What a client holds after a sign-in, ready to be exchanged for tokens.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// The authorization code.
    pub code: String,
    /// The code verifier whose challenge went along.
    pub code_verifier: String,
    /// The redirect URI that the code was sent to.
    pub redirect_uri: String,
}

pub(crate) async fn sign_in(
    issuer: &Issuer,
    client_id: &str,
    account: &str,
    scope: &str,
    dpop_jkt: Option<&str>,
) -> SignedIn {
    // 64 characters of the 66 that RFC 7636 section 4.1 allows; it asks for 43 to 128.
    let code_verifier: String = std::iter::repeat_with(fastrand::alphanumeric)
        .take(64)
        .collect();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(&code_verifier));
    let mut start = Url::parse_with_params(
        &issuer.at("/auth"),
        [
            ("response_type", "code"),
            ("client_id", client_id),
            ("redirect_uri", &issuer.redirect_uri),
            ("scope", scope),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("login_hint", account),
            // Without it oidc-provider leaves `offline_access` out (OpenID Connect Core section 11).
            ("prompt", "consent"),
        ],
    )
    .expect("the issuer is a URL");
    if let Some(dpop_jkt) = dpop_jkt {
        start.query_pairs_mut().append_pair("dpop_jkt", dpop_jkt);
    }

    let callback = follow(issuer, start, &issuer.redirect_uri).await;
    let parameters: BTreeMap<_, _> = callback.query_pairs().into_owned().collect();
    let Some(code) = parameters.get("code") else {
        panic!("the sign-in ended without a code: {parameters:?}");
    };
    SignedIn {
        code: code.clone(),
        code_verifier,
        redirect_uri: issuer.redirect_uri.clone(),
    }
}

/// Follows redirects from `start` to the redirect URI, which is not asked for.
pub(crate) async fn follow(issuer: &Issuer, start: Url, redirect_uri: &str) -> Url {
    let mut cookies = BTreeMap::new();
    let mut url = start;
    for _ in 0..MOST_HOPS {
        if url.as_str().starts_with(redirect_uri) {
            return url;
        }
        let mut request = issuer.http.get(url.clone());
        if !cookies.is_empty() {
            let pairs: Vec<_> = cookies
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            request = request.header(COOKIE, pairs.join("; "));
        }
        let answer = request.send().await.expect("the server is up");
        keep_cookies(&mut cookies, &answer);
        url = next_hop(&url, answer).await;
    }
    panic!("the sign-in did not come to the redirect URI within {MOST_HOPS} hops");
}

/// Cookie paths and expiry are left out: one sign-in visits one server for a moment.
pub(crate) fn keep_cookies(cookies: &mut BTreeMap<String, String>, answer: &Response) {
    for header in answer.headers().get_all(SET_COOKIE) {
        let text = header.to_str().expect("oidc-provider's cookies are ASCII");
        let pair = text.split(';').next().unwrap_or_default();
        if let Some((name, value)) = pair.split_once('=') {
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

async fn next_hop(from: &Url, answer: Response) -> Url {
    let status = answer.status();
    let Some(location) = answer.headers().get(LOCATION) else {
        let body = answer.text().await.unwrap_or_default();
        panic!("the sign-in stopped at {from} with {status}: {body}");
    };
    assert_eq!(
        status,
        StatusCode::SEE_OTHER,
        "a redirect that a browser would follow with GET"
    );
    let location = location.to_str().expect("a URL is ASCII");
    from.join(location).expect("a redirect leads to a URL")
}
