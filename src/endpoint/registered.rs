//! A client that has registered itself at an authorization server (RFC 7591 section 3.2.1).

use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use crate::clock::system_time;
use crate::endpoint::transport::Answer;
use crate::endpoint::{ClientAuthentication, answer, members};
use crate::error::{Error, HowFar};
use crate::error_response::ErrorResponse;
use crate::secret::Secret;

/// The number of what is written; nothing else is read.
const FORMAT: u8 = 1;

const NONE: &str = "none";
const BASIC: &str = "client_secret_basic";
const POST: &str = "client_secret_post";

/// What an authorization server has answered to a [`RegistrationRequest`](crate::RegistrationRequest): the
/// client id, the secret if there is one, and how the client is to prove who it is.
///
/// It is one value that serde can write and read, to be kept and used again:
///
/// ```
/// # fn example(registered: reqwest_bearer::RegisteredClient) -> Result<(), serde_json::Error> {
/// use reqwest_bearer::RegisteredClient;
///
/// let kept: String = serde_json::to_string(&registered)?;
/// let registered: RegisteredClient = serde_json::from_str(&kept)?;
/// # Ok(()) }
/// ```
///
/// **What is written has secrets in it**: keep it where the program's other secrets are. It is good at its own
/// [`issuer`](Self::issuer) alone, which
/// [`AuthorizationServer::registered`](crate::AuthorizationServer::registered) holds to. `Debug` shows no
/// secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct RegisteredClient {
    issuer: String,
    client_id: String,
    client_secret: Option<Secret>,
    /// In seconds since 1970.
    client_secret_expires_at: Option<u64>,
    method: String,
    registration_client_uri: Option<String>,
    registration_access_token: Option<Secret>,
    /// All others.
    members: Map<String, Value>,
}

impl RegisteredClient {
    /// Where it is registered: the [issuer](crate::AuthorizationServer::issuer) of that server.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// The client id.
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// The client secret, if there is one.
    #[must_use]
    pub fn client_secret(&self) -> Option<&Secret> {
        self.client_secret.as_ref()
    }

    /// When the secret ends; `None` if it does not, or if there is none.
    #[must_use]
    pub fn client_secret_expires_at(&self) -> Option<SystemTime> {
        let at = self.client_secret_expires_at?;
        Some(system_time(Duration::from_secs(at)))
    }

    /// How the client proves who it is, by the name of its registry (`token_endpoint_auth_method`): as the
    /// server says, else as was asked for, else `client_secret_basic` with a secret and `none` without.
    #[must_use]
    pub fn authentication_method(&self) -> &str {
        &self.method
    }

    /// Where the registration can be read, changed and ended (RFC 7592), which is not done here.
    #[must_use]
    pub fn registration_client_uri(&self) -> Option<&str> {
        self.registration_client_uri.as_deref()
    }

    /// The token for that.
    #[must_use]
    pub fn registration_access_token(&self) -> Option<&Secret> {
        self.registration_access_token.as_ref()
    }

    /// Any other member of the answer, such as `redirect_uris` or `scope`: the server may have registered
    /// something else than was asked for.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Value> {
        self.members.get(name)
    }

    /// The client as requests of its server name it.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) for a way that needs what no registration brings,
    /// such as the key of `private_key_jwt`: make the
    /// [`ClientAuthentication`] with [`client_id`](Self::client_id) and that.
    pub fn authentication(&self) -> Result<ClientAuthentication, Error> {
        let id = &self.client_id;
        match (self.method.as_str(), &self.client_secret) {
            (NONE, _) => Ok(ClientAuthentication::none(id)),
            (BASIC, Some(secret)) => Ok(ClientAuthentication::client_secret_basic(id, secret)),
            (POST, Some(secret)) => Ok(ClientAuthentication::client_secret_post(id, secret)),
            #[cfg(feature = "signing")]
            ("client_secret_jwt", Some(secret)) => {
                Ok(ClientAuthentication::client_secret_jwt(id, secret))
            }
            _ => Err(Error::settings(
                "the client is registered for a way of client authentication that needs more than the \
                 registration brought; make the `ClientAuthentication` with its client id and its key",
            )
            .got(HowFar::NotSent)),
        }
    }

    /// Reads the answer to a registration that asked for this way of client authentication.
    ///
    /// # Errors
    /// What the server said, or what is wrong with its answer; without any text of it.
    pub(super) fn read(
        answer: &Answer,
        issuer: &str,
        asked: Option<&str>,
        now: SystemTime,
    ) -> Result<Self, Error> {
        let (status, headers) = (answer.status, &answer.headers);
        let members = members::read(headers, &answer.body);
        match members {
            // RFC 7591 has 201; some servers say 200.
            Some(members) if status.is_success() && !members.contains_key("error") => {
                let response = ErrorResponse::new(status, &members, answer.body.len());
                Self::of(members, issuer, asked).map_err(|problem| {
                    let status = status.as_u16();
                    let what =
                        format!("the answer to the registration {problem} (status {status})");
                    Error::protocol(what).answered_with(response)
                })
            }
            members => Err(answer::refusal(status, headers, members, &answer.body, now)),
        }
    }

    fn of(
        mut members: Map<String, Value>,
        issuer: &str,
        asked: Option<&str>,
    ) -> Result<Self, &'static str> {
        let mut text = |name: &str| match members.remove(name) {
            Some(Value::String(text)) if !text.is_empty() => Some(text),
            _ => None,
        };
        let client_id = text("client_id").ok_or("has no `client_id`")?;
        let client_secret = text("client_secret").map(Secret::new);
        let registration_access_token = text("registration_access_token").map(Secret::new);
        let registration_client_uri = text("registration_client_uri");
        let said = text("token_endpoint_auth_method");
        let by_secret = if client_secret.is_some() { BASIC } else { NONE };
        let method = said
            .or_else(|| asked.map(str::to_owned))
            .unwrap_or_else(|| by_secret.to_owned());
        if client_secret.is_none() && [BASIC, POST].contains(&method.as_str()) {
            return Err("has no `client_secret` for the way of client authentication in it");
        }
        let end = members.remove("client_secret_expires_at");
        // 0 means that it does not end (RFC 7591 section 3.2.1).
        let end = end.as_ref().and_then(seconds).filter(|end| *end > 0);
        Ok(Self {
            issuer: issuer.to_owned(),
            client_id,
            client_secret_expires_at: end.filter(|_| client_secret.is_some()),
            client_secret,
            method,
            registration_client_uri,
            registration_access_token,
            members,
        })
    }
}

/// A few servers write numbers as texts, or with a fraction.
fn seconds(value: &Value) -> Option<u64> {
    let text = value.as_str().and_then(|text| text.trim().parse().ok());
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float becomes the nearest whole number there is, and none below 0"
    )]
    let rounded = || value.as_f64().map(|seconds| seconds as u64);
    value.as_u64().or(text).or_else(rounded)
}

impl fmt::Debug for RegisteredClient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the members, which are the server's.
        formatter
            .debug_struct("RegisteredClient")
            .field("issuer", &self.issuer)
            .field("client_id", &self.client_id)
            .field("client_secret", &self.client_secret)
            .field("authentication_method", &self.method)
            .finish_non_exhaustive()
    }
}

/// What is written.
#[derive(Serialize, Deserialize)]
struct Written {
    format: u8,
    issuer: String,
    client_id: String,
    #[serde(default)]
    client_secret: Option<Zeroizing<String>>,
    #[serde(default)]
    client_secret_expires_at: Option<u64>,
    token_endpoint_auth_method: String,
    #[serde(default)]
    registration_client_uri: Option<String>,
    #[serde(default)]
    registration_access_token: Option<Zeroizing<String>>,
    #[serde(default)]
    members: Map<String, Value>,
}

impl From<RegisteredClient> for Written {
    fn from(client: RegisteredClient) -> Self {
        let text = |secret: Secret| Zeroizing::new(secret.expose().to_owned());
        Self {
            format: FORMAT,
            issuer: client.issuer,
            client_id: client.client_id,
            client_secret: client.client_secret.map(text),
            client_secret_expires_at: client.client_secret_expires_at,
            token_endpoint_auth_method: client.method,
            registration_client_uri: client.registration_client_uri,
            registration_access_token: client.registration_access_token.map(text),
            members: client.members,
        }
    }
}

impl TryFrom<Written> for RegisteredClient {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        if written.format != FORMAT {
            return Err(format!(
                "a registered client of format {}, and this version reads {FORMAT}",
                written.format
            ));
        }
        if written.client_id.is_empty() || written.issuer.is_empty() {
            return Err("a registered client without `client_id` or `issuer`".to_owned());
        }
        let secret = |text: Zeroizing<String>| Secret::new(text.as_str());
        Ok(Self {
            issuer: written.issuer,
            client_id: written.client_id,
            client_secret: written.client_secret.map(secret),
            client_secret_expires_at: written.client_secret_expires_at,
            method: written.token_endpoint_auth_method,
            registration_client_uri: written.registration_client_uri,
            registration_access_token: written.registration_access_token.map(secret),
            members: written.members,
        })
    }
}
