//! Where an issuer's endpoints are: fetched when first needed, kept for a day.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::clock::{Clock, Moment, system_time};
use crate::endpoint::document::{Document, Issuer};
use crate::endpoint::transport::Transport;
use crate::error::{Delivery, Error, ErrorKind};

/// How long a document is used before it is fetched again.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);
const FIRST_BACK_OFF: Duration = Duration::from_secs(1);
/// Waiting mends these failures, so a server that is up again is found soon.
const LONGEST_TRANSIENT_BACK_OFF: Duration = Duration::from_secs(5);
/// Somebody has to mend these.
const LONGEST_BACK_OFF: Duration = Duration::from_secs(30);

/// The discovery of one issuer, shared by all clones of its endpoint.
#[derive(Debug)]
pub(crate) struct Discovery {
    issuer: Issuer,
    transport: Transport,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    found: Option<(Document, Moment)>,
    failed: Option<Failure>,
    /// The fetch that is under way. Its sender lives in a task; if the task's runtime is shut
    /// down, the channel closes without an outcome.
    fetch: Option<watch::Receiver<Option<Outcome>>>,
}

#[derive(Clone, Debug)]
struct Failure {
    error: Error,
    at: Moment,
    pause: Duration,
    /// What the pause would be without a `Retry-After`: this is what doubles.
    back_off: Duration,
}

type Outcome = Result<Document, Error>;

enum Next {
    Now(Outcome),
    Wait(watch::Receiver<Option<Outcome>>),
}

impl Discovery {
    pub(crate) fn new(issuer: Issuer, transport: Transport, clock: Clock) -> Self {
        Self {
            issuer,
            transport,
            clock,
            state: Mutex::default(),
        }
    }

    pub(crate) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The issuer's document: the kept one, or the outcome of the one fetch that is under way.
    ///
    /// # Errors
    /// As the fetch failed; for a while after that the same error at once.
    pub(crate) async fn document(self: &Arc<Self>) -> Outcome {
        // A fetch without an outcome belonged to a runtime that is gone: the second round starts
        // one on this runtime. More rounds would mean that this one is going, too.
        for _ in 0..2 {
            let mut fetch = match self.next() {
                Next::Now(outcome) => return outcome,
                Next::Wait(fetch) => fetch,
            };
            if let Ok(outcome) = fetch.wait_for(Option::is_some).await
                && let Some(outcome) = outcome.as_ref()
            {
                return outcome.clone();
            }
        }
        Err(not_sent(Error::new(
            ErrorKind::Unavailable,
            "the runtime that fetched the discovery document was shut down",
        )))
    }

    fn next(self: &Arc<Self>) -> Next {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((document, at)) = &state.found
            && now.since(*at) < KEPT_FOR
        {
            return Next::Now(Ok(document.clone()));
        }
        if let Some(failure) = &state.failed
            && now.since(failure.at) < failure.pause
        {
            return Next::Now(state.in_place_of(failure));
        }
        if let Some(fetch) = &state.fetch
            && fetch.has_changed().is_ok()
        {
            return Next::Wait(fetch.clone());
        }
        match self.start() {
            Ok(fetch) => {
                state.fetch = Some(fetch.clone());
                Next::Wait(fetch)
            }
            Err(error) => Next::Now(Err(error)),
        }
    }

    /// Starts a task, so that a caller who goes away does not take the others' fetch along.
    fn start(self: &Arc<Self>) -> Result<watch::Receiver<Option<Outcome>>, Error> {
        let runtime = Handle::try_current().map_err(|_| {
            not_sent(Error::settings(
                "there is no tokio runtime here; call this from a task",
            ))
        })?;
        let (sender, receiver) = watch::channel(None);
        let own = Arc::clone(self);
        runtime.spawn(async move {
            let fetched = AssertUnwindSafe(own.issuer.fetch(&own.transport, &own.clock))
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Panicked, "the discovery panicked")));
            sender.send_replace(Some(own.land(fetched)));
        });
        Ok(receiver)
    }

    fn land(&self, fetched: Outcome) -> Outcome {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.fetch = None;
        let error = match fetched {
            Ok(document) => {
                state.found = Some((document.clone(), now));
                state.failed = None;
                return Ok(document);
            }
            Err(error) => error,
        };
        let failure = Failure::new(error, now, state.failed.as_ref());
        let outcome = state.in_place_of(&failure);
        state.failed = Some(failure);
        outcome
    }
}

impl State {
    /// A document that is too old is better than none: endpoints hardly ever move.
    fn in_place_of(&self, failure: &Failure) -> Outcome {
        match &self.found {
            Some((document, _)) => Ok(document.clone()),
            None => Err(failure.error.clone()),
        }
    }
}

impl Failure {
    fn new(error: Error, now: Moment, before: Option<&Self>) -> Self {
        let longest = if error.is_transient() {
            LONGEST_TRANSIENT_BACK_OFF
        } else {
            LONGEST_BACK_OFF
        };
        let back_off = match before {
            Some(before) => before.back_off.saturating_mul(2).min(longest),
            None => FIRST_BACK_OFF,
        };
        let pause = back_off.max(error.retry_after().unwrap_or_default());
        let retry_at = system_time(now.wall.saturating_add(pause));
        Self {
            error: not_sent(error).with_retry_at(retry_at),
            at: now,
            pause,
            back_off,
        }
    }
}

/// Whatever became of the discovery, the token request itself was not sent.
fn not_sent(error: Error) -> Error {
    error.delivery(Delivery::NotSent)
}
