//! Signed texts: the compact form of JWS (RFC 7515 section 7.1).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use crate::error::{Error, HowFar};
use crate::secret::Secret;
use crate::signer::Signer;

/// A text to be signed, with the header that it gets.
///
/// ```
/// use reqwest_bearer::{Jws, SigningAlgorithm, SigningKey};
///
/// # async fn proof() -> Result<(), reqwest_bearer::Error> {
/// let key = SigningKey::generate(SigningAlgorithm::Es256)?;
/// let jws = Jws::new(r#"{"jti":"Hq0n8dQm","iat":1767225600}"#)
///     .header("typ", "example+jwt")
///     .header("jwk", key.public_jwk().to_value())
///     .sign(&key)
///     .await?;
/// # Ok(()) }
/// ```
#[must_use]
pub struct Jws {
    header: Map<String, Value>,
    payload: Vec<u8>,
}

impl Jws {
    /// With this payload, mostly the JSON object of a JWT's claims.
    pub fn new(payload: impl Into<Vec<u8>>) -> Self {
        Self {
            header: Map::new(),
            payload: payload.into(),
        }
    }

    /// Adds a member to the header, or replaces it.
    /// Default: `alg`, and `kid` where the signer names one. Both are the signer's.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.header.insert(name.into(), value.into());
        self
    }

    /// Signs it: three parts in base64url with dots between them.
    ///
    /// # Errors
    /// What the signer says, and [`ErrorKind::Settings`](crate::ErrorKind::Settings) for an ECDSA
    /// signature in DER.
    pub async fn sign(mut self, signer: &impl Signer) -> Result<Secret, Error> {
        let algorithm = signer.algorithm();
        if let Some(key_id) = signer.key_id() {
            self = self.header("kid", key_id);
        }
        let text = self.signing_input(algorithm.as_str());
        let signature = signer.sign(text.as_bytes()).await;
        let signature = signature.map_err(|error| error.got(HowFar::NotSent))?;
        let length = algorithm.coordinate_length().map(|length| 2 * length);
        if length.is_some_and(|length| length != signature.len()) {
            return Err(Error::settings(format!(
                "the signature of the signer is not as {algorithm} has it (RFC 7518 section 3.4); one \
                 in DER goes through `SigningAlgorithm::signature_from_der`"
            ))
            .got(HowFar::NotSent));
        }
        Ok(with_signature(text, &signature))
    }

    /// Signs it by a function, such as one with a secret.
    pub(crate) fn sign_by(self, algorithm: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Secret {
        let text = self.signing_input(algorithm);
        let signature = sign(text.as_bytes());
        with_signature(text, &signature)
    }

    fn signing_input(mut self, algorithm: &str) -> String {
        self.header.insert("alg".to_owned(), algorithm.into());
        let header = Value::Object(self.header).to_string();
        // Room for the longest signature of usual keys, so that nothing grows.
        let room = 2 * (header.len() + self.payload.len()) + 1024;
        let mut text = String::with_capacity(room);
        URL_SAFE_NO_PAD.encode_string(header, &mut text);
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(&self.payload, &mut text);
        text
    }
}

fn with_signature(mut text: String, signature: &[u8]) -> Secret {
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    Secret::new(text)
}

impl fmt::Debug for Jws {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Jws").finish_non_exhaustive()
    }
}
