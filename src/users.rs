//! The sessions of all the users of a program: signed in, looked at, signed out.

mod builder;
#[cfg(feature = "dpop")]
mod dpop;
mod status;

pub use crate::refresh::revocation::{Revocation, SignOut};
pub use crate::users::builder::UserSessionsBuilder;
pub use crate::users::status::{AccessTokenStatus, UserStatus};

use crate::endpoint::TokenEndpoint;
use crate::error::Error;
use crate::grant::Grant;
use crate::parameters::TokenParameters;
use crate::sign_in::{self, Claim};
use crate::source::TokenSource;
use crate::source::handle::Handle;
use crate::subject::Subject;
use crate::token_set::TokenSet;

/// The users who are signed in, and their tokens: each one's refresh token in a
/// [`TokenStore`](crate::TokenStore), each one's access tokens ready for the next request.
///
/// What a web back end has once, at start. A cheap handle: clones share everything.
///
/// ```no_run
/// # async fn signed_in(code: &str) -> Result<(), Box<dyn std::error::Error>> {
/// use reqwest_bearer::{
///     AuthorizationCode, ClientAuthentication, NamedUserClient, Subject, TokenEndpoint, UserSessions,
/// };
///
/// let client = ClientAuthentication::client_secret_basic("my-client", "s3cr3t");
/// let endpoint = TokenEndpoint::discover("https://login.example.com", client)?;
/// let users = UserSessions::new(&endpoint);
/// let orders = NamedUserClient::new("orders", "https://api.example.com/v1", &users)?;
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
#[derive(Clone)]
pub struct UserSessions(Handle);

impl UserSessions {
    /// The sessions of the users who sign in at this server (RFC 6749 section 6), in the memory of this
    /// process.
    #[must_use]
    pub fn new(endpoint: &TokenEndpoint) -> Self {
        Self::builder(endpoint).with_defaults()
    }

    /// The same with settings, such as a store that outlives the process.
    pub fn builder(endpoint: &TokenEndpoint) -> UserSessionsBuilder {
        UserSessionsBuilder::of_endpoint(endpoint.clone())
    }

    /// Sessions whose tokens come by a grant of your own: [`GrantRequest::subject`] tells it the user,
    /// and [`GrantRequest::refresh_token`] what the answer before has brought. A grant that
    /// [needs a refresh token](Grant::needs_refresh_token) is asked for nobody who has not signed in;
    /// any other one for each user that a request names.
    ///
    /// [`GrantRequest::subject`]: crate::GrantRequest::subject
    /// [`GrantRequest::refresh_token`]: crate::GrantRequest::refresh_token
    pub fn with_grant(grant: impl Grant) -> UserSessionsBuilder {
        UserSessionsBuilder::of_grant(std::sync::Arc::new(grant))
    }

    /// The tokens of this user. It shares everything with the sessions, and asks nobody.
    #[must_use]
    pub fn for_subject(&self, subject: &Subject) -> TokenSource {
        TokenSource::new(self.0.for_subject(subject))
    }

    /// The tokens of the user for whom the present task is ([`Subject::run`]), told anew at each call:
    /// without one, calls end with [`NoSubject`](crate::ErrorKind::NoSubject).
    #[must_use]
    pub fn for_current_subject(&self) -> TokenSource {
        TokenSource::new(self.0.clone())
    }

    /// The same sessions, whose tokens are asked for with these parameters: so the clients of two APIs,
    /// each with a resource of its own, live on one sign-in.
    ///
    /// ```
    /// # fn clients(users: reqwest_bearer::UserSessions) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::{NamedUserClient, TokenParameters};
    ///
    /// let for_orders = users.with_parameters(TokenParameters::new().resource("https://orders.example.com"));
    /// let orders = NamedUserClient::new("orders", "https://orders.example.com/v1", &for_orders)?;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_parameters(&self, parameters: TokenParameters) -> Self {
        Self(self.0.with_parameters(parameters))
    }

    /// The name that events and log lines call them by.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Keeps what a sign-in brought, in place of whatever this subject had. From now on, requests
    /// for the subject go out with its tokens, in every process that shares the store; the
    /// refresh token that each refresh brings takes the place of the one before. Once begun, it is
    /// carried through, also if the caller goes away.
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the store cannot be told: the user is then
    /// not signed in, and nothing is lost of an earlier sign-in. A store that gives no answer is
    /// asked whether it has the tokens; only one that answers neither may carry the sign-in out
    /// after all.
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) if the token set is empty;
    /// [`ErrorKind::Protocol`](crate::ErrorKind::Protocol) if its access token cannot be sent.
    pub async fn sign_in(&self, subject: &Subject, tokens: TokenSet) -> Result<(), Error> {
        let outcome = sign_in::sign_in(self.0.engine(), subject, tokens).await;
        outcome.map_err(|error| self.0.named(error))
    }

    /// Forgets the tokens of this subject, here and in the store, and has the authorization server
    /// revoke them behind the caller's back: the refresh token, then the access tokens (RFC 7009).
    /// Calls for the subject then end with
    /// [`SignInRequired`](crate::ErrorKind::SignInRequired); other processes notice
    /// [within a minute](UserSessionsBuilder::notice_within). A refresh that is under way
    /// does not bring the session back, and what it brings is revoked. Once begun, it is carried
    /// through, also if the caller goes away.
    ///
    /// It takes as long as the store: the page after the button need not wait for the authorization
    /// server, and what that one says can be awaited.
    ///
    /// ```no_run
    /// # use reqwest_bearer::{Error, Revocation, Subject, UserSessions};
    /// # async fn sign_out(users: UserSessions, session: Subject) -> Result<(), Error> {
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
    /// call, see [`Revocation`].
    pub async fn sign_out(&self, subject: &Subject) -> Result<SignOut, Error> {
        let outcome = sign_in::sign_out(self.0.engine(), subject).await;
        outcome.map_err(|error| self.0.named(error))
    }

    /// Lets the session of `old` go on under the id `new`, as web frameworks renew the session's id at a
    /// sign-in: in one step in the store, with its refresh token and its access tokens. Calls for the old
    /// id then end with [`SignInRequired`](crate::ErrorKind::SignInRequired), in other processes
    /// [within a minute](UserSessionsBuilder::notice_within). Once begun, it is carried through, also if
    /// the caller goes away. It waits for a refresh of the session that is under way.
    ///
    /// ```no_run
    /// # use reqwest_bearer::{Error, Subject, UserSessions};
    /// # async fn renewed(users: UserSessions) -> Result<(), Error> {
    /// let (old, new) = (Subject::new("3f1c0a9e")?, Subject::new("77d0b2c4")?);
    /// users.rename(&old, &new).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::SignInRequired`](crate::ErrorKind::SignInRequired) if no user is signed in under the old
    /// id, [`ErrorKind::Settings`](crate::ErrorKind::Settings) if one is under the new id, and
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the store cannot be told.
    pub async fn rename(&self, old: &Subject, new: &Subject) -> Result<(), Error> {
        let outcome = sign_in::rename(self.0.engine(), old, new).await;
        outcome.map_err(|error| self.0.named(error))
    }

    /// Signs out all sessions of this user, by the `sub` of their id tokens; needs
    /// [`index_sessions`](UserSessionsBuilder::index_sessions). For each session that has ended there is
    /// one [`SignOut`]. Other processes notice [within a minute](UserSessionsBuilder::notice_within). Of one
    /// user the newest 256 sessions are known.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`](crate::ErrorKind::Settings) without the index, and
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the store cannot be told: some of the sessions may
    /// have ended, so call it again.
    pub async fn sign_out_sub(&self, sub: &str) -> Result<Vec<SignOut>, Error> {
        let outcome = sign_in::end_all(self.0.engine(), Claim::Sub(sub.to_owned())).await;
        outcome.map_err(|error| self.0.named(error))
    }

    /// The same for one sign-in at the authorization server, by the `sid` of the id tokens (OpenID Connect
    /// Back-Channel Logout 1.0 section 2.4).
    ///
    /// # Errors
    /// As [`sign_out_sub`](Self::sign_out_sub).
    pub async fn sign_out_sid(&self, sid: &str) -> Result<Vec<SignOut>, Error> {
        let outcome = sign_in::end_all(self.0.engine(), Claim::Sid(sid.to_owned())).await;
        outcome.map_err(|error| self.0.named(error))
    }

    /// What the store has of this subject: which tokens, and until when; never their text. `None`
    /// if no such user is signed in.
    ///
    /// # Errors
    /// [`ErrorKind::Store`](crate::ErrorKind::Store) if the store cannot be asked.
    pub async fn status_of(&self, subject: &Subject) -> Result<Option<UserStatus>, Error> {
        let record = sign_in::record_of(self.0.engine(), subject).await;
        let record = record.map_err(|error| self.0.named(error))?;
        Ok(record.map(|record| UserStatus::of(&record)))
    }

    /// Finds the token endpoint, so that a wrong issuer is found at start.
    ///
    /// # Errors
    /// If it cannot be found; see [`Error::kind`].
    pub async fn warm_up(&self) -> Result<(), Error> {
        self.0.warm_up().await
    }

    /// Starts no more token requests, and returns when those under way have ended and the tokens of users
    /// who signed out are revoked, at the latest after 10 s. Tokens that are still good are used on.
    ///
    /// # Errors
    /// If something was still under way after 10 s.
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.0.shut_down().await
    }

    pub(crate) fn from_handle(handle: Handle) -> Self {
        Self(handle)
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.0
    }
}

impl std::fmt::Debug for UserSessions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("UserSessions")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::UserSessions;
    use crate::endpoint::{ClientAuthentication, TokenEndpoint};
    use crate::key::Wanted;
    use crate::parameters::TokenParameters;
    use crate::subject::Subject;

    #[test]
    fn a_caller_who_prints_the_handle_of_a_user_or_looks_at_its_status_takes_no_place_in_the_cache()
    {
        // F9: a log line must not drive a user out who calls.
        let client = ClientAuthentication::none("me");
        let endpoint = TokenEndpoint::new("https://as.test/token", client).unwrap();
        let users = UserSessions::new(&endpoint);
        let stranger = Subject::new("stranger").unwrap();
        let narrowed = TokenParameters::new().scope("a");
        for handle in [
            users.for_subject(&stranger),
            users
                .for_subject(&stranger)
                .with_parameters(narrowed.clone()),
        ] {
            assert!(format!("{handle:?}").contains("TokenStatus"));
            let status = handle.status();
            assert!(!status.is_usable() && status.failure().is_none());
            for parameters in [&TokenParameters::new(), &narrowed] {
                let wanted = Wanted {
                    subject: Some(&stranger),
                    parameters,
                    subject_token: None,
                };
                let entries = &handle.handle().engine().entries;
                assert!(entries.find(wanted).is_none());
            }
        }
    }
}
