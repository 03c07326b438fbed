//! What is fetched when it is first needed, by one fetch for all who ask, and kept for a day.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use reqwest::Url;
use tokio::runtime::Handle;

use crate::clock::{Clock, Moment};
use crate::cooldown::Cooldown;
use crate::error::{Error, ErrorKind, HowFar};
use crate::flight::{self, Flight, Waiter};

/// How long a document is used before it is fetched again.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// A document that a server has.
#[derive(Debug)]
pub(crate) struct Kept<T> {
    /// What it is called in messages.
    what: &'static str,
    /// Where it is looked for first.
    place: Url,
    clock: Clock,
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    found: Option<(Arc<T>, Moment)>,
    failed: Cooldown,
    fetch: Option<Flight<Outcome<T>>>,
}

pub(crate) type Outcome<T> = Result<Arc<T>, Error>;

type Started<T> = (Flight<Outcome<T>>, Waiter<Outcome<T>>);

enum Next<T> {
    Now(Outcome<T>),
    Wait(Waiter<Outcome<T>>),
}

impl<T: Send + Sync + 'static> Kept<T> {
    pub(crate) fn new(what: &'static str, place: Url, clock: Clock) -> Self {
        Self {
            what,
            place,
            clock,
            state: Mutex::new(State {
                found: None,
                failed: Cooldown::NONE,
                fetch: None,
            }),
        }
    }

    /// The kept one, or the outcome of the one fetch that is under way. One that is more than a day old
    /// serves while the next one is fetched behind, however long that takes.
    ///
    /// # Errors
    /// As the fetch failed; for a while after that the same error at once.
    pub(crate) async fn get<F>(self: &Arc<Self>, fetch: impl Fn() -> F) -> Outcome<T>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        // A fetch without an outcome belonged to a runtime that is gone: the second round starts
        // one on this runtime. More rounds would mean that this one is going, too.
        for _ in 0..2 {
            let fetch = match self.next(&fetch) {
                Next::Now(outcome) => return outcome,
                Next::Wait(fetch) => fetch,
            };
            if let Some(outcome) = fetch.outcome().await {
                return outcome;
            }
        }
        let error = Error::new(
            ErrorKind::Unavailable,
            format!("the runtime that fetched the {} was shut down", self.what),
        );
        Err(not_sent(error.at_server(&self.place)))
    }

    /// The last one that was found. None is fetched for that.
    pub(crate) fn found(&self) -> Option<Arc<T>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.found.as_ref().map(|(document, _)| document.clone())
    }

    /// Has the next one who asks wait for a new one.
    pub(crate) fn forget(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.found = None;
        state.failed = Cooldown::NONE;
    }

    fn next<F>(self: &Arc<Self>, fetch: impl Fn() -> F) -> Next<T>
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found = state.found.clone();
        if let Some((document, at)) = &found
            && now.since(*at) < KEPT_FOR
        {
            return Next::Now(Ok(document.clone()));
        }
        if let Some(error) = state.failed.rest(now) {
            return Next::Now(state.in_place_of(error));
        }
        let under_way = state.fetch.as_ref().and_then(Flight::join);
        let fetch = match under_way {
            Some(waiter) => Ok(waiter),
            None => self.start(fetch()).map(|(fetch, waiter)| {
                state.fetch = Some(fetch);
                waiter
            }),
        };
        match (found, fetch) {
            // A metadata host that hangs costs no token request anything.
            (Some((document, _)), _) => Next::Now(Ok(document)),
            (None, Ok(waiter)) => Next::Wait(waiter),
            (None, Err(error)) => Next::Now(Err(error)),
        }
    }

    /// Starts a task, so that a caller who goes away does not take the others' fetch along.
    fn start(
        self: &Arc<Self>,
        fetch: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<Started<T>, Error> {
        let runtime = Handle::try_current().map_err(|_| {
            not_sent(Error::settings(
                "there is no tokio runtime here; call this from a task",
            ))
        })?;
        let (landing, flight, waiter) = flight::begin();
        let own = Arc::clone(self);
        runtime.spawn(async move {
            let fetched = AssertUnwindSafe(fetch).catch_unwind().await;
            let fetched = fetched.unwrap_or_else(|_| {
                let message = format!("the fetch of the {} panicked", own.what);
                Err(Error::new(ErrorKind::Panicked, message))
            });
            landing.land(own.land(fetched));
        });
        Ok((flight, waiter))
    }

    fn land(&self, fetched: Result<T, Error>) -> Outcome<T> {
        let now = self.clock.now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.fetch = None;
        match fetched {
            Ok(document) => {
                let document = Arc::new(document);
                state.found = Some((document.clone(), now));
                state.failed = Cooldown::default();
                Ok(document)
            }
            Err(error) => {
                let error = not_sent(error).at_server(&self.place);
                let error = state.failed.fail(now, error);
                state.in_place_of(error)
            }
        }
    }
}

impl<T> State<T> {
    /// A document that is too old is better than none: endpoints hardly ever move.
    fn in_place_of(&self, error: Error) -> Outcome<T> {
        match &self.found {
            Some((document, _)) => Ok(document.clone()),
            None => Err(error),
        }
    }
}

/// Whatever became of the fetch, the request that needed the document was not sent.
fn not_sent(error: Error) -> Error {
    error.got(HowFar::NotSent)
}
