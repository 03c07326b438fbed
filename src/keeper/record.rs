//! The refresh token of one grant key: kept, and spent by one flight at a time (A6, E3).

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::MutexGuard as Turn;

use crate::clock::Clock;
use crate::error::{Error, ErrorKind};
use crate::keeper::saver::{RotationHook, Saver};
use crate::secret::Secret;
use crate::telemetry::Telemetry;
use crate::token::TokenResponse;

/// Some servers refuse a dead refresh token without saying `invalid_grant` (F5).
const UNSPECIFIC_REFUSALS: u32 = 3;

/// What a grant key owns.
#[derive(Debug)]
pub(crate) struct Record {
    queue: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    saver: Arc<Saver>,
}

#[derive(Debug, Default)]
struct State {
    refresh_token: Option<Secret>,
    id_token: Option<Secret>,
    dead: Option<Error>,
    unspecific_refusals: u32,
    answer_lost: bool,
}

impl Record {
    pub(crate) fn new(
        refresh_token: Option<Secret>,
        id_token: Option<Secret>,
        hook: Option<RotationHook>,
    ) -> Self {
        Self {
            queue: tokio::sync::Mutex::new(()),
            state: Mutex::new(State {
                refresh_token,
                id_token,
                ..State::default()
            }),
            saver: Arc::new(Saver::new(hook)),
        }
    }

    /// The refresh token to spend, if there is one, when no other flight spends it (A6). A flight
    /// takes its turn once, and without a refresh token it does not queue.
    ///
    /// # Errors
    /// If it is known to be dead: the server need not be asked again.
    pub(crate) async fn to_spend<'record>(
        &'record self,
        turn: &mut Option<Turn<'record, ()>>,
    ) -> Result<Option<Secret>, Error> {
        let refresh_token = self.refresh_token()?;
        if refresh_token.is_none() || turn.is_some() {
            return Ok(refresh_token);
        }
        *turn = Some(self.queue.lock().await);
        self.refresh_token()
    }

    fn refresh_token(&self) -> Result<Option<Secret>, Error> {
        let state = self.state();
        match &state.dead {
            Some(error) => Err(error.clone()),
            None => Ok(state.refresh_token.clone()),
        }
    }

    /// Whether the refresh token was sent and no answer came. Sending it again might make the
    /// server revoke the access token that is still good (E3).
    pub(crate) fn is_answer_lost(&self) -> bool {
        self.state().answer_lost
    }

    /// Says that `refresh_token` is about to be sent.
    pub(crate) fn away<'record>(
        &'record self,
        refresh_token: Option<&'record Secret>,
    ) -> Away<'record> {
        Away {
            record: self,
            refresh_token,
        }
    }

    /// Takes note of what the last error of a flight says of `refresh_token`, which it spent.
    pub(crate) fn failed(&self, refresh_token: &Secret, error: Error) -> Error {
        let mut state = self.state();
        if state.refresh_token.as_ref() != Some(refresh_token) {
            return error;
        }
        if error.how_far().is_loss() {
            return error;
        }
        // `login_required` and its like want the user, but leave the refresh token alive.
        let ends = error.kind() == ErrorKind::SignInRequired
            && matches!(error.oauth_code(), None | Some("invalid_grant"));
        state.unspecific_refusals = if error.is_unspecific_refusal() {
            state.unspecific_refusals + 1
        } else {
            0
        };
        if ends {
            state.dead = Some(error.clone());
            error
        } else if state.unspecific_refusals >= UNSPECIFIC_REFUSALS {
            let dead = Error::sign_in_required(
                "the authorization server refused the refresh token three times without saying why; the user has to sign in again",
            );
            state.dead = Some(dead.clone());
            dead
        } else {
            error
        }
    }

    /// Keeps the refresh token and the id token that an answer brought, and fills in those of a
    /// refresh that it left out, which stay in force (RFC 6749 section 6, OpenID Connect Core
    /// 12.2). Returns when the hook has taken a new refresh token, or has failed once.
    pub(crate) async fn keep(
        &self,
        response: &mut TokenResponse,
        clock: &Clock,
        telemetry: &Telemetry,
    ) {
        self.take_over(response);
        self.saver.save(clock, telemetry).await;
    }

    /// Returns when the hook has taken the newest refresh token.
    pub(crate) async fn until_saved(&self, clock: &Clock, telemetry: &Telemetry) {
        self.saver.until_saved(clock, telemetry).await;
    }

    fn take_over(&self, response: &mut TokenResponse) {
        let mut state = self.state();
        state.answer_lost = false;
        state.unspecific_refusals = 0;
        if state.refresh_token.is_some() {
            response.id_token = response.id_token.take().or(state.id_token.take());
        }
        state.id_token = response.id_token.clone();
        if let Some(refresh_token) = &response.refresh_token
            && state.refresh_token.as_ref() != Some(refresh_token)
        {
            state.refresh_token = Some(refresh_token.clone());
            self.saver.offer(refresh_token);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refresh token on its way. If the attempt ends before it is back, because no answer came, its
/// runtime is shut down or the grant panics, the answer is lost (E3); whatever a repetition meets,
/// only a success finds it.
#[derive(Debug)]
pub(crate) struct Away<'record> {
    record: &'record Record,
    refresh_token: Option<&'record Secret>,
}

impl Away<'_> {
    /// The attempt has an outcome, which says what became of the refresh token.
    pub(crate) fn returned<T>(mut self, outcome: &Result<T, Error>) {
        let lost = matches!(outcome, Err(error) if error.how_far().is_loss());
        if !lost {
            self.refresh_token = None;
        }
    }
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        let mut state = self.record.state();
        if self.refresh_token.is_some() && state.refresh_token.as_ref() == self.refresh_token {
            state.answer_lost = true;
        }
    }
}
