//! What a token source tells while it works: printed as it comes, and kept for the checks.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest_bearer::{Event, RefreshReason};

/// The token requests of one source.
#[derive(Clone, Default)]
pub(crate) struct TokenRequests(Arc<Mutex<Vec<TokenRequest>>>);

struct TokenRequest {
    reason: RefreshReason,
    failed: bool,
}

impl TokenRequests {
    /// The hook for `TokenSource::builder(..).on_event(..)`.
    pub(crate) fn hear(&self, event: &Event) {
        match event {
            Event::TokenRequest {
                reason,
                outcome,
                duration,
                ..
            } => {
                let became = match outcome {
                    Ok(()) => "a token".to_owned(),
                    Err(error) => error.to_string(),
                };
                let millis = duration.as_millis();
                println!("   event   token request ({reason}): {became}, after {millis} ms");
                self.with(|requests| {
                    requests.push(TokenRequest {
                        reason: *reason,
                        failed: outcome.is_err(),
                    });
                });
            }
            Event::TokenRefused { .. } => println!("   event   the API refused the token"),
            _ => {}
        }
    }

    /// All that were tried.
    pub(crate) fn count(&self) -> usize {
        self.with(|requests| requests.len())
    }

    /// Those that were tried for this reason.
    pub(crate) fn because(&self, reason: RefreshReason) -> usize {
        self.with(|requests| requests.iter().filter(|one| one.reason == reason).count())
    }

    /// Those that brought no token.
    pub(crate) fn failed(&self) -> usize {
        self.with(|requests| requests.iter().filter(|one| one.failed).count())
    }

    fn with<T>(&self, look: impl FnOnce(&mut Vec<TokenRequest>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
