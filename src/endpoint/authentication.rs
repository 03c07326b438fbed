//! How this client proves who it is to the authorization server.

use std::borrow::Cow;

use crate::endpoint::form::Form;
use crate::endpoint::secret_source::{SecretSource, control_fault};
use crate::error::{Error, HowFar};
use crate::parameters::is_field_of_requests;
use crate::secret::Secret;

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
}

#[derive(Clone, Debug)]
enum Method {
    Basic(SecretSource),
    BasicRaw(SecretSource),
    Post(SecretSource),
    Public,
    Assertion(SecretSource),
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

    /// A signed JWT (`private_key_jwt` and `client_secret_jwt`, RFC 7523 section 2.2).
    ///
    /// The assertion is asked for at every attempt: sign a new one each time, with a new `jti`,
    /// since servers refuse one that they have seen. A file suits assertions that a platform
    /// issues, such as Kubernetes' projected tokens.
    #[must_use]
    pub fn client_assertion(
        client_id: impl Into<String>,
        assertion: impl Into<SecretSource>,
    ) -> Self {
        Self::new(client_id, Method::Assertion(assertion.into()))
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

    /// Finds settings that no server could accept.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.client_id.is_empty() {
            return Err(Error::settings(
                "the client id is empty; give the one that the authorization server issued",
            ));
        }
        if let Some(fault) = control_fault(&self.client_id) {
            return Err(Error::settings(format!("the client id {fault}")));
        }
        self.check_fields()?;
        let (Method::Basic(secret)
        | Method::BasicRaw(secret)
        | Method::Post(secret)
        | Method::Assertion(secret)) = &self.method
        else {
            return Ok(());
        };
        if secret.is_empty_value() {
            return Err(Error::settings(
                "the client secret or assertion is empty; \
                 for a public client use `ClientAuthentication::none`",
            ));
        }
        if let Some(fault) = secret.value_fault() {
            let what = match self.method {
                Method::Assertion(_) => "assertion",
                _ => "secret",
            };
            return Err(Error::settings(format!("the client {what} {fault}")));
        }
        // RFC 7617 section 2: the first colon ends the user name.
        if matches!(self.method, Method::BasicRaw(_)) && self.client_id.contains(':') {
            return Err(Error::settings(
                "a client id with a colon cannot be sent raw; use `client_secret_basic` or \
                 `client_secret_post`",
            ));
        }
        Ok(())
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
            return Err(Error::settings(format!("`{setting}` {fault}")));
        }
        if has_secret && self.id_field == self.secret_field {
            return Err(Error::settings(
                "`client_id_field` and `client_secret_field` are the same",
            ));
        }
        Ok(())
    }

    fn is_in_header(&self) -> bool {
        matches!(self.method, Method::Basic(_) | Method::BasicRaw(_))
    }

    /// Adds to the form what belongs there, and returns what belongs into the header.
    ///
    /// # Errors
    /// If the secret cannot be read, or the request has a parameter of the same name already.
    pub(crate) async fn sign(&self, form: &mut Form) -> Result<Option<BasicCredentials>, Error> {
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
            Method::Assertion(assertion) => {
                // RFC 7521 section 4.2 makes the id optional; several servers look it up by it.
                form.push(&*self.id_field, self.client_id.clone());
                form.push(
                    "client_assertion_type",
                    "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
                );
                form.push("client_assertion", assertion.read().await?);
            }
        }
        Ok(None)
    }

    fn new(client_id: impl Into<String>, method: Method) -> Self {
        Self {
            client_id: client_id.into(),
            method,
            id_field: Cow::Borrowed(CLIENT_ID),
            secret_field: Cow::Borrowed(CLIENT_SECRET),
            id_in_body: false,
        }
    }
}

fn form_encoded(text: &str) -> Secret {
    Secret::new(form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>())
}
