//! What a client assertion is about: for whom it is, and of whom.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use reqwest::Url;

use crate::endpoint::supported::Supported;
use crate::error::Error;

/// RFC 7523 section 2.2.
pub(crate) const JWT_BEARER: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// OAuth SPIFFE Client Authentication, a draft of the OAuth working group; Keycloak has it.
pub(crate) const JWT_SPIFFE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

/// What a client assertion that is [signed by hand](crate::ClientAuthentication::client_assertion_from_fn)
/// has to say (RFC 7523 section 3).
#[derive(Clone, Debug)]
pub struct AssertionContext {
    audience: String,
    client_id: String,
    attempt: u64,
    issued_at: SystemTime,
}

impl AssertionContext {
    /// Whom it is for (`aud`): the issuer as the settings name it, or else the URL that it is sent to. See
    /// [`assertion_audience`](crate::ClientAuthentication::assertion_audience).
    #[must_use]
    pub fn audience(&self) -> &str {
        &self.audience
    }

    /// Of whom it is (`iss` and `sub`).
    #[must_use]
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// Which one it is: 1 for the first that this client authentication asks for in this process, and one
    /// more for each that comes after it, repetitions included.
    #[must_use]
    pub fn attempt(&self) -> u64 {
        self.attempt
    }

    /// When it is made (`iat`), by the clock of the endpoint, or by the server's where that has refused what was
    /// signed ([`Event::ClockSkew`](crate::Event::ClockSkew)).
    #[must_use]
    pub fn issued_at(&self) -> SystemTime {
        self.issued_at
    }
}

/// The one request that an assertion is made for.
pub(crate) struct Occasion<'request> {
    /// Where it is sent.
    pub(crate) url: &'request Url,
    /// The issuer as the settings name it, if its document does not contradict.
    pub(crate) issuer: Option<&'request str>,
    /// What the server's document lists, if that decides on this request.
    #[cfg_attr(
        not(feature = "signing"),
        expect(
            dead_code,
            reason = "only assertions that are signed here are compared with it"
        )
    )]
    pub(crate) supported: Option<&'request Supported>,
    pub(crate) now: SystemTime,
}

#[cfg(feature = "signing")]
impl Occasion<'_> {
    /// Whether the server takes it, as far as it says. Nothing else is tried in its place.
    pub(crate) fn check_listed(&self, method: &str, algorithm: &str) -> Result<(), Error> {
        match self.supported {
            Some(supported) => supported.check(method, algorithm),
            None => Ok(()),
        }
    }

    /// The same where nothing is signed but the handshake of TLS.
    #[cfg(feature = "mtls")]
    pub(crate) fn check_method(&self, method: &str) -> Result<(), Error> {
        match self.supported {
            Some(supported) => supported.check_method(method),
            None => Ok(()),
        }
    }
}

/// How assertions are made, where that is set.
#[derive(Clone, Debug, Default)]
pub(crate) struct AssertionSettings {
    pub(crate) audience: Audience,
    #[cfg(feature = "signing")]
    pub(crate) header: HeaderSettings,
    asked: Arc<AtomicU64>,
}

#[cfg(feature = "signing")]
/// What is in the header besides `alg`, `kid` and `x5t#S256`.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeaderSettings {
    pub(crate) plain_type: bool,
    pub(crate) sha1_thumbprint: bool,
    pub(crate) certificate_chain: bool,
}

/// Whom an assertion is for. Never a value that a document alone brings: a server that names another's
/// issuer as its own would get an assertion that is good there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Audience {
    /// The issuer, or else the endpoint.
    #[default]
    Issuer,
    Endpoint,
    Text(String),
}

impl AssertionSettings {
    /// For one more assertion.
    pub(crate) fn context(&self, client_id: &str, occasion: &Occasion<'_>) -> AssertionContext {
        AssertionContext {
            audience: self.audience.of(occasion),
            client_id: client_id.to_owned(),
            issued_at: occasion.now,
            attempt: self.asked.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }

    /// Finds what was set.
    pub(crate) fn setting(&self) -> Option<&'static str> {
        #[cfg(feature = "signing")]
        if let Some(setting) = self.header.setting() {
            return Some(setting);
        }
        match self.audience {
            Audience::Issuer => None,
            Audience::Endpoint => Some("endpoint_as_audience"),
            Audience::Text(_) => Some("assertion_audience"),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        match &self.audience {
            Audience::Text(text) if text.is_empty() => {
                Err(Error::settings("`assertion_audience` is empty")
                    .of_setting("assertion_audience"))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(feature = "signing")]
impl HeaderSettings {
    pub(crate) fn setting(self) -> Option<&'static str> {
        self.of_certificates()
            .or(self.plain_type.then_some("plain_assertion_type"))
    }

    /// What only a key with certificates has.
    pub(crate) fn of_certificates(self) -> Option<&'static str> {
        let chain = self.certificate_chain.then_some("certificate_chain");
        chain.or(self
            .sha1_thumbprint
            .then_some("sha1_certificate_thumbprint"))
    }
}

impl Audience {
    fn of(&self, occasion: &Occasion<'_>) -> String {
        let issuer = match self {
            Self::Issuer => occasion.issuer,
            Self::Endpoint => None,
            Self::Text(text) => Some(text.as_str()),
        };
        issuer.unwrap_or(occasion.url.as_str()).to_owned()
    }
}
