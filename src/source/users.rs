//! Users: signed in, looked at, signed out.

use std::time::SystemTime;

use crate::clock::system_time;
use crate::error::Error;
use crate::parameters::TokenParameters;
use crate::refresh::revocation::SignOut;
use crate::session::record::{Record, RecordToken};
use crate::session::state::RefreshTokenState;
use crate::sign_in;
use crate::source::TokenSource;
use crate::subject::Subject;
use crate::token_set::TokenSet;

impl TokenSource {
    /// Keeps what a sign-in brought, in place of whatever this subject had. From now on, requests
    /// for the subject go out with its tokens, in every process that shares the store; the
    /// refresh token that each refresh brings takes the place of the one before. Once begun, it is
    /// carried through, also if the caller goes away.
    ///
    /// ```no_run
    /// # async fn signed_in(code: &str) -> Result<(), Box<dyn std::error::Error>> {
    /// use reqwest_bearer::{
    ///     AuthorizationCode, ClientAuthentication, NamedClient, RefreshTokenGrant, Subject,
    ///     TokenEndpoint, TokenSource,
    /// };
    ///
    /// let me = ClientAuthentication::client_secret_basic("my-client", "s3cr3t");
    /// let endpoint = TokenEndpoint::discover("https://login.example.com", me)?;
    /// let users = TokenSource::from(RefreshTokenGrant::for_users(endpoint.clone()));
    /// let orders = NamedClient::new("orders", "https://api.example.com/v1", &users)?;
    ///
    /// // after the redirect from the sign-in page
    /// let session = Subject::new("3f1c0a9e")?; // the session's id
    /// let tokens = AuthorizationCode::new(code)
    ///     .redirect_uri("https://app.example.com/signed-in")
    ///     .exchange(&endpoint)
    ///     .await?;
    /// users.sign_in(&session, tokens).await?;
    ///
    /// // in any request of this session
    /// let answer = orders.for_subject(&session).get("orders/42").send().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the store cannot be told: the user is then
    /// not signed in, and nothing is lost of an earlier sign-in. A store that gives no answer is
    /// asked whether it has the tokens; only one that answers neither may carry the sign-in out
    /// after all.
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) if the source is not for users, or the
    /// token set is empty; [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) if its access token
    /// cannot be sent.
    pub async fn sign_in(&self, subject: &Subject, tokens: TokenSet) -> Result<(), Error> {
        let outcome = sign_in::sign_in(self.engine(), subject, tokens).await;
        outcome.map_err(|error| self.named(error))
    }

    /// Forgets the tokens of this subject, here and in the store, and has the authorization server
    /// revoke them behind the caller's back: the refresh token, then the access tokens (RFC 7009).
    /// Calls for the subject then end with
    /// [`SignInRequired`](crate::ErrorKind::SignInRequired); other processes notice
    /// [within a minute](crate::TokenSourceBuilder::notice_within). A refresh that is under way
    /// does not bring the session back, and what it brings is revoked. Once begun, it is carried
    /// through, also if the caller goes away.
    ///
    /// It takes as long as the store: the page after the button need not wait for the authorization
    /// server, and what that one says can be awaited.
    ///
    /// ```no_run
    /// # use reqwest_bearer::{Error, Revocation, Subject, TokenSource};
    /// # async fn sign_out(users: TokenSource, session: Subject) -> Result<(), Error> {
    /// let sign_out = users.sign_out(&session).await?; // forgotten; and dropping it would stop nothing
    /// match sign_out.outcome().await {
    ///     Revocation::Revoked | Revocation::NothingToRevoke => {}
    ///     other => eprintln!("signed out here, and maybe not there: {other:?}"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the store cannot be told: the user is still
    /// signed in, so call it again. What the authorization server makes of it is no error of this
    /// call, see [`Revocation`](crate::Revocation).
    pub async fn sign_out(&self, subject: &Subject) -> Result<SignOut, Error> {
        let outcome = sign_in::sign_out(self.engine(), subject).await;
        outcome.map_err(|error| self.named(error))
    }

    /// What the store has of this subject: which tokens, and until when; never their text. `None`
    /// if nobody is signed in.
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the store cannot be asked.
    pub async fn status_of(&self, subject: &Subject) -> Result<Option<UserStatus>, Error> {
        let record = sign_in::record_of(self.engine(), subject).await;
        let record = record.map_err(|error| self.named(error))?;
        Ok(record.map(|record| UserStatus::of(&record)))
    }
}

/// How a user's session stands: never a token's text.
#[derive(Clone, Debug)]
pub struct UserStatus {
    has_refresh_token: bool,
    sign_in_required: bool,
    ends_at: Option<SystemTime>,
    access_tokens: Vec<TokenDates>,
}

impl UserStatus {
    /// Whether there is a refresh token: without one the session ends with its access token.
    #[must_use]
    pub fn has_refresh_token(&self) -> bool {
        self.has_refresh_token
    }

    /// Whether the authorization server has ended the session: once the access tokens have
    /// expired, the user has to sign in again.
    #[must_use]
    pub fn is_sign_in_required(&self) -> bool {
        self.sign_in_required
    }

    /// When the refresh token ends, where the server told (`refresh_token_expires_in`).
    #[must_use]
    pub fn ends_at(&self) -> Option<SystemTime> {
        self.ends_at
    }

    /// The access tokens, one for each combination of scopes and resources that was asked for.
    #[must_use]
    pub fn access_tokens(&self) -> &[TokenDates] {
        &self.access_tokens
    }

    fn of(record: &Record) -> Self {
        Self {
            has_refresh_token: record.refresh_token.is_some(),
            sign_in_required: record.state == RefreshTokenState::Dead,
            ends_at: record.ends_at.map(system_time),
            access_tokens: record.tokens.iter().map(TokenDates::of).collect(),
        }
    }
}

/// What one access token is for, and when it was issued and ends.
#[derive(Clone, Debug)]
pub struct TokenDates {
    parameters: TokenParameters,
    issued_at: SystemTime,
    expires_at: Option<SystemTime>,
}

impl TokenDates {
    /// What it was asked for with, the grant's own settings included.
    #[must_use]
    pub fn parameters(&self) -> &TokenParameters {
        &self.parameters
    }

    /// When it was asked for.
    #[must_use]
    pub fn issued_at(&self) -> SystemTime {
        self.issued_at
    }

    /// When it ends; `None` if the server did not say.
    #[must_use]
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.expires_at
    }

    fn of(token: &RecordToken) -> Self {
        Self {
            parameters: token.parameters.clone(),
            issued_at: system_time(token.issued_at),
            expires_at: token.expires_at.map(system_time),
        }
    }
}
