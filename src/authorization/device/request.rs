//! The device authorization request: it brings the code that a user types on another device.

use std::fmt;

use crate::authorization::device::pending::PendingDeviceAuthorization;
use crate::authorization::device::polling::Pace;
use crate::authorization::device::wait::Wait;
use crate::authorization::pending::server_of;
use crate::dpop::{DpopKey, SessionKey};
use crate::endpoint::TokenEndpoint;
use crate::error::{Error, HowFar};
use crate::jitter::Jitter;
use crate::parameters::TokenParameters;

/// A device authorization request (RFC 8628 section 3.1): the first half of a sign-in on a machine without a
/// browser. The second half is [`PendingDeviceAuthorization::finish`].
///
/// ```no_run
/// # async fn example(endpoint: reqwest_bearer::TokenEndpoint) -> Result<(), reqwest_bearer::Error> {
/// use reqwest_bearer::DeviceAuthorizationRequest;
///
/// let request = DeviceAuthorizationRequest::new().scope("openid offline_access");
/// let mut pending = request.start(&endpoint).await?;
/// // Open https://example.com/device and enter the code WDJB-MJHT
/// println!("{pending}");
/// let tokens = pending.finish(&endpoint).await?;
/// # Ok(()) }
/// ```
///
/// `Debug` shows the names of the extra parameters, and not their values.
#[derive(Clone, Default)]
pub struct DeviceAuthorizationRequest {
    parameters: TokenParameters,
    dpop_key: Option<DpopKey>,
}

impl DeviceAuthorizationRequest {
    /// A request for what the server gives this client anyway.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds scopes, separated by spaces (RFC 6749 section 3.3), after those that are there.
    /// Default: none; the server decides.
    #[must_use]
    pub fn scope(mut self, scope: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.scope(scope);
        self
    }

    /// Adds a resource, an absolute URI (RFC 8707 section 2). A single one is asked for again with each poll,
    /// so that the first access token is for it; with several, that one is for what the server decides.
    /// Default: none.
    #[must_use]
    pub fn resource(mut self, resource: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.resource(resource);
        self
    }

    /// Adds an audience, as Auth0 has it.
    /// Default: none.
    #[must_use]
    pub fn audience(mut self, audience: impl AsRef<str>) -> Self {
        self.parameters = self.parameters.audience(audience);
        self
    }

    /// Sets any other parameter, such as `acr_values`. Those that requests have by themselves (`client_id`,
    /// ...) or by a method (`scope`, ...) are none: starting it is then an error.
    /// Default: none.
    #[must_use]
    pub fn extra(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.parameters = self.parameters.extra(name, value);
        self
    }

    /// Binds the session to this key (DPoP, RFC 9449): each poll has a proof of it, and a bearer token in the
    /// answer is an error. The key is part of what has to be kept, and goes on into the session's record: give
    /// each sign-in one of its own, from [`DpopKey::generate`](crate::DpopKey::generate). The request for the
    /// codes does not name it: no RFC has a parameter for that.
    /// Default: bearer tokens.
    #[cfg(feature = "dpop")]
    #[must_use]
    pub fn dpop(mut self, key: &DpopKey) -> Self {
        self.dpop_key = Some(key.clone());
        self
    }

    /// Begins a sign-in: asks the server for a code, in one attempt that takes its turn among the endpoint's
    /// requests. What comes shows the user where to go, and waits for the tokens.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) for an extra parameter that cannot be, or if no
    /// device authorization endpoint is known; [`Protocol`](crate::ErrorKind::Protocol) for an answer without
    /// a code, or with one that cannot be shown; otherwise as for
    /// [`TokenEndpoint::request_token`].
    pub async fn start(
        &self,
        endpoint: &TokenEndpoint,
    ) -> Result<PendingDeviceAuthorization, Error> {
        let key = self.dpop_key.as_ref().map(SessionKey::of).transpose()?;
        let resources: Vec<_> = self.resources().collect();
        let (codes, asked_at) = endpoint.authorize_device(&self.parameters).await?;
        let expires_at = asked_at.checked_add(codes.lifetime).ok_or_else(|| {
            Error::settings("the clock says a time after which there is none").got(HowFar::Answered)
        })?;
        let pace = Pace::new(codes.interval);
        Ok(PendingDeviceAuthorization::new(Wait {
            device_code: codes.device_code,
            instructions: codes.instructions,
            resource: match resources.as_slice() {
                [resource] => Some(resource.clone()),
                _ => None,
            },
            server: server_of(endpoint),
            expires_at,
            pace,
            asked_at: endpoint.now(),
            pause: pace.pause(Jitter::Random.draw()),
            is_answer_lost: false,
            key,
        }))
    }

    fn resources(&self) -> impl Iterator<Item = String> {
        let fields = self.parameters.form_fields();
        fields.filter_map(|(name, value)| (name == "resource").then_some(value))
    }
}

impl fmt::Debug for DeviceAuthorizationRequest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("DeviceAuthorizationRequest")
            .field("parameters", &self.parameters)
            .field("dpop_key", &self.dpop_key)
            .finish()
    }
}
