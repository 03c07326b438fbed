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
    /// #     code: &str) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::{AuthorizationCode, DpopKey, UserSessions};
    ///
    /// let users = UserSessions::builder(&endpoint).dpop().build()?;
    ///
    /// let key = DpopKey::generate()?;
    /// let dpop_jkt = key.thumbprint(); // goes into the URL of the sign-in
    /// # let _ = dpop_jkt;
    /// // ... and when the user comes back with a code:
    /// let tokens = AuthorizationCode::new(code).dpop(&key).exchange(&endpoint).await?;
    /// users.sign_in(&session, tokens).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// The sign-in may come back to another process: keep the key until then as a `SigningKey` in PEM
    /// ([`SigningKey::to_pem`](crate::SigningKey::to_pem)), where nobody else reads it. Redirects are as
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
