//! Whom an id token is about.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

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
        let mut parts = id_token.expose().split('.');
        let claims = parts.nth(1)?;
        let claims = URL_SAFE_NO_PAD.decode(claims.trim_end_matches('=')).ok()?;
        serde_json::from_slice(&claims).ok()
    }
}

/// The claim `sub` (OpenID Connect Core section 2); `None` if this is no such token.
pub(crate) fn subject_claim(id_token: &Secret) -> Option<String> {
    Claims::of(id_token).map(|claims| claims.sub)
}

#[cfg(test)]
mod tests {
    use super::subject_claim;
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
        }
    }
}
