//! What becomes of a session's tokens at the authorization server when the session has ended (RFC 7009).

use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::join_all;
use reqwest::Url;
use tokio::task::JoinHandle;

use crate::endpoint::{TokenEndpoint, TokenKind};
use crate::engine::{Engine, Setup, Task};
use crate::error::{Error, ErrorKind};
use crate::secret::Secret;
use crate::session::record::Record;
use crate::token_owner::TokenOwner;

/// A user who is signed out, and whose tokens are being revoked at the authorization server.
///
/// Dropping it stops nothing: the revocations run in a task of their own, which
/// [`UserSessions::shutdown`](crate::UserSessions::shutdown) waits for.
pub struct SignOut(State);

enum State {
    Known(Revocation),
    UnderWay(JoinHandle<Revocation>),
}

/// What became of the tokens of a session at the authorization server. In this process and in the
/// store they are forgotten in any case.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Revocation {
    /// The server has revoked the refresh token and the access tokens that had not expired.
    Revoked,
    /// There was no token that could still be used: nobody was signed in, or the session had no refresh
    /// token, and its access tokens had expired.
    NothingToRevoke,
    /// Nobody could be told, so the tokens are good until they expire: neither the settings
    /// ([`revocation_url`](crate::TokenEndpointBuilder::revocation_url)) nor the server's discovery
    /// document name a revocation endpoint, or the grant has no [`TokenEndpoint`]. Also told as
    /// [`Event::NoRevocationEndpoint`](crate::Event::NoRevocationEndpoint).
    NoRevocationEndpoint,
    /// A token at least was not revoked, and this is the first reason. Each one is also told as
    /// [`Event::RevocationFailed`](crate::Event::RevocationFailed).
    Failed(Error),
}

impl SignOut {
    /// Waits for what the authorization server says. The refresh token is revoked first, then the access
    /// tokens; each of the two steps takes as long as one attempt may
    /// ([`attempt_timeout`](crate::TokenEndpointBuilder::attempt_timeout), 10 s), and the time in which
    /// token requests and other revocations go first.
    pub async fn outcome(self) -> Revocation {
        match self.0 {
            State::Known(outcome) => outcome,
            State::UnderWay(task) => task.await.unwrap_or_else(|_| {
                Revocation::Failed(Error::new(
                    ErrorKind::Unavailable,
                    "the runtime that should have revoked the tokens was shut down",
                ))
            }),
        }
    }

    /// Of a user who had no tokens.
    pub(crate) fn without_tokens() -> Self {
        Self(State::Known(Revocation::NothingToRevoke))
    }
}

impl fmt::Debug for SignOut {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("SignOut").finish_non_exhaustive()
    }
}

/// Has the tokens of a session that has ended revoked, from a task of its own: a server that hangs
/// keeps no user waiting who signs out.
pub(crate) fn start(engine: &Arc<Engine>, owner: TokenOwner, record: Record) -> SignOut {
    let task = Task::begin(engine);
    let task = tokio::spawn(async move {
        let setup = &task.engine().setup;
        // A function that gives the client's secret may panic.
        let revoked = AssertUnwindSafe(revoke(setup, &owner, &record))
            .catch_unwind()
            .await;
        revoked.unwrap_or_else(|_| {
            let message = "the client's secret, or another part of the endpoint, panicked";
            let error = Error::new(ErrorKind::Panicked, message);
            Revocation::Failed(not_revoked(setup, error))
        })
    });
    SignOut(State::UnderWay(task))
}

async fn revoke(setup: &Setup, owner: &TokenOwner, record: &Record) -> Revocation {
    let now = setup.clock.now().wall;
    let alive = record.tokens.iter().filter(|token| token.is_alive(now));
    let access_tokens: Vec<_> = alive.map(|token| &token.access_token).collect();
    if record.refresh_token.is_none() && access_tokens.is_empty() {
        return Revocation::NothingToRevoke;
    }
    let (endpoint, url) = match place_of(setup, owner).await {
        Ok(Some(place)) => place,
        Ok(None) => {
            setup.telemetry.no_revocation_endpoint();
            return Revocation::NoRevocationEndpoint;
        }
        Err(error) => return Revocation::Failed(not_revoked(setup, error)),
    };
    // First, since many servers end the access tokens with it.
    let refresh_token = record.refresh_token.iter();
    let kind = TokenKind::RefreshToken;
    let of_refresh_token = revoke_all(setup, &endpoint, &url, refresh_token, kind).await;
    let access_tokens = access_tokens.into_iter();
    let kind = TokenKind::AccessToken;
    let of_access_tokens = revoke_all(setup, &endpoint, &url, access_tokens, kind).await;
    match of_refresh_token.and(of_access_tokens) {
        Ok(()) => Revocation::Revoked,
        Err(error) => Revocation::Failed(error),
    }
}

/// Where the tokens of this owner are revoked, if there is such a place.
async fn place_of(
    setup: &Setup,
    owner: &TokenOwner,
) -> Result<Option<(TokenEndpoint, Url)>, Error> {
    let Some(endpoint) = setup.endpoint_of(owner).await? else {
        return Ok(None);
    };
    let url = endpoint.revocation_url().await?;
    Ok(url.map(|url| (endpoint, url)))
}

/// At once, so that a server that hangs makes it no longer the more tokens there are. The first
/// error counts.
async fn revoke_all(
    setup: &Setup,
    endpoint: &TokenEndpoint,
    url: &Url,
    tokens: impl Iterator<Item = &Secret>,
    kind: TokenKind,
) -> Result<(), Error> {
    let revocations = tokens.map(|token| endpoint.revoke_at(url, token.clone(), kind));
    let mut outcome = Ok(());
    for answer in join_all(revocations).await {
        outcome = outcome.and(answer.map_err(|error| not_revoked(setup, error)));
    }
    outcome
}

/// Tells that a token was forgotten and not revoked.
fn not_revoked(setup: &Setup, error: Error) -> Error {
    let error = setup.named(error);
    setup.telemetry.revocation_failed(&error);
    error
}
