//! A device that waits for its user: what is shown to the user, and what polls for the tokens.

use std::fmt;
use std::time::{Duration, SystemTime};

use reqwest::Url;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinHandle};

use crate::authorization::device::polling::too_late;
use crate::authorization::device::wait::Wait;
use crate::authorization::pending::server_of;
use crate::endpoint::TokenEndpoint;
use crate::endpoint::device_codes::Instructions;
use crate::error::{Error, ErrorKind, HowFar};
use crate::grant::DeviceCode;
use crate::jitter::Jitter;
use crate::token_set::TokenSet;

/// A sign-in on another device that has begun: what
/// [`DeviceAuthorizationRequest::start`](crate::DeviceAuthorizationRequest::start) leaves to show to the user,
/// and what waits for the tokens.
///
/// `Display` is a line for the user, in plain ASCII, whatever the server has sent: `Open
/// https://example.com/device and enter the code WDJB-MJHT`. A program that shows more has the parts:
///
/// ```no_run
/// # async fn example(
/// #     endpoint: reqwest_bearer::TokenEndpoint, show_qr_code: impl Fn(&str),
/// #     mut pending: reqwest_bearer::PendingDeviceAuthorization,
/// # ) -> Result<(), reqwest_bearer::Error> {
/// println!("{pending}");
/// if let Some(url) = pending.verification_uri_complete() {
///     show_qr_code(url.as_str());
/// }
/// println!("You have {} minutes.", pending.time_left(&endpoint).as_secs() / 60);
/// let tokens = pending.finish(&endpoint).await?;
/// # Ok(()) }
/// ```
///
/// It is one value that serde can write and read, so that the wait can go on after a crash, or in another
/// process. **What is written has secrets in it**: the device code, and the session's private key where it is
/// to have one (DPoP). Whoever has them gets the tokens when the user agrees. `Debug` shows no code.
///
/// One process waits at a time: two that poll for one code ask too often, and one of them gets the tokens.
pub struct PendingDeviceAuthorization {
    wait: Wait,
    /// The poll under way. It is a task of its own: a caller who goes away does not lose the tokens that it
    /// brings, since the code is spent by then.
    out: Option<JoinHandle<Result<TokenSet, Error>>>,
}

impl PendingDeviceAuthorization {
    pub(super) fn new(wait: Wait) -> Self {
        Self { wait, out: None }
    }

    /// Asks the server again and again, until the user has agreed or the code's life is over. The token set is
    /// ready for [`UserSessions::sign_in`](crate::UserSessions::sign_in), key included.
    ///
    /// Between two polls it waits for the server's interval and 0.5 to 1 s more. `slow_down` makes that 5 s
    /// longer for good (RFC 8628 section 3.5). A server that is down, or too slow, is asked on, after pauses
    /// that double up to 60 s; a `Retry-After` is waited for.
    ///
    /// **Dropping the future loses nothing**: called once more, it waits on, at the same pace, and a poll that
    /// was under way still brings its tokens. So it is in another process that has read what serde wrote, but
    /// for the poll.
    ///
    /// ```no_run
    /// # async fn example(
    /// #     endpoint: reqwest_bearer::TokenEndpoint, save: impl Fn(String),
    /// #     mut pending: reqwest_bearer::PendingDeviceAuthorization,
    /// # ) -> Result<(), Box<dyn std::error::Error>> {
    /// tokio::select! {
    ///     tokens = pending.finish(&endpoint) => { tokens?; }
    ///     _ = tokio::signal::ctrl_c() => save(serde_json::to_string(&pending)?),
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// - [`SignInRequired`](crate::ErrorKind::SignInRequired): begin anew. The user said no
    ///   ([`Error::oauth_code`] is `access_denied`), the code's life is over (`expired_token` where the server
    ///   says so), or the server does not take the code any more (`invalid_grant`), which may come of an
    ///   answer with the tokens that was lost: the message says so.
    /// - [`Settings`](crate::ErrorKind::Settings): it is another endpoint than the request was made for, or
    ///   the settings are wrong.
    ///
    /// Otherwise as for [`TokenEndpoint::request_token`], but for what waiting may mend: that is waited for.
    /// The value stays good, so that it can be called again once the cause is mended.
    pub async fn finish(&mut self, endpoint: &TokenEndpoint) -> Result<TokenSet, Error> {
        self.check_server(endpoint)?;
        let mut failed = None;
        loop {
            let out = match self.out.take() {
                Some(out) => out,
                None => {
                    let rest = self.wait.rest(endpoint.now());
                    endpoint.clock().sleep(rest).await;
                    if endpoint.now() >= self.wait.expires_at {
                        return Err(too_late(failed));
                    }
                    self.wait.asks(endpoint.now(), Jitter::Random.draw());
                    self.poll(endpoint)?
                }
            };
            // Whoever drops this future leaves it there.
            let polled = self.out.insert(out).await;
            self.out = None;
            match polled.unwrap_or_else(|error| Err(without_an_end(&error))) {
                Ok(tokens) => return Ok(tokens),
                Err(error) => {
                    let draw = Jitter::Random.draw();
                    failed = self.wait.note(error, endpoint.now(), draw)?;
                }
            }
        }
    }

    /// The code that the user types: mostly eight letters with a hyphen.
    #[must_use]
    pub fn user_code(&self) -> &str {
        &self.wait.instructions.user_code
    }

    /// The page where the user types it: an http or https URL, as text in plain ASCII.
    #[must_use]
    pub fn verification_uri(&self) -> &Url {
        &self.wait.instructions.verification_uri
    }

    /// The same page with the code in the URL, for a link or a QR code, where the server has one. Show the
    /// [code](Self::user_code) all the same, so that the user can compare it with the page's (RFC 8628 section
    /// 3.3.1).
    #[must_use]
    pub fn verification_uri_complete(&self) -> Option<&Url> {
        self.wait.instructions.verification_uri_complete.as_ref()
    }

    /// Until when the user has to have agreed.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.wait.expires_at
    }

    /// How long that is from now, by the clock of the endpoint.
    #[must_use]
    pub fn time_left(&self, endpoint: &TokenEndpoint) -> Duration {
        let left = self.wait.expires_at.duration_since(endpoint.now());
        left.unwrap_or_default()
    }

    /// # Errors
    /// If the codes are of another server, or of another client of it: the code is nobody else's business.
    fn check_server(&self, endpoint: &TokenEndpoint) -> Result<(), Error> {
        if self.wait.server == server_of(endpoint) {
            return Ok(());
        }
        Err(Error::settings(
            "the device authorization request was made for another token endpoint, or for another client of it",
        )
        .got(HowFar::NotSent))
    }

    fn poll(&self, endpoint: &TokenEndpoint) -> Result<JoinHandle<Result<TokenSet, Error>>, Error> {
        let runtime = Handle::try_current().map_err(|_| {
            Error::settings("there is no tokio runtime here; call this from a task")
                .got(HowFar::NotSent)
        })?;
        let code = DeviceCode {
            code: self.wait.device_code.clone(),
            resource: self.wait.resource.clone(),
            dpop_key: self.wait.key.as_ref().map(|key| key.key().clone()),
            expires_at: self.wait.expires_at,
        };
        let endpoint = endpoint.clone();
        Ok(runtime.spawn(async move { code.poll(&endpoint).await }))
    }
}

/// The error of a poll whose task is gone.
fn without_an_end(error: &JoinError) -> Error {
    let (kind, message) = if error.is_panic() {
        (
            ErrorKind::Panicked,
            "what polls for the tokens of a device panicked",
        )
    } else {
        (
            ErrorKind::Unavailable,
            "the runtime that polled for the tokens of a device was shut down",
        )
    };
    Error::new(kind, message).got(HowFar::Lost)
}

impl fmt::Display for PendingDeviceAuthorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Instructions {
            user_code,
            verification_uri,
            verification_uri_complete,
        } = &self.wait.instructions;
        write!(
            formatter,
            "Open {verification_uri} and enter the code {user_code}"
        )?;
        match verification_uri_complete {
            Some(url) => write!(formatter, ", or open {url} and compare the code"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for PendingDeviceAuthorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Whoever reads the user code in a log could agree in the user's place, with an account of their own.
        formatter
            .debug_struct("PendingDeviceAuthorization")
            .field("expires_at", &self.wait.expires_at)
            .field("pace", &self.wait.pace)
            .field("key", &self.wait.key)
            .finish_non_exhaustive()
    }
}

impl Serialize for PendingDeviceAuthorization {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut wait = self.wait.clone();
        // Whoever reads it does not hear of what this poll brings.
        wait.is_answer_lost |= self.out.is_some();
        wait.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for PendingDeviceAuthorization {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Wait::deserialize(deserializer).map(Self::new)
    }
}
