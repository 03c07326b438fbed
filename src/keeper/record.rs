//! The refresh token of one grant key: kept, spent one flight at a time, and handed to the user's
//! hook before the access token that came with it is seen by anybody (A6, E3, F2).

use std::fmt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::{MutexGuard as Turn, watch};

use crate::clock::Clock;
use crate::error::{Delivery, Error, ErrorKind};
use crate::secret::Secret;
use crate::telemetry::Telemetry;
use crate::token::TokenResponse;

/// A hook that does not answer within this time has failed, and is tried again.
const HOOK_TIMEOUT: Duration = Duration::from_secs(10);
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Some servers refuse a dead refresh token without saying `invalid_grant` (F5).
const UNSPECIFIC_REFUSALS: u32 = 3;

type Saved = Pin<Box<dyn Future<Output = bool> + Send>>;

/// Called with each new refresh token; says whether it is safe now.
#[derive(Clone)]
pub(crate) struct RotationHook(Arc<dyn Fn(Secret) -> Saved + Send + Sync>);

impl RotationHook {
    pub(crate) fn new<F, S, E>(hook: F) -> Self
    where
        F: Fn(Secret) -> S + Send + Sync + 'static,
        S: Future<Output = Result<(), E>> + Send + 'static,
    {
        Self(Arc::new(move |refresh_token| {
            let saving = hook(refresh_token);
            Box::pin(async move { saving.await.is_ok() })
        }))
    }
}

impl fmt::Debug for RotationHook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RotationHook")
    }
}

/// What a grant key owns.
#[derive(Debug)]
pub(crate) struct Record {
    queue: tokio::sync::Mutex<()>,
    state: Mutex<State>,
    hook: Option<RotationHook>,
    /// The newest refresh token that the hook has not taken, and whether a task is at it.
    unsaved: watch::Sender<Option<Secret>>,
    saving: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    refresh_token: Option<Secret>,
    id_token: Option<Secret>,
    dead: Option<Error>,
    unspecific_refusals: u32,
    answer_lost: bool,
    saver_runs: bool,
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
            hook,
            unsaved: watch::Sender::new(None),
            saving: tokio::sync::Mutex::new(()),
        }
    }

    /// Waits until no other flight spends the refresh token (A6). A grant without one does not
    /// queue.
    pub(crate) async fn turn(&self) -> Option<Turn<'_, ()>> {
        let spends = self.state().refresh_token.is_some();
        if spends {
            Some(self.queue.lock().await)
        } else {
            None
        }
    }

    /// The refresh token to spend, if there is one.
    ///
    /// # Errors
    /// If it is known to be dead: the server need not be asked again.
    pub(crate) fn refresh_token(&self) -> Result<Option<Secret>, Error> {
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

    /// Takes note of a refused or lost request that spent `refresh_token`.
    pub(crate) fn failed(&self, refresh_token: &Secret, error: Error) -> Error {
        let mut state = self.state();
        if state.refresh_token.as_ref() != Some(refresh_token) {
            return error;
        }
        if matches!(error.how_far(), Delivery::Lost | Delivery::Unusable) {
            state.answer_lost = true;
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
        self: &Arc<Self>,
        response: &mut TokenResponse,
        clock: &Clock,
        telemetry: &Telemetry,
    ) {
        if !self.take_over(response) || self.hook.is_none() {
            return;
        }
        self.unsaved.send_replace(response.refresh_token.clone());
        if !self.save(clock).await {
            telemetry.refresh_token_unsaved();
            self.save_behind(clock.clone(), telemetry.clone());
        }
    }

    /// Returns when the hook has taken the newest refresh token.
    pub(crate) async fn until_saved(&self) {
        // The sender is ours, so the channel cannot be closed.
        let _ = self.unsaved.subscribe().wait_for(Option::is_none).await;
    }

    /// Hands the newest unsaved refresh token to the hook. One call at a time, so that an older
    /// token never overwrites a newer one.
    async fn save(&self, clock: &Clock) -> bool {
        let _turn = self.saving.lock().await;
        let newest = self.unsaved.borrow().clone();
        let (Some(newest), Some(hook)) = (newest, &self.hook) else {
            return true;
        };
        let call = AssertUnwindSafe(async { (hook.0)(newest.clone()).await }).catch_unwind();
        let saved = tokio::select! {
            saved = call => saved.unwrap_or(false),
            () = clock.sleep(HOOK_TIMEOUT) => false,
        };
        if saved {
            self.unsaved.send_if_modified(|unsaved| {
                let done = unsaved.as_ref() == Some(&newest);
                if done {
                    *unsaved = None;
                }
                done
            });
        }
        saved
    }

    /// Tries again from a task of its own, 1 s to 60 s apart, until the newest one is saved.
    fn save_behind(self: &Arc<Self>, clock: Clock, telemetry: Telemetry) {
        if std::mem::replace(&mut self.state().saver_runs, true) {
            return;
        }
        let running = SaverRuns(self.clone());
        tokio::spawn(async move {
            let record = &running.0;
            let mut pause = FIRST_PAUSE;
            loop {
                clock.sleep(pause).await;
                if record.save(&clock).await {
                    break;
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            telemetry.refresh_token_saved();
        });
    }

    /// Says whether there is another refresh token now.
    fn take_over(&self, response: &mut TokenResponse) -> bool {
        let mut state = self.state();
        state.answer_lost = false;
        state.unspecific_refusals = 0;
        if state.refresh_token.is_some() {
            response.id_token = response.id_token.take().or(state.id_token.take());
        }
        state.id_token = response.id_token.clone();
        let is_new =
            response.refresh_token.is_some() && state.refresh_token != response.refresh_token;
        if is_new {
            state.refresh_token = response.refresh_token.clone();
        }
        is_new
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A refresh token on its way. If the attempt ends before it is back, because its runtime is shut
/// down or the grant panics, the answer is lost (E3).
#[derive(Debug)]
pub(crate) struct Away<'record> {
    record: &'record Record,
    refresh_token: Option<&'record Secret>,
}

impl Away<'_> {
    /// The attempt has an outcome, which says what became of the refresh token.
    pub(crate) fn returned(mut self) {
        self.refresh_token = None;
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

/// Says that no task saves any more, also when the task's runtime is shut down.
struct SaverRuns(Arc<Record>);

impl Drop for SaverRuns {
    fn drop(&mut self) {
        self.0.state().saver_runs = false;
    }
}
