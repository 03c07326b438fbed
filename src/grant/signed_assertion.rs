//! A JWT that this program signs: as an assertion to an authorization server, or as the token itself.

use std::fmt;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};

use crate::error::{Error, HowFar};
use crate::grant::{Grant, GrantRequest};
use crate::random_id::random_id;
use crate::secret::Secret;
use crate::signer::{Jws, SigningKeySource};
use crate::token::TokenResponse;

/// As long as Google lets a JWT live; others want less.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// Claims that are signed anew each time, with a new `jti`, `iat` and `exp` (RFC 7523 section 3).
///
/// ```
/// use reqwest_bearer::{JwtBearer, SignedAssertion, SigningKeyFile};
///
/// # fn grant(endpoint: reqwest_bearer::TokenEndpoint) {
/// let key = SigningKeyFile::new("/run/secrets/key.pem").key_id("2026-01");
/// let assertion = SignedAssertion::new(key, "https://as.example.com")
///     .issuer("my-service")
///     .subject("my-service");
/// let grant = JwtBearer::signed(endpoint, assertion).scope("orders:read");
/// # }
/// ```
#[derive(Clone)]
pub struct SignedAssertion {
    key: SigningKeySource,
    lifetime: Duration,
    claims: Map<String, Value>,
}

impl SignedAssertion {
    /// Signed by this key, for this audience (`aud`): mostly the issuer of the authorization server, or its
    /// token URL.
    #[must_use]
    pub fn new(key: impl Into<SigningKeySource>, audience: impl Into<String>) -> Self {
        let assertion = Self {
            key: key.into(),
            lifetime: LONGEST,
            claims: Map::new(),
        };
        assertion.claim("aud", audience.into())
    }

    /// Who asserts (`iss`), mostly a client id or the name of a service account.
    /// Default: none is said.
    #[must_use]
    pub fn issuer(self, issuer: impl Into<String>) -> Self {
        self.claim("iss", issuer.into())
    }

    /// Of whom (`sub`), mostly the issuer itself, or a user whom it may act for.
    /// Default: none is said.
    #[must_use]
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.claim("sub", subject.into())
    }

    /// The scopes, separated by spaces, for servers that read them here and not in the token request:
    /// Google's.
    /// Default: none.
    #[must_use]
    pub fn scope(self, scope: impl Into<String>) -> Self {
        self.claim("scope", scope.into())
    }

    /// Another claim, in place of one of this name. `iat`, `exp` and `jti` are those of each signature.
    /// Default: none.
    #[must_use]
    pub fn claim(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.claims.insert(name.into(), value.into());
        self
    }

    /// How long each is good: 1 s to 1 h, which is the most that Google takes; what is outside of that is
    /// brought to it.
    /// Default: 1 h.
    #[must_use]
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime.clamp(Duration::from_secs(1), LONGEST);
        self
    }

    /// One that is good from `now` on.
    pub(super) async fn sign(&self, now: SystemTime) -> Result<Secret, Error> {
        let since_epoch = now.duration_since(SystemTime::UNIX_EPOCH);
        let now = since_epoch.unwrap_or_default().as_secs();
        let mut claims = self.claims.clone();
        claims.insert("iat".to_owned(), now.into());
        claims.insert("exp".to_owned(), (now + self.lifetime.as_secs()).into());
        claims.insert("jti".to_owned(), random_id()?.into());
        let claims = Value::Object(claims).to_string();
        let signer = self.key.read().await?;
        let jws = Jws::new(claims).header("typ", "JWT");
        jws.sign(&signer)
            .await
            .map_err(|error| error.got(HowFar::NotSent))
    }
}

impl fmt::Debug for SignedAssertion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SignedAssertion")
            .field("key", &self.key)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// A token that this program signs itself, and that the API takes without an authorization server in
/// between: Google's APIs do from a service account
/// (`GoogleServiceAccount::self_signed`), and so do those of GitHub's and Apple's for an app.
///
/// ```
/// use reqwest_bearer::{NamedClient, SelfSignedToken, SignedAssertion, SigningKey};
///
/// # fn client(pem: &str) -> Result<(), reqwest_bearer::Error> {
/// let token = SignedAssertion::new(SigningKey::from_pem(pem)?, "https://api.example.com")
///     .issuer("my-service")
///     .subject("my-service");
/// let api = NamedClient::new("api", "https://api.example.com", SelfSignedToken::new(token))?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct SelfSignedToken(SignedAssertion);

impl SelfSignedToken {
    /// Signs these claims.
    #[must_use]
    pub fn new(claims: SignedAssertion) -> Self {
        Self(claims)
    }
}

impl Grant for SelfSignedToken {
    fn name(&self) -> &str {
        "self_signed"
    }

    async fn obtain(&self, request: GrantRequest) -> Result<TokenResponse, Error> {
        let token = self.0.sign(request.now()).await?;
        Ok(TokenResponse::bearer(token).with_expires_in(self.0.lifetime))
    }
}
