//! The ways of client authentication in which this process signs.

use super::{ClientAuthentication, Method};
use crate::endpoint::secret_source::SecretSource;
use crate::signer::SigningKeySource;

impl ClientAuthentication {
    /// A JWT that this client signs with its private key (RFC 7523 section 2.2, OpenID Connect Core
    /// section 9), new for every attempt: good for 60 s, with a `jti` of 128 random bits, by the clock of
    /// the endpoint. With certificates the key's own is named by `x5t#S256`.
    ///
    /// Where the issuer's document lists the server's ways of client authentication and algorithms, and
    /// not these, token requests fail with [`ErrorKind::Settings`](crate::ErrorKind::Settings), and
    /// nothing else is tried.
    ///
    /// ```
    /// use reqwest_bearer::{ClientAuthentication, SigningKeyFile, TokenEndpoint};
    ///
    /// # fn main() -> Result<(), reqwest_bearer::Error> {
    /// let key = SigningKeyFile::new("/run/secrets/client.pem").key_id("2026-01");
    /// let client = ClientAuthentication::private_key_jwt("my-client", key);
    /// let endpoint = TokenEndpoint::discover("https://login.example.com", client)?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn private_key_jwt(client_id: impl Into<String>, key: impl Into<SigningKeySource>) -> Self {
        Self::new(client_id, Method::PrivateKeyJwt(key.into()))
    }

    /// A JWT that this client signs with its secret, by HS256 (OpenID Connect Core section 9); otherwise
    /// as `private_key_jwt`. The secret has at least 32 bytes.
    #[must_use]
    pub fn client_secret_jwt(
        client_id: impl Into<String>,
        secret: impl Into<SecretSource>,
    ) -> Self {
        Self::new(client_id, Method::SecretJwt(secret.into()))
    }

    /// Says `JWT` in the header of its assertions (`typ`), for servers that do not know the newer word.
    /// Default: `client-authentication+jwt`, which no other kind of JWT has.
    #[must_use]
    pub fn plain_assertion_type(mut self) -> Self {
        self.assertions.header.plain_type = true;
        self
    }

    /// Sends the certificates of the key along (`x5c`, RFC 7515 section 4.1.6), for servers that trust
    /// whoever has signed them: Entra by subject name and issuer.
    /// Default: `x5t#S256` alone.
    #[must_use]
    pub fn certificate_chain(mut self) -> Self {
        self.assertions.header.certificate_chain = true;
        self
    }

    /// Names the certificate of the key by SHA-1 too (`x5t`, RFC 7515 section 4.1.7), for servers that
    /// know nothing newer.
    /// Default: `x5t#S256` alone.
    #[must_use]
    pub fn sha1_certificate_thumbprint(mut self) -> Self {
        self.assertions.header.sha1_thumbprint = true;
        self
    }
}
