//! The public part of a key.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::error::Error;

/// A public key as a JWK, with the members that make it up and no others (RFC 7517, RFC 7518 section 6,
/// RFC 8037 section 2).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicJwk(
    // In the order of RFC 7638 section 3.3.
    Vec<(&'static str, String)>,
);

#[derive(Deserialize)]
struct Members {
    kty: String,
    crv: Option<String>,
    e: Option<String>,
    n: Option<String>,
    x: Option<String>,
    y: Option<String>,
}

impl PublicJwk {
    pub(crate) fn ec(curve: &str, x: &[u8], y: &[u8]) -> Self {
        Self(vec![
            ("crv", curve.to_owned()),
            ("kty", "EC".to_owned()),
            ("x", URL_SAFE_NO_PAD.encode(x)),
            ("y", URL_SAFE_NO_PAD.encode(y)),
        ])
    }

    pub(crate) fn ed25519(x: &[u8]) -> Self {
        Self(vec![
            ("crv", "Ed25519".to_owned()),
            ("kty", "OKP".to_owned()),
            ("x", URL_SAFE_NO_PAD.encode(x)),
        ])
    }

    pub(crate) fn rsa(modulus: &[u8], exponent: &[u8]) -> Self {
        Self(vec![
            ("e", URL_SAFE_NO_PAD.encode(exponent)),
            ("kty", "RSA".to_owned()),
            ("n", URL_SAFE_NO_PAD.encode(modulus)),
        ])
    }

    /// The public part of a JWK of the types `EC`, `OKP` and `RSA`. Other members are left out, private
    /// ones too. Whether the numbers are a key is not looked into.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) for another text.
    pub fn from_jwk(text: &str) -> Result<Self, Error> {
        let fault = || {
            Error::settings(
                "the JWK is no JSON object with the public members of a key of the type `EC`, `OKP` \
                 or `RSA` (RFC 7518 section 6)",
            )
        };
        let Members {
            kty,
            crv,
            e,
            n,
            x,
            y,
        } = serde_json::from_str(text).map_err(|_| fault())?;
        let members = match kty.as_str() {
            "EC" => vec![("crv", crv), ("kty", Some(kty)), ("x", x), ("y", y)],
            "OKP" => vec![("crv", crv), ("kty", Some(kty)), ("x", x)],
            "RSA" => vec![("e", e), ("kty", Some(kty)), ("n", n)],
            _ => return Err(fault()),
        };
        let members = members
            .into_iter()
            .map(|(name, value)| Some((name, value?)));
        members
            .collect::<Option<Vec<_>>>()
            .map(Self)
            .ok_or_else(fault)
    }

    /// Its members as a JSON object, for the header of a JWS (`jwk`, RFC 7515 section 4.1.3).
    #[must_use]
    pub fn to_value(&self) -> Value {
        let members = self.0.iter();
        let members: Map<_, _> = members
            .map(|(name, value)| ((*name).to_owned(), Value::String(value.clone())))
            .collect();
        Value::Object(members)
    }

    /// The thumbprint with SHA-256, in base64url (RFC 7638): the same for each JWK of the key.
    #[must_use]
    pub fn thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(self.to_string()))
    }
}

/// A JSON object without blanks, its members in the order of the alphabet: what RFC 7638 section 3 digests.
impl fmt::Display for PublicJwk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (name, value)) in self.0.iter().enumerate() {
            let before = if position == 0 { '{' } else { ',' };
            // As JSON escapes it, for one that was read.
            let value = serde_json::to_string(value).map_err(|_| fmt::Error)?;
            write!(formatter, "{before}\"{name}\":{value}")?;
        }
        formatter.write_str("}")
    }
}

impl fmt::Debug for PublicJwk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicJwk({self})")
    }
}
