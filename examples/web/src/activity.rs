//! What the client did behind the calls, for people who want to watch it.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use reqwest_bearer::Event;

/// Lines that are kept.
const MOST_LINES: usize = 8;

/// Counts token requests, and keeps the last events. Events hold no token and no subject.
#[derive(Default)]
pub(crate) struct Activity(Mutex<Books>);

#[derive(Default)]
struct Books {
    counts: Counts,
    lines: VecDeque<Line>,
}

/// Since this process began, for all users together.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) token_requests: usize,
    /// Token requests that brought one.
    pub(crate) renewals: usize,
    /// Tokens that the API refused although they were thought to be good.
    pub(crate) refusals: usize,
}

/// One thing that happened.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) at: SystemTime,
    pub(crate) text: String,
}

impl Activity {
    /// Takes note of an event, and prints it.
    pub(crate) fn note(&self, event: &Event) {
        let mut books = self.lock();
        match event {
            Event::TokenRequest { outcome, .. } => {
                books.counts.token_requests += 1;
                books.counts.renewals += usize::from(outcome.is_ok());
            }
            Event::TokenRefused { .. } => books.counts.refusals += 1,
            _ => {}
        }
        let text = in_words(event);
        println!("{text}");
        if books.lines.len() >= MOST_LINES {
            books.lines.pop_back();
        }
        let at = SystemTime::now();
        books.lines.push_front(Line { at, text });
    }

    pub(crate) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// The newest first.
    pub(crate) fn lines(&self) -> Vec<Line> {
        self.lock().lines.iter().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn in_words(event: &Event) -> String {
    match event {
        Event::TokenRequest {
            reason,
            outcome: Ok(()),
            duration,
            ..
        } => {
            format!(
                "token request (reason: {reason}) succeeded in {} ms",
                duration.as_millis()
            )
        }
        Event::TokenRequest {
            reason,
            outcome: Err(error),
            ..
        } => {
            format!("token request (reason: {reason}) failed: {error}")
        }
        Event::TokenRefused { .. } => "the API refused the access token".to_owned(),
        other => format!("{other:?}"),
    }
}
