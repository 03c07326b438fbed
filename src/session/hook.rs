//! The user's hook for new refresh tokens: called before anybody sees the access token that came
//! along, and called again until it has succeeded.

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::clock::Clock;
use crate::error::Error;
use crate::secret::Secret;
use crate::session::guarded::guarded;
use crate::session::retries::Retries;
use crate::telemetry::{Telemetry, UnsavedToken};

/// What errors call it.
const THE_HOOK: &str = "the hook for new refresh tokens";

type Saved = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// Called with each new refresh token; says whether it is safe now, or why not.
#[derive(Clone)]
pub(crate) struct HookFn(Arc<dyn Fn(Secret) -> Saved + Send + Sync>);

impl HookFn {
    pub(crate) fn new<F, S, E>(hook: F) -> Self
    where
        F: Fn(Secret) -> S + Send + Sync + 'static,
        S: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<Box<dyn StdError + Send + Sync>>,
    {
        Self(Arc::new(move |refresh_token| {
            let saving = hook(refresh_token);
            Box::pin(async move {
                saving.await.map_err(|error| {
                    Error::store(format!("{THE_HOOK} failed")).with_boxed_source(error.into())
                })
            })
        }))
    }
}

impl fmt::Debug for HookFn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HookFn")
    }
}

/// The hook, and what it has not taken yet.
#[derive(Debug)]
pub(crate) struct Hook {
    function: HookFn,
    /// The newest refresh token that the hook has not taken.
    unsaved: watch::Sender<Option<Secret>>,
    /// One call of the hook at a time, so that an older token never overwrites a newer one. While the hook
    /// fails, what is unsaved is counted.
    turn: tokio::sync::Mutex<Option<UnsavedToken>>,
    /// Whether a task tries again.
    is_at_it: Mutex<bool>,
}

impl Hook {
    pub(crate) fn new(function: HookFn) -> Self {
        Self {
            function,
            unsaved: watch::Sender::new(None),
            turn: tokio::sync::Mutex::new(None),
            is_at_it: Mutex::new(false),
        }
    }

    /// There is a newer refresh token to be saved.
    pub(crate) fn offer(&self, refresh_token: &Secret) {
        self.unsaved.send_replace(Some(refresh_token.clone()));
    }

    /// This refresh token need not be saved any more: it is, or it is dead, and another program's may be at
    /// its place by the time the hook takes it.
    pub(crate) fn withdraw(&self, refresh_token: &Secret) {
        self.unsaved.send_if_modified(|unsaved| {
            let is_unsaved = unsaved.as_ref() == Some(refresh_token);
            if is_unsaved {
                *unsaved = None;
            }
            is_unsaved
        });
    }

    /// Returns when the hook has taken the newest refresh token, or has failed once: it is then
    /// called again from a task of its own. Also takes up what a runtime that is gone has left.
    pub(crate) async fn save(self: &Arc<Self>, clock: &Clock, telemetry: &Telemetry) {
        if let Err(error) = self.call(clock, telemetry).await {
            telemetry.refresh_token_unsaved(Some(&error.of_token_source(&telemetry.source)));
            self.try_again(clock.clone(), telemetry.clone());
        }
    }

    /// Returns when the hook has taken the newest refresh token.
    pub(crate) async fn until_saved(self: &Arc<Self>, clock: &Clock, telemetry: &Telemetry) {
        let is_at_it = *self.is_at_it();
        if !is_at_it {
            self.save(clock, telemetry).await;
        }
        // The sender is ours, so the channel cannot be closed.
        let _ = self.unsaved.subscribe().wait_for(Option::is_none).await;
    }

    /// Hands the newest unsaved refresh token to the hook; `Ok` if it is safe.
    async fn call(&self, clock: &Clock, telemetry: &Telemetry) -> Result<(), Error> {
        let mut counted = self.turn.lock().await;
        let Some(newest) = self.unsaved.borrow().clone() else {
            *counted = None;
            return Ok(());
        };
        let call = async { (self.function.0)(newest.clone()).await };
        let saved = guarded(clock, THE_HOOK, call).await;
        if saved.is_ok() {
            self.withdraw(&newest);
            *counted = None;
        } else {
            counted.get_or_insert_with(|| UnsavedToken::count(telemetry));
        }
        saved
    }

    /// Until the newest one is saved, or the program has dropped the source.
    fn try_again(self: &Arc<Self>, clock: Clock, telemetry: Telemetry) {
        if std::mem::replace(&mut *self.is_at_it(), true) {
            return;
        }
        let mut task = Task(Some(self.clone()));
        tokio::spawn(async move {
            let mut retries = Retries::new();
            while let Some(hook) = &task.0 {
                clock.sleep(retries.pause()).await;
                if hook.call(&clock, &telemetry).await.is_ok() {
                    if task.rest() {
                        telemetry.refresh_token_saved();
                    }
                } else if !retries.go_on(Arc::strong_count(hook) == 1) {
                    return;
                }
            }
        });
    }

    fn is_at_it(&self) -> MutexGuard<'_, bool> {
        self.is_at_it.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The task that tries again, until there is nothing left to save.
struct Task(Option<Arc<Hook>>);

impl Task {
    /// Ends the task, unless another refresh token has come meanwhile: whoever brought it saw a
    /// task at it, and left it to that one.
    fn rest(&mut self) -> bool {
        let Some(hook) = &self.0 else {
            return true;
        };
        {
            let mut is_at_it = hook.is_at_it();
            if hook.unsaved.borrow().is_some() {
                return false;
            }
            *is_at_it = false;
        }
        self.0 = None;
        true
    }
}

impl Drop for Task {
    /// Its runtime is gone: another one may take over.
    fn drop(&mut self) {
        if let Some(hook) = &self.0 {
            *hook.is_at_it() = false;
        }
    }
}
