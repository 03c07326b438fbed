//! How this client proves who it is to the authorization server.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::future::Future;

use crate::endpoint::assertion::{
    AssertionContext, AssertionSettings, Audience, JWT_BEARER, JWT_SPIFFE, Occasion,
};
#[cfg(feature = "signing")]
use crate::endpoint::client_jwt;
use crate::endpoint::form::Form;
use crate::endpoint::secret_source::{AssertionFn, SecretSource, control_fault};
use crate::error::{Error, HowFar};
#[cfg(feature = "mtls")]
use crate::mtls::ClientCertificate;
use crate::parameters::is_field_of_requests;
use crate::secret::Secret;
#[cfg(feature = "signing")]
use crate::signer::SigningKeySource;
#[cfg(feature = "signing")]
use crate::signer::hmac;

#[cfg(feature = "mtls")]
mod certified;
#[cfg(feature = "signing")]
mod signed;

const CLIENT_ID: &str = "client_id";
const CLIENT_SECRET: &str = "client_secret";
/// The fields of a revocation (RFC 7009 section 2.1).
const OF_REVOCATIONS: [&str; 2] = ["token", "token_type_hint"];

/// The client id and the way of client authentication (RFC 6749 section 2.3).
///
/// The constructors are named as the methods are registered ("OAuth Token Endpoint Authentication
/// Methods"). Which one a server wants is in its settings for the client; it is never found out
/// by trying, since some servers lock a client after a few refusals.
///
/// Neither an id nor a secret has a control character in it (RFC 6749 appendix A); most often one is
/// the line break at the end of an environment variable. Building the token endpoint refuses it.
#[derive(Clone, Debug)]
pub struct ClientAuthentication {
    client_id: String,
    method: Method,
    id_field: Cow<'static, str>,
    secret_field: Cow<'static, str>,
    id_in_body: bool,
    assertions: AssertionSettings,
    #[cfg(feature = "mtls")]
    certificate: Option<ClientCertificate>,
}

#[derive(Clone, Debug)]
enum Method {
    Basic(SecretSource),
    BasicRaw(SecretSource),
    Post(SecretSource),
    Public,
    /// Of this type (RFC 7521 section 4.2).
    Assertion(SecretSource, &'static str),
    AssertionByHand(AssertionFn),
    #[cfg(feature = "signing")]
    PrivateKeyJwt(SigningKeySource),
    #[cfg(feature = "signing")]
    SecretJwt(SecretSource),
    /// By the certificate, as it is registered.
    #[cfg(feature = "mtls")]
    Tls(&'static str),
}

/// What goes into the `Authorization: Basic` header.
pub(crate) struct BasicCredentials {
    pub(crate) user: Secret,
    pub(crate) password: Secret,
}

impl ClientAuthentication {
    /// A secret in the `Authorization` header, id and secret form-encoded as RFC 6749 section
    /// 2.3.1 has it. What most servers want.
    #[must_use]
    pub fn client_secret_basic(
        client_id: impl Into<String>,
        secret: impl Into<SecretSource>,
    ) -> Self {
        Self::new(client_id, Method::Basic(secret.into()))
    }

    /// A secret in the `Authorization` header, without the form encoding.
    ///
    /// For servers that do not decode it, such as doorkeeper (GitLab, Mastodon) and
    /// node-oauth2-server. It makes a difference only if the id or the secret holds other
    /// characters than letters, digits, `*`, `-`, `.` and `_`.
    #[must_use]
    pub fn client_secret_basic_raw(
        client_id: impl Into<String>,
        secret: impl Into<SecretSource>,
    ) -> Self {
        Self::new(client_id, Method::BasicRaw(secret.into()))
    }

    /// A secret in the form, as `client_secret`.
    #[must_use]
    pub fn client_secret_post(
        client_id: impl Into<String>,
        secret: impl Into<SecretSource>,
    ) -> Self {
        Self::new(client_id, Method::Post(secret.into()))
    }

    /// No authentication: a public client, such as a program on the user's own machine.
    #[must_use]
    pub fn none(client_id: impl Into<String>) -> Self {
        Self::new(client_id, Method::Public)
    }

    /// A JWT that something else signs (RFC 7523 section 2.2): a platform, for its workloads.
    ///
    /// It is asked for at every attempt. A file suits what a platform replaces there, such as Kubernetes'
    /// projected service account tokens, with the issuer of the authorization server as their audience:
    ///
    /// ```
    /// use reqwest_bearer::{ClientAuthentication, SecretSource};
    ///
    /// let token = SecretSource::file("/var/run/secrets/tokens/login.example.com");
    /// let client = ClientAuthentication::client_assertion("my-client", token);
    /// ```
    ///
    /// For one of your own key there is `private_key_jwt` (feature `signing`), and
    /// [`client_assertion_from_fn`](Self::client_assertion_from_fn) for a function that signs.
    #[must_use]
    pub fn client_assertion(
        client_id: impl Into<String>,
        assertion: impl Into<SecretSource>,
    ) -> Self {
        Self::new(client_id, Method::Assertion(assertion.into(), JWT_BEARER))
    }

    /// A JWT that a function of your own signs (RFC 7523 section 2.2). It is called for every attempt,
    /// with what the assertion has to say: sign a new one each time, with a new `jti`, since servers
    /// refuse one that they have seen.
    ///
    /// Its errors are those of [`SecretSource::from_fn`].
    #[must_use]
    pub fn client_assertion_from_fn<F, Fut, E>(client_id: impl Into<String>, sign: F) -> Self
    where
        F: Fn(AssertionContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Secret, E>> + Send + 'static,
        E: StdError + Send + Sync + 'static,
    {
        Self::new(client_id, Method::AssertionByHand(AssertionFn::new(sign)))
    }

    /// A JWT-SVID of SPIFFE in place of a JWT of the client's own, mostly a file that an agent keeps
    /// fresh and that is read at every attempt. It is sent with the assertion type `jwt-spiffe` (OAuth
    /// SPIFFE Client Authentication, a draft; Keycloak has it). The client id is the one that the server
    /// knows, which may be the SPIFFE id.
    ///
    /// ```
    /// use reqwest_bearer::{ClientAuthentication, SecretSource};
    ///
    /// let svid = SecretSource::file("/run/spire/jwt_svid.token");
    /// let client = ClientAuthentication::jwt_svid("spiffe://example.com/orders", svid);
    /// ```
    #[must_use]
    pub fn jwt_svid(client_id: impl Into<String>, svid: impl Into<SecretSource>) -> Self {
        Self::new(client_id, Method::Assertion(svid.into(), JWT_SPIFFE))
    }

    /// Whom assertions are for (`aud`), whatever the server calls itself.
    /// Default: the issuer as the settings name it, if the document that was found there names the very
    /// same; otherwise the URL that the assertion is sent to. What a document alone names is never taken,
    /// so that no server can get an assertion that is good at another.
    #[must_use]
    pub fn assertion_audience(mut self, audience: impl Into<String>) -> Self {
        self.assertions.audience = Audience::Text(audience.into());
        self
    }

    /// Assertions are for the URL that they are sent to, as older servers want it.
    /// Default: as for [`assertion_audience`](Self::assertion_audience).
    #[must_use]
    pub fn endpoint_as_audience(mut self) -> Self {
        self.assertions.audience = Audience::Endpoint;
        self
    }

    /// Sends the client id in the body of each request, too, beside the `Authorization` header: for
    /// servers that look the client up by it, for revocations as for tokens. With any other way it is
    /// there already.
    /// Default: with `client_secret_basic` the header alone has it, as RFC 6749 section 2.3 wants it.
    #[must_use]
    pub fn client_id_in_body(mut self) -> Self {
        self.id_in_body = true;
        self
    }

    /// What the server calls the client id in the body: `client_key` at TikTok, `appid` at others.
    /// Default: `client_id` (RFC 6749 section 2.3.1).
    ///
    /// ```
    /// use reqwest_bearer::ClientAuthentication;
    ///
    /// let tiktok = ClientAuthentication::client_secret_post("awk1234", "s3cr3t")
    ///     .client_id_field("client_key");
    /// ```
    #[must_use]
    pub fn client_id_field(mut self, name: impl Into<String>) -> Self {
        self.id_field = Cow::Owned(name.into());
        self
    }

    /// What the server calls the secret in the body of
    /// [`client_secret_post`](Self::client_secret_post).
    /// Default: `client_secret` (RFC 6749 section 2.3.1).
    #[must_use]
    pub fn client_secret_field(mut self, name: impl Into<String>) -> Self {
        self.secret_field = Cow::Owned(name.into());
        self
    }

    /// The client id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// What the server calls the client id.
    pub(crate) fn id_field(&self) -> &str {
        &self.id_field
    }

    /// Finds settings that no server could accept.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.client_id.is_empty() {
            return Err(Error::settings(
                "the client id is empty; give the one that the authorization server issued",
            )
            .of_setting("client_id"));
        }
        if let Some(fault) = control_fault(&self.client_id) {
            return Err(Error::settings(format!("the client id {fault}")).of_setting("client_id"));
        }
        self.check_fields()?;
        self.check_assertions()?;
        let Some(secret) = self.method.secret() else {
            return Ok(());
        };
        let (setting, what) = match self.method {
            Method::Assertion(..) => ("client_assertion", "assertion"),
            _ => ("client_secret", "secret"),
        };
        if secret.is_empty_value() {
            return Err(Error::settings(
                "the client secret or assertion is empty; a public client authenticates by `none`",
            )
            .of_setting(setting));
        }
        if let Some(fault) = secret.value_fault() {
            let message = format!("the client {what} {fault}");
            return Err(Error::settings(message).of_setting(setting));
        }
        // RFC 7617 section 2: the first colon ends the user name.
        if matches!(self.method, Method::BasicRaw(_)) && self.client_id.contains(':') {
            return Err(Error::settings(
                "a client id with a colon cannot be sent raw; use `client_secret_basic` or \
                 `client_secret_post`",
            )
            .of_setting("client_id"));
        }
        Ok(())
    }

    /// Finds settings for assertions where there are none, or none of ours.
    fn check_assertions(&self) -> Result<(), Error> {
        self.assertions.check()?;
        #[cfg(feature = "signing")]
        {
            let header = &self.assertions.header;
            let fits = match &self.method {
                Method::PrivateKeyJwt(_) => None,
                // A secret has no certificate.
                Method::SecretJwt(_) => header.of_certificates(),
                _ => header.setting(),
            };
            if let Some(setting) = fits {
                return Err(
                    Error::settings(format!("`{setting}` is for `private_key_jwt`"))
                        .of_setting(setting),
                );
            }
            if let Method::SecretJwt(source) = &self.method
                && let Some(secret) = source.value()
                && !secret.expose().is_empty()
            {
                hmac::check(secret).map_err(|error| error.of_setting("client_secret"))?;
            }
        }
        let signs = !matches!(
            self.method,
            Method::Basic(_)
                | Method::BasicRaw(_)
                | Method::Post(_)
                | Method::Public
                | Method::Assertion(..)
        );
        #[cfg(feature = "mtls")]
        let signs = signs && !matches!(self.method, Method::Tls(_));
        match self.assertions.setting() {
            Some(setting) if !signs => Err(Error::settings(format!(
                "`{setting}` is for assertions that are signed here"
            ))
            .of_setting(setting)),
            _ => Ok(()),
        }
    }

    /// Finds names of fields that no request could have, or that it would have twice.
    fn check_fields(&self) -> Result<(), Error> {
        let has_secret = matches!(self.method, Method::Post(_));
        let has_id = self.id_in_body || !self.is_in_header();
        for (setting, name, usual, is_sent) in [
            ("client_id_field", &self.id_field, CLIENT_ID, has_id),
            (
                "client_secret_field",
                &self.secret_field,
                CLIENT_SECRET,
                has_secret,
            ),
        ] {
            if name == usual {
                continue;
            }
            let fault = if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic()) {
                "is empty, or has a blank, a control or a character outside of ASCII in it"
            } else if is_field_of_requests(name) || OF_REVOCATIONS.contains(&&**name) {
                "is a field that requests have for something else"
            } else if !is_sent {
                "names a field that this way of client authentication does not send; use \
                 `client_secret_post` or `client_id_in_body`"
            } else {
                continue;
            };
            return Err(Error::settings(format!("`{setting}` {fault}")).of_setting(setting));
        }
        if has_secret && self.id_field == self.secret_field {
            return Err(Error::settings(
                "`client_id_field` and `client_secret_field` are the same",
            )
            .of_setting("client_secret_field"));
        }
        Ok(())
    }

    /// Whether it signs something that has a date in it, for each attempt.
    pub(crate) fn is_dated(&self) -> bool {
        match &self.method {
            Method::AssertionByHand(_) => true,
            #[cfg(feature = "signing")]
            Method::PrivateKeyJwt(_) | Method::SecretJwt(_) => true,
            _ => false,
        }
    }

    fn is_in_header(&self) -> bool {
        matches!(self.method, Method::Basic(_) | Method::BasicRaw(_))
    }

    /// What is wrong with the file of the key, as long as the key before signs in its place.
    pub(crate) fn key_fault(&self) -> Option<Error> {
        #[cfg(feature = "signing")]
        if let Method::PrivateKeyJwt(key) = &self.method {
            return key.fault();
        }
        None
    }

    /// What is wrong with the files of the certificate, as long as the one before is presented.
    #[cfg(feature = "mtls")]
    pub(crate) fn certificate_fault(&self) -> Option<Error> {
        self.certificate.as_ref().and_then(ClientCertificate::fault)
    }

    /// Adds to the form what belongs there, and returns what belongs into the header.
    ///
    /// # Errors
    /// If the secret cannot be read, if nothing signs, or if the request has a parameter of the same
    /// name already.
    pub(crate) async fn sign(
        &self,
        form: &mut Form,
        occasion: &Occasion<'_>,
    ) -> Result<Option<BasicCredentials>, Error> {
        for name in [&self.id_field, &self.secret_field] {
            if form.has(name) {
                return Err(Error::settings(format!(
                    "the parameter `{name}` is set by client authentication; leave it out"
                ))
                .got(HowFar::NotSent));
            }
        }
        if self.id_in_body && self.is_in_header() {
            form.push(&*self.id_field, self.client_id.clone());
        }
        match &self.method {
            Method::Basic(secret) => {
                let secret = secret.read().await?;
                return Ok(Some(BasicCredentials {
                    user: form_encoded(&self.client_id),
                    password: form_encoded(secret.expose()),
                }));
            }
            Method::BasicRaw(secret) => {
                return Ok(Some(BasicCredentials {
                    user: Secret::new(self.client_id.clone()),
                    password: secret.read().await?,
                }));
            }
            Method::Post(secret) => {
                form.push(&*self.id_field, self.client_id.clone());
                form.push(&*self.secret_field, secret.read().await?);
            }
            Method::Public => form.push(&*self.id_field, self.client_id.clone()),
            #[cfg(feature = "mtls")]
            Method::Tls(name) => {
                occasion.check_method(name)?;
                form.push(&*self.id_field, self.client_id.clone());
            }
            Method::Assertion(assertion, kind) => {
                self.assert(form, kind, assertion.read().await?);
            }
            Method::AssertionByHand(sign) => {
                let context = self.assertions.context(&self.client_id, occasion);
                self.assert(form, JWT_BEARER, sign.call(context).await?);
            }
            #[cfg(feature = "signing")]
            Method::PrivateKeyJwt(key) => {
                let (settings, signer) = (&self.assertions, key.read().await?);
                let context = settings.context(&self.client_id, occasion);
                let header = settings.header;
                let assertion = client_jwt::by_key(&signer, header, &context, occasion).await?;
                self.assert(form, JWT_BEARER, assertion);
            }
            #[cfg(feature = "signing")]
            Method::SecretJwt(secret) => {
                let (settings, secret) = (&self.assertions, secret.read().await?);
                let context = settings.context(&self.client_id, occasion);
                let header = settings.header;
                let assertion = client_jwt::by_secret(&secret, header, &context, occasion)?;
                self.assert(form, JWT_BEARER, assertion);
            }
        }
        Ok(None)
    }

    fn assert(&self, form: &mut Form, kind: &str, assertion: Secret) {
        // RFC 7521 section 4.2 makes the id optional; several servers look it up by it.
        form.push(&*self.id_field, self.client_id.clone());
        form.push("client_assertion_type", kind);
        form.push("client_assertion", assertion);
    }

    fn new(client_id: impl Into<String>, method: Method) -> Self {
        Self {
            client_id: client_id.into(),
            method,
            id_field: Cow::Borrowed(CLIENT_ID),
            secret_field: Cow::Borrowed(CLIENT_SECRET),
            id_in_body: false,
            assertions: AssertionSettings::default(),
            #[cfg(feature = "mtls")]
            certificate: None,
        }
    }
}

impl Method {
    /// What is read for each attempt, and is a text.
    fn secret(&self) -> Option<&SecretSource> {
        match self {
            Self::Basic(secret)
            | Self::BasicRaw(secret)
            | Self::Post(secret)
            | Self::Assertion(secret, _) => Some(secret),
            #[cfg(feature = "signing")]
            Self::SecretJwt(secret) => Some(secret),
            #[cfg(feature = "signing")]
            Self::PrivateKeyJwt(_) => None,
            #[cfg(feature = "mtls")]
            Self::Tls(_) => None,
            Self::Public | Self::AssertionByHand(_) => None,
        }
    }
}

fn form_encoded(text: &str) -> Secret {
    Secret::new(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>())
}
