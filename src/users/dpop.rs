//! The settings that bind users' sessions to keys.

use crate::dpop::{DpopSetting, Keys};
use crate::users::builder::UserSessionsBuilder;

impl UserSessionsBuilder {
    /// Binds each session to a key of its own (RFC 9449), and takes no bearer tokens. The key is made for the
    /// sign-in and comes with its token set; it is kept in the session's record beside the refresh token, so
    /// that each process that shares the store signs with it. A process has no key of its own here: tokens
    /// of all users under one key would be bound to no session.
    ///
    /// ```
    /// # async fn signed_in(endpoint: reqwest_bearer::TokenEndpoint, session: reqwest_bearer::Subject,
    /// #     redirect: &str) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::{AuthorizationRequest, DpopKey, UserSessions};
    ///
    /// let users = UserSessions::builder(&endpoint).dpop().build()?;
    ///
    /// let request = AuthorizationRequest::new("https://app.example.com/signed-in");
    /// let request = request.dpop(&DpopKey::generate()?);
    /// let (url, pending) = request.start(&endpoint).await?;
    /// # let _ = url;
    /// // ... and when the user comes back:
    /// let tokens = pending.finish(&endpoint, redirect).await?;
    /// users.sign_in(&session, tokens).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// Where another library begins the sign-in, the URL has the key's
    /// [thumbprint](crate::DpopKey::thumbprint) as `dpop_jkt`, the key is kept until the redirect as PEM
    /// ([`SigningKey::to_pem`](crate::SigningKey::to_pem)), where nobody else reads it, and goes into
    /// [`AuthorizationCode::dpop`](crate::AuthorizationCode::dpop). Redirects are as
    /// with [`TokenSourceBuilder::dpop`](crate::TokenSourceBuilder::dpop).
    ///
    /// A session that began without a key is not lost, and not used: its user has to sign in again.
    /// Default: bearer tokens; a token set with a key is then an error of the sign-in.
    pub fn dpop(mut self) -> Self {
        self.source.dpop = Some(DpopSetting {
            keys: Keys::OfSessions,
            is_required: true,
        });
        self
    }

    /// Binds the sessions to keys whose sign-ins bring one, and takes the others as well, with bearer tokens:
    /// for a program whose users signed in before it had keys.
    /// Default: see [`dpop`](Self::dpop).
    pub fn offer_dpop(mut self) -> Self {
        self.source.dpop = Some(DpopSetting {
            keys: Keys::OfSessions,
            is_required: false,
        });
        self
    }
}
