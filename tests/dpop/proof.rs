//! A proof as a server reads it, by RFC 9449 section 4.3.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use reqwest_bearer::PublicJwk;
use serde_json::Value;

use crate::support::http_server::Seen;

/// What a good one says.
#[derive(Clone, Debug)]
pub(crate) struct Proof {
    /// The thumbprint of its key.
    pub(crate) jkt: String,
    pub(crate) claims: Value,
}

impl Proof {
    /// The one proof of a request, if its signature is that of the key in it.
    pub(crate) fn of(seen: &Seen) -> Result<Self, &'static str> {
        let mut headers = seen.headers.get_all("dpop").iter();
        let (Some(header), None) = (headers.next(), headers.next()) else {
            return Err("not one proof");
        };
        Self::read(header.to_str().unwrap())
    }

    pub(crate) fn read(text: &str) -> Result<Self, &'static str> {
        let [header, claims, _] = text.split('.').collect::<Vec<_>>()[..] else {
            return Err("no compact JWS");
        };
        let (header, claims) = (json(header), json(claims));
        if (header["typ"].as_str(), header["alg"].as_str()) != (Some("dpop+jwt"), Some("ES256")) {
            return Err("another type or algorithm");
        }
        if !header["jwk"]["d"].is_null() {
            return Err("the private key");
        }
        let member = |name: &str| decode(header["jwk"][name].as_str().unwrap());
        let point = [vec![4], member("x"), member("y")].concat();
        let (signed, signature) = text.rsplit_once('.').unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point)
            .verify(signed.as_bytes(), &decode(signature))
            .map_err(|_| "another signature")?;
        let public = PublicJwk::from_jwk(&header["jwk"].to_string()).unwrap();
        Ok(Self {
            jkt: public.thumbprint(),
            claims,
        })
    }

    pub(crate) fn claim(&self, name: &str) -> Option<&str> {
        self.claims[name].as_str()
    }
}

fn json(part: &str) -> Value {
    serde_json::from_slice(&decode(part)).unwrap()
}

fn decode(base64url: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(base64url).unwrap()
}
