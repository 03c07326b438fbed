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
    pub async fn sign(self, signer: &impl Signer) -> Result<Secret, Error> {
        let Self { header, payload } = self;
        let header = WrittenHeader::of(header, signer);
        header.sign(&payload, signer).await.map(Secret::new)
    }

    /// Signs it by a function, such as one with a secret.
    pub(crate) fn sign_by(self, algorithm: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> Secret {
        let header = WrittenHeader::new(self.header, algorithm, None);
        let text = header.signing_input(&self.payload);
        let signature = sign(text.as_bytes());
        Secret::new(with_signature(text, &signature))
    }

    /// Its header, for many payloads.
    #[cfg(feature = "dpop")]
    pub(crate) fn write_header(self, signer: &impl Signer) -> WrittenHeader {
        WrittenHeader::of(self.header, signer)
    }
}

/// A header that is written once, for a key that signs with each request.
pub(crate) struct WrittenHeader {
    /// In base64url, with the dot.
    text: String,
    /// How many characters the signature has, or may have.
    signature_room: usize,
}

impl WrittenHeader {
    fn of(mut header: Map<String, Value>, signer: &impl Signer) -> Self {
        if let Some(key_id) = signer.key_id() {
            header.insert("kid".to_owned(), key_id.into());
        }
        let algorithm = signer.algorithm();
        Self::new(header, algorithm.as_str(), algorithm.signature_length())
    }

    /// For an algorithm whose signatures have so many bytes, if that does not depend on the key.
    fn new(
        mut header: Map<String, Value>,
        algorithm: &str,
        signature_length: Option<usize>,
    ) -> Self {
        header.insert("alg".to_owned(), algorithm.into());
        let mut text = URL_SAFE_NO_PAD.encode(Value::Object(header).to_string());
        text.push('.');
        Self {
            text,
            // As a rule those of the longest RSA keys in use.
            signature_room: base64_length(signature_length.unwrap_or(512)),
        }
    }

    /// Signs this payload by the signer whose header it is.
    ///
    /// # Errors
    /// As [`Jws::sign`].
    pub(crate) async fn sign(&self, payload: &[u8], signer: &impl Signer) -> Result<String, Error> {
        let algorithm = signer.algorithm();
        let text = self.signing_input(payload);
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

    fn signing_input(&self, payload: &[u8]) -> String {
        // Room for the dot and the signature too, so that nothing grows; and no more, since what an allocator
        // has at hand is small.
        let room = self.text.len() + base64_length(payload.len()) + 1 + self.signature_room;
        let mut text = String::with_capacity(room);
        text.push_str(&self.text);
        URL_SAFE_NO_PAD.encode_string(payload, &mut text);
        text
    }
}

/// Without padding, at most.
fn base64_length(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

fn with_signature(mut text: String, signature: &[u8]) -> String {
    text.push('.');
    URL_SAFE_NO_PAD.encode_string(signature, &mut text);
    text
}

impl fmt::Debug for Jws {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Jws").finish_non_exhaustive()
    }
}
