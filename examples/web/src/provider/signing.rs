//! The key that signs id tokens.

use std::time::{Duration, SystemTime};

use ed25519_dalek::pkcs8::EncodePrivateKey as _;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use openidconnect::core::{
    CoreEdDsaPrivateSigningKey, CoreIdToken, CoreIdTokenClaims, CoreJsonWebKeySet,
    CoreJwsSigningAlgorithm,
};
use openidconnect::{
    AccessToken, Audience, EmptyAdditionalClaims, EndUserName, IssuerUrl, JsonWebKeyId,
    LocalizedClaim, Nonce, PrivateSigningKey as _, StandardClaims, SubjectIdentifier,
};
use serde_json::Value;

use crate::provider::books::Person;

/// How long an id token may be looked at after it was made.
const LIFETIME: Duration = Duration::from_secs(300);

/// Ed25519, new at each start: such a key is made in no time, unlike one for RSA.
pub(crate) struct SigningKey(CoreEdDsaPrivateSigningKey);

impl SigningKey {
    pub(crate) fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)?;
        let key = ed25519_dalek::SigningKey::from_bytes(&seed);
        let pem = key.to_pkcs8_pem(LineEnding::LF)?;
        let id = Some(JsonWebKeyId::new("of-this-start".to_owned()));
        Ok(Self(CoreEdDsaPrivateSigningKey::from_ed25519_pem(
            &pem, id,
        )?))
    }

    /// The public half, as a JSON Web Key Set.
    pub(crate) fn public(&self) -> Value {
        let keys = CoreJsonWebKeySet::new(vec![self.0.as_verification_key()]);
        serde_json::to_value(keys).unwrap_or_default()
    }

    /// An id token (OpenID Connect Core section 2), which says who signed in to whom.
    pub(crate) fn sign(
        &self,
        issuer: &str,
        client_id: &str,
        person: &Person,
        nonce: Option<String>,
        access_token: &str,
    ) -> Result<String, Box<dyn std::error::Error>> {
        let now = SystemTime::now();
        let mut name = LocalizedClaim::new();
        name.insert(None, EndUserName::new(person.name.clone()));
        let about = StandardClaims::new(SubjectIdentifier::new(person.subject.clone()));
        let claims = CoreIdTokenClaims::new(
            IssuerUrl::new(issuer.to_owned())?,
            vec![Audience::new(client_id.to_owned())],
            (now + LIFETIME).into(),
            now.into(),
            about.set_name(Some(name)),
            EmptyAdditionalClaims {},
        );
        let token = CoreIdToken::new(
            claims.set_nonce(nonce.map(Nonce::new)),
            &self.0,
            CoreJwsSigningAlgorithm::EdDsa,
            Some(&AccessToken::new(access_token.to_owned())),
            None,
        )?;
        Ok(token.to_string())
    }
}
