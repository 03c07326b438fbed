//! What has to be kept until a user comes back from the authorization server.

use std::fmt;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::authorization::kept_key::KeptKey;
use crate::authorization::response::{self, Expected};
use crate::authorization::unguessable::is_same;
use crate::clock::system_time;
use crate::dpop::SessionKey;
use crate::endpoint::TokenEndpoint;
use crate::error::{Error, ErrorKind, HowFar};
use crate::grant::AuthorizationCode;
use crate::id_token;
use crate::parameters::TokenParameters;
use crate::secret::Secret;
use crate::token_set::TokenSet;

/// The number of what is written; nothing else is read.
const FORMAT: u8 = 1;

/// A sign-in that has begun: what [`AuthorizationRequest::start`](crate::AuthorizationRequest::start) leaves
/// to be kept until the user comes back, and what turns the redirect into tokens.
///
/// It is one value that serde can write and read, as JSON or in any other format:
///
/// ```
/// # fn example(pending: reqwest_bearer::PendingAuthorization) -> Result<(), serde_json::Error> {
/// use reqwest_bearer::PendingAuthorization;
///
/// let kept: String = serde_json::to_string(&pending)?;
/// let pending: PendingAuthorization = serde_json::from_str(&kept)?;
/// # Ok(()) }
/// ```
///
/// **What is written has secrets in it**: PKCE's verifier, and the session's private key where it is to have
/// one (DPoP). Keep it on the server, in the session of this one browser, or encrypted in its cookie; never
/// where the page or another user can read it. That it is the same browser is what `state` is there for: a
/// value that is found by the `state` of the redirect alone would let anybody finish anybody's sign-in.
///
/// It is good for 10 minutes, unless the request says otherwise. Forget it after
/// [`finish`](Self::finish), unless that says
/// [`InvalidAuthorizationResponse`](crate::ErrorKind::InvalidAuthorizationResponse): then somebody else
/// has sent something, and the user may still come. `Debug` shows no secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(into = "Kept", try_from = "Kept")]
pub struct PendingAuthorization {
    pub(super) state: Secret,
    pub(super) code_verifier: Secret,
    /// Where an id token is to come.
    pub(super) nonce: Option<Secret>,
    pub(super) redirect_uri: String,
    /// Asked for once more with the code.
    pub(super) resource: Option<String>,
    pub(super) issuer: Option<String>,
    pub(super) names_issuer: bool,
    /// Which server, and as whom: see [`server_of`].
    pub(super) server: String,
    pub(super) expires_at: SystemTime,
    pub(super) url_expires_at: Option<SystemTime>,
    pub(super) key: Option<SessionKey>,
}

impl PendingAuthorization {
    /// Checks what came to the redirect URI, exchanges the code for tokens (RFC 6749 section 4.1.3), and
    /// checks the `nonce` of the id token. The token set is ready for
    /// [`UserSessions::sign_in`](crate::UserSessions::sign_in), key included.
    ///
    /// `redirect` is the URL that the user came back with, its path and query, or its query alone; the body,
    /// where `response_mode` is `form_post`. Checked are: `state`; `iss`, byte for byte with the issuer in
    /// the server's document, and that it is there where the document says so (RFC 9207); that no parameter
    /// of the server is there twice; the size, of 32 KiB at most. Where the endpoint has no document, there
    /// is no issuer to compare with.
    ///
    /// **The signature of the id token is not checked.** It came straight from the token endpoint, which is
    /// enough for the `nonce`; a program that decides by its claims who the user is lets `openidconnect` or
    /// another library check all of it.
    ///
    /// # Errors
    /// - [`InvalidAuthorizationResponse`](crate::ErrorKind::InvalidAuthorizationResponse): it is no answer to
    ///   this request. Nothing was sent, and this value stays good.
    /// - [`SignInRequired`](crate::ErrorKind::SignInRequired): the user said no (`access_denied`), a page is
    ///   needed and `prompt=none` forbade it (`login_required` and its like, see
    ///   [`Error::oauth_code`]), the time is over, or the code is dead: begin anew.
    /// - [`Rejected`](crate::ErrorKind::Rejected), [`Unavailable`](crate::ErrorKind::Unavailable): what else
    ///   the server said in the redirect.
    /// - [`Protocol`](crate::ErrorKind::Protocol): no id token came although one was asked for, or it is of
    ///   another sign-in. The tokens are dropped.
    /// - [`Settings`](crate::ErrorKind::Settings): it is another endpoint than the request was made for.
    ///
    /// Otherwise as for [`AuthorizationCode::exchange`](crate::AuthorizationCode::exchange).
    pub async fn finish(
        &self,
        endpoint: &TokenEndpoint,
        redirect: impl AsRef<str>,
    ) -> Result<TokenSet, Error> {
        self.check_server(endpoint)?;
        let code = self.code_in(redirect.as_ref(), endpoint.now())?;
        self.exchange(endpoint, code).await
    }

    /// Until when it is good.
    #[must_use]
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// Until when the user's browser has to have opened the authorization URL, where the request was pushed:
    /// mostly a minute. `None` where it was not; the URL is then as good as this value.
    #[must_use]
    pub fn url_expires_at(&self) -> Option<SystemTime> {
        self.url_expires_at
    }

    /// The `state` that the redirect brings, to tell several sign-ins of one browser apart.
    #[must_use]
    pub fn state(&self) -> &str {
        self.state.expose()
    }

    /// # Errors
    /// If the request was made for another server, or for another client of it: the code is nobody else's
    /// business.
    pub(super) fn check_server(&self, endpoint: &TokenEndpoint) -> Result<(), Error> {
        if self.server == server_of(endpoint) {
            return Ok(());
        }
        Err(Error::settings(
            "the authorization request was made for another token endpoint, or for another client of it",
        )
        .got(HowFar::NotSent))
    }

    /// The code in a redirect that comes at `now`.
    pub(super) fn code_in(&self, redirect: &str, now: SystemTime) -> Result<Secret, Error> {
        let expected = Expected {
            state: &self.state,
            issuer: self.issuer.as_deref(),
            names_issuer: self.names_issuer,
        };
        match response::code_in(redirect, &expected) {
            Err(error) if error.kind() == ErrorKind::InvalidAuthorizationResponse => Err(error),
            _ if now >= self.expires_at => Err(too_late()),
            read => read,
        }
    }

    /// Spends the code.
    pub(super) async fn exchange(
        &self,
        endpoint: &TokenEndpoint,
        code: Secret,
    ) -> Result<TokenSet, Error> {
        let resource = self.resource.as_ref();
        let parameters = resource.map(|resource| TokenParameters::new().resource(resource));
        let tokens = AuthorizationCode::new(code)
            .redirect_uri(&self.redirect_uri)
            .code_verifier(&self.code_verifier)
            .parameters(parameters.unwrap_or_default())
            .bound_to(self.key.as_ref().map(SessionKey::key))
            .exchange(endpoint)
            .await?;
        self.check_nonce(&tokens)
            .map_err(|error| error.at_server(&endpoint.server()))?;
        Ok(tokens)
    }

    /// OpenID Connect Core section 3.1.3.7, number 11: a code that somebody else has got, and put into this
    /// user's redirect, brings an id token of another sign-in.
    fn check_nonce(&self, tokens: &TokenSet) -> Result<(), Error> {
        let Some(expected) = &self.nonce else {
            return Ok(());
        };
        let Some(id_token) = tokens.id_token() else {
            return Err(Error::protocol(
                "the sign-in asked for the scope `openid`, and no id token came",
            ));
        };
        match id_token::nonce_claim(id_token) {
            Some(nonce) if is_same(expected, nonce.expose()) => Ok(()),
            Some(_) => Err(Error::protocol(
                "the id token has the `nonce` of another sign-in",
            )),
            None => Err(Error::protocol("the id token has no `nonce`")),
        }
    }
}

/// The error of whoever comes back, or is waited for, after the request has expired.
pub(super) fn too_late() -> Error {
    Error::new(
        ErrorKind::SignInRequired,
        "the sign-in took longer than its authorization request is good for; begin it anew",
    )
    .got(HowFar::NotSent)
}

/// Server and client as a digest: the query of a token URL may be a key.
pub(super) fn server_of(endpoint: &TokenEndpoint) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(endpoint.identity()))
}

impl fmt::Debug for PendingAuthorization {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("PendingAuthorization")
            .field("redirect_uri", &self.redirect_uri)
            .field("issuer", &self.issuer)
            .field("expires_at", &self.expires_at)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// What is written.
#[derive(Serialize, Deserialize)]
struct Kept {
    format: u8,
    state: Zeroizing<String>,
    code_verifier: Zeroizing<String>,
    #[serde(default)]
    nonce: Option<Zeroizing<String>>,
    redirect_uri: String,
    #[serde(default)]
    resource: Option<String>,
    #[serde(default)]
    issuer: Option<String>,
    names_issuer: bool,
    server: String,
    /// In seconds since 1970, as the next.
    expires_at: u64,
    #[serde(default)]
    url_expires_at: Option<u64>,
    #[serde(default)]
    dpop_key: Option<KeptKey>,
}

impl From<PendingAuthorization> for Kept {
    fn from(pending: PendingAuthorization) -> Self {
        let text = |secret: &Secret| Zeroizing::new(secret.expose().to_owned());
        Self {
            format: FORMAT,
            state: text(&pending.state),
            code_verifier: text(&pending.code_verifier),
            nonce: pending.nonce.as_ref().map(text),
            redirect_uri: pending.redirect_uri,
            resource: pending.resource,
            issuer: pending.issuer,
            names_issuer: pending.names_issuer,
            server: pending.server,
            expires_at: seconds(pending.expires_at),
            url_expires_at: pending.url_expires_at.map(seconds),
            dpop_key: pending.key.as_ref().map(KeptKey::of),
        }
    }
}

impl TryFrom<Kept> for PendingAuthorization {
    type Error = String;

    fn try_from(kept: Kept) -> Result<Self, String> {
        if kept.format != FORMAT {
            return Err(format!(
                "a pending authorization of format {}, and this version reads {FORMAT}",
                kept.format
            ));
        }
        // An empty one would be the state of a redirect without any.
        if kept.state.is_empty() || kept.code_verifier.is_empty() {
            return Err("a pending authorization without `state` or `code_verifier`".to_owned());
        }
        let secret = |text: &Zeroizing<String>| Secret::new(text.as_str());
        let key = kept.dpop_key.as_ref().map(KeptKey::read).transpose()?;
        let at = |seconds| system_time(Duration::from_secs(seconds));
        Ok(Self {
            state: secret(&kept.state),
            code_verifier: secret(&kept.code_verifier),
            nonce: kept.nonce.as_ref().map(secret),
            redirect_uri: kept.redirect_uri,
            resource: kept.resource,
            issuer: kept.issuer,
            names_issuer: kept.names_issuer,
            server: kept.server,
            expires_at: at(kept.expires_at),
            url_expires_at: kept.url_expires_at.map(at),
            key,
        })
    }
}

/// Since 1970.
pub(super) fn seconds(at: SystemTime) -> u64 {
    let since = at.duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}
