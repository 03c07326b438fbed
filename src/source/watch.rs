//! A token that is kept fresh without calls, as a program sees it.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::access_token::AccessToken;
use crate::cache::entry::Entry;
use crate::engine::Engine;
use crate::error::{Error, ErrorKind};
use crate::source::keeper::{self, State};

/// A token that is kept fresh as long as this lives, and tells each new one: for what must hear of the
/// next token and makes no calls, such as a WebSocket, a gRPC stream, or a pool of database connections.
///
/// [`TokenSource::keep_fresh`](crate::TokenSource::keep_fresh) makes it. It is used as the receiver of
/// [`tokio::sync::watch`] is: clones share the work and have each seen what the one before had; of
/// several tokens since the last look, only the newest is told; and the work ends when the last clone is
/// dropped.
///
/// It refreshes as calls do: at the same moments ahead of the expiry, at most once for all who use the
/// token, with the same pauses after failures, and with the answer of the store that other processes
/// write to. So it tells, too, of tokens that a call has got, a 401 has caused, or another process has
/// stored.
///
/// A WebSocket whose server wants each new token as a message:
///
/// ```
/// # trait Socket { async fn send(&mut self, text: String) -> Result<(), reqwest_bearer::Error>; }
/// # async fn authenticate(source: reqwest_bearer::TokenSource, mut socket: impl Socket)
/// #     -> Result<(), reqwest_bearer::Error> {
/// let mut tokens = source.keep_fresh()?;
/// loop {
///     match tokens.changed().await {
///         // The first one comes at once, and then each new one ahead of the expiry of the one before.
///         Ok(token) => socket.send(format!("authenticate {}", token.expose())).await?,
///         // The user signed out, say: close the connection.
///         Err(error) if tokens.has_ended() => return Err(error),
///         // No token for now. It is tried again, and the next one is told.
///         Err(error) => eprintln!("{error}"),
///     }
/// }
/// # }
/// ```
///
/// A pool whose database takes an access token as the password of a new connection, such as `sqlx`'s:
///
/// ```
/// # #[derive(Clone)] struct PgConnectOptions;
/// # impl PgConnectOptions { fn password(self, _: &str) -> Self { self } }
/// # struct PgPool;
/// # impl PgPool { fn set_connect_options(&self, _: PgConnectOptions) {} }
/// # fn open(_: PgConnectOptions) -> PgPool { PgPool }
/// # async fn connect(source: reqwest_bearer::TokenSource, options: PgConnectOptions)
/// #     -> Result<PgPool, reqwest_bearer::Error> {
/// let mut tokens = source.keep_fresh()?;
/// let first = tokens.changed().await?;
/// let pool = std::sync::Arc::new(open(options.clone().password(first.expose())));
/// let known = std::sync::Arc::downgrade(&pool);
/// tokio::spawn(async move {
///     while !tokens.has_ended() {
///         let token = tokens.changed().await;
///         let Some(pool) = known.upgrade() else { break };
///         if let Ok(token) = token {
///             pool.set_connect_options(options.clone().password(token.expose()));
///         }
///     }
/// });
/// # drop(pool); Ok(PgPool)
/// # }
/// ```
#[derive(Clone)]
pub struct TokenWatch {
    states: watch::Receiver<State>,
    engine: Arc<Engine>,
}

impl TokenWatch {
    /// The next token: the first one at once, or as soon as it has come, and from then on each that takes
    /// the place of the one told before. A token that never changes is told once.
    ///
    /// Cancel safe: what a dropped call has not told, the next one tells.
    ///
    /// # Errors
    /// While the present token is good, a refresh that fails is no matter of the caller's. When there is
    /// no usable token any more, or none has come, that is told once, with the error that a call gets; the
    /// attempts go on with the pauses that calls keep to, and the next token is told. An error after which
    /// none will come is final, see [`has_ended`](Self::has_ended), and each further call gets it:
    /// - [`ErrorKind::SignInRequired`], when the user has signed out, the session is over, or somebody
    ///   else has signed in under its subject: what was opened for one user is never given the token of
    ///   the next. After the user's next sign-in, make a new one. (Where the error
    ///   [is doubtful](Error::is_doubtful), or one API alone wants another sign-in, it is not final.)
    /// - [`ErrorKind::InvalidSubjectToken`], when the token that it is exchanged for has ended, or is refused.
    /// - [`ErrorKind::ShutDown`], when the source has been shut down.
    /// - [`ErrorKind::Unavailable`], when the runtime is gone in which it was made.
    pub async fn changed(&mut self) -> Result<AccessToken, Error> {
        let heard = self.states.changed().await;
        let state = self.states.borrow_and_update();
        match (&state.error, &state.token) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(token)) if heard.is_ok() => Ok(token.clone()),
            (None, _) => Err(self.engine.setup.named(Error::new(
                ErrorKind::Unavailable,
                "the runtime that kept the token fresh is being shut down",
            ))),
        }
    }

    /// The token to use now, without waiting and without taking it for seen: for a connection that is
    /// opened just now. `None` if none has come yet, or the last one has expired.
    #[must_use]
    pub fn present(&self) -> Option<AccessToken> {
        let now = self.engine.setup.clock.now();
        let state = self.states.borrow();
        let token = state.token.as_ref();
        token
            .filter(|token| {
                let issued = token.issued();
                issued.is_usable(now) && !issued.standing.is_withdrawn()
            })
            .cloned()
    }

    /// Whether no other token will come, for the reason that [`changed`](Self::changed) gives.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        // Only the task that keeps the token fresh has the other end.
        self.states.borrow().has_ended || self.states.has_changed().is_err()
    }

    pub(crate) fn of(engine: &Arc<Engine>, entry: &Arc<Entry>) -> Result<Self, Error> {
        Ok(Self {
            states: keeper::start(engine, entry)?,
            engine: engine.clone(),
        })
    }
}

impl fmt::Debug for TokenWatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("TokenWatch")
            .field("source", &self.engine.setup.telemetry.source)
            .field("has_ended", &self.has_ended())
            .finish_non_exhaustive()
    }
}
