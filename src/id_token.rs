//! What an id token says of itself: whom it is about, and when it ends.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::secret::Secret;

/// What of an id token tells its user and its sign-in.
#[derive(Deserialize)]
pub(crate) struct Claims {
    pub(crate) sub: String,
    /// The sign-in at the authorization server (OpenID Connect Back-Channel Logout 1.0 section 2.1).
    pub(crate) sid: Option<String>,
}

impl Claims {
    /// The claims; `None` if this is no id token.
    ///
    /// The signature is not checked: the token came straight from the token endpoint, and the question
    /// is only whether a later one is about the same user (OpenID Connect Core 12.2).
    pub(crate) fn of(id_token: &Secret) -> Option<Self> {
        claims(id_token)
    }
}

#[derive(Deserialize)]
struct Expiry {
    exp: f64,
}

#[derive(Deserialize)]
struct Nonce {
    nonce: String,
}

/// The claim `sub` (OpenID Connect Core section 2); `None` if this is no such token.
pub(crate) fn subject_claim(id_token: &Secret) -> Option<String> {
    Claims::of(id_token).map(|claims| claims.sub)
}

/// The claim `exp` (OpenID Connect Core section 2), in seconds since 1970; `None` if this is no such
/// token. Not checked either: a wrong one ends what is kept too early, or has the API refuse it.
pub(crate) fn expiry_claim(id_token: &Secret) -> Option<f64> {
    Some(claims::<Expiry>(id_token)?.exp)
}

/// The claim `nonce` (OpenID Connect Core section 2), which says of which sign-in it is. Not checked either:
/// a token that did not come straight from the token endpoint needs its signature checked for that.
pub(crate) fn nonce_claim(id_token: &Secret) -> Option<Secret> {
    claims::<Nonce>(id_token).map(|claims| Secret::new(claims.nonce))
}

fn claims<T: DeserializeOwned>(id_token: &Secret) -> Option<T> {
    let mut parts = id_token.expose().split('.');
    let claims = parts.nth(1)?;
    let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
    serde_json::from_slice(&claims).ok()
}

#[cfg(test)]
mod tests {
    use super::{expiry_claim, subject_claim};
    use crate::secret::Secret;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    #[test]
    fn the_subject_of_an_id_token_is_read_and_of_anything_else_there_is_none() {
        // F10
        let of = |claims: &str| {
            let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
            subject_claim(&Secret::new(token))
        };
        assert_eq!(of(r#"{"sub":"alice","iat":1}"#).as_deref(), Some("alice"));
        assert_eq!(of(r#"{"iat":1}"#), None);
        assert_eq!(of(r#"{"sub":1}"#), None);
        for bad in ["", ".", "a.b", "a.!.c", "opaque"] {
            assert_eq!(subject_claim(&Secret::new(bad)), None, "{bad:?}");
            assert_eq!(expiry_claim(&Secret::new(bad)), None, "{bad:?}");
        }
    }

    #[test]
    fn the_end_of_an_id_token_is_a_number_or_nothing() {
        // K27
        let of = |claims: &str| {
            let token = format!("e30.{}.sig", URL_SAFE_NO_PAD.encode(claims));
            expiry_claim(&Secret::new(token))
        };
        assert_eq!(of(r#"{"exp":1780315200}"#), Some(1_780_315_200.0));
        assert_eq!(of(r#"{"exp":1.5,"sub":1}"#), Some(1.5));
        assert_eq!(of(r#"{"exp":"1780315200"}"#), None);
        assert_eq!(of(r#"{"sub":"alice"}"#), None);
    }
}
