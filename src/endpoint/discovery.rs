//! Where an issuer's endpoints are: fetched when first needed, kept for a day.

use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use reqwest::Url;
use tokio::runtime::Handle;

use crate::clock::{Clock, Moment};
use crate::cooldown::Cooldown;
use crate::endpoint::document::{Document, Issuer, Naming};
use crate::endpoint::transport::Transport;
use crate::error::{Error, ErrorKind, HowFar};
use crate::flight::{self, Flight, Waiter};
use crate::origin::same_origin;

/// How long a document is used before it is fetched again.
const KEPT_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// The discovery of one issuer, shared by all clones of its endpoint.
#[derive(Debug)]
pub(crate) struct Discovery {
    issuer: Issuer,
    transport: Transport,
    clock: Clock,
    state: Mutex<State>,
    /// That of the other document, once it has been needed.
    other: Mutex<Option<Arc<Self>>>,
}

#[derive(Debug, Default)]
struct State {
    found: Option<(Arc<Document>, Moment)>,
    failed: Cooldown,
    fetch: Option<Flight<Outcome>>,
}

type Outcome = Result<Arc<Document>, Error>;

enum Next {
    Now(Outcome),
    Wait(Waiter<Outcome>),
}

impl Discovery {
    pub(crate) fn new(issuer: Issuer, transport: Transport, clock: Clock) -> Self {
        Self {
            issuer,
            transport,
            clock,
            state: Mutex::default(),
            other: Mutex::default(),
        }
    }

    pub(crate) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The issuer's document: the kept one, or the outcome of the one fetch that is under way. One that
    /// is more than a day old serves while the next one is fetched behind, however long that takes.
    ///
    /// # Errors
    /// As the fetch failed; for a while after that the same error at once.
    pub(crate) async fn document(self: &Arc<Self>) -> Outcome {
        // A fetch without an outcome belonged to a runtime that is gone: the second round starts
        // one on this runtime. More rounds would mean that this one is going, too.
        for _ in 0..2 {
            let fetch = match self.next() {
                Next::Now(outcome) => return outcome,
                Next::Wait(fetch) => fetch,
            };
            if let Some(outcome) = fetch.outcome().await {
                return outcome;
            }
        }
        let error = Error::new(
            ErrorKind::Unavailable,
            "the runtime that fetched the discovery document was shut down",
        );
        Err(not_sent(error.at_server(self.issuer.place())))
    }

    /// The token endpoint, if it has been found, otherwise where it is looked for.
    pub(crate) fn server(&self) -> Url {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &state.found {
            Some((document, _)) => document.token_endpoint.clone(),
            None => self.issuer.place().clone(),
        }
    }

    /// The issuer as the settings name it, unless the document that was found names another, be it by one
    /// `/` alone. None is fetched for that.
    pub(crate) fn issuer_to_name(&self) -> Option<String> {
        let named = self.issuer.name()?;
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let found = state.found.as_ref();
        let agrees = found.is_none_or(|(document, _)| document.issuer == named);
        agrees.then(|| named.to_owned())
    }

    /// Where tokens are revoked, by clients with a certificate or without.
    ///
    /// # Errors
    /// As for [`endpoint_of_either`](Self::endpoint_of_either).
    pub(crate) async fn revocation_endpoint(
        self: &Arc<Self>,
        by_certificate: bool,
    ) -> Result<Option<Url>, Error> {
        let named = |document: &Document| document.revocation_endpoint_for(by_certificate).cloned();
        self.endpoint_of_either(by_certificate, named).await
    }

    /// Where a device asks for its codes (RFC 8628 section 3.1), likewise.
    ///
    /// # Errors
    /// As for [`endpoint_of_either`](Self::endpoint_of_either).
    pub(crate) async fn device_endpoint(
        self: &Arc<Self>,
        by_certificate: bool,
    ) -> Result<Option<Url>, Error> {
        let named = |document: &Document| document.device_endpoint_for(by_certificate).cloned();
        self.endpoint_of_either(by_certificate, named).await
    }

    /// An endpoint that the document names, or else another document of the same issuer, which is asked for
    /// when that is needed and not before. There it has to be at the origin of the token endpoint, which is
    /// where our client authentication belongs.
    ///
    /// # Errors
    /// If a document cannot be had; that there is no other one is no error.
    async fn endpoint_of_either(
        self: &Arc<Self>,
        by_certificate: bool,
        named: impl Fn(&Document) -> Option<Url>,
    ) -> Result<Option<Url>, Error> {
        let document = self.document().await?;
        let known = named(&document);
        let place = match (known, &document.other_place) {
            (None, Some(place)) => place.clone(),
            (known, _) => return Ok(known),
        };
        let other = self.other(&document.issuer, place)?;
        // Boxed, since it is a future of this very kind.
        match Box::pin(other.document()).await {
            Ok(other) => {
                let token_endpoint = document.token_endpoint_for(by_certificate);
                Ok(named(&other).filter(|url| same_origin(url, token_endpoint)))
            }
            Err(error) if error.kind() == ErrorKind::Protocol => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn other(&self, issuer: &str, place: Url) -> Result<Arc<Self>, Error> {
        let mut other = self.other.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = other.as_ref().filter(|known| known.issuer.text() == issuer) {
            return Ok(known.clone());
        }
        let plain_http = self.issuer.plain_http();
        let issuer = Issuer::at(place, Some(issuer), Naming::Exactly, plain_http)?;
        let discovery = Self::new(issuer, self.transport.clone(), self.clock.clone());
        Ok(other.insert(Arc::new(discovery)).clone())
    }

    fn next(self: &Arc<Self>) -> Next {
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
            None => self.start().map(|(fetch, waiter)| {
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
    fn start(self: &Arc<Self>) -> Result<(Flight<Outcome>, Waiter<Outcome>), Error> {
        let runtime = Handle::try_current().map_err(|_| {
            not_sent(Error::settings(
                "there is no tokio runtime here; call this from a task",
            ))
        })?;
        let (landing, fetch, waiter) = flight::begin();
        let own = Arc::clone(self);
        runtime.spawn(async move {
            let fetched = AssertUnwindSafe(own.issuer.fetch(&own.transport, &own.clock))
                .catch_unwind()
                .await
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Panicked, "the discovery panicked")));
            landing.land(own.land(fetched));
        });
        Ok((fetch, waiter))
    }

    fn land(&self, fetched: Result<Document, Error>) -> Outcome {
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
                let error = not_sent(error).at_server(self.issuer.place());
                let error = state.failed.fail(now, error);
                state.in_place_of(error)
            }
        }
    }
}

impl State {
    /// A document that is too old is better than none: endpoints hardly ever move.
    fn in_place_of(&self, error: Error) -> Outcome {
        match &self.found {
            Some((document, _)) => Ok(document.clone()),
            None => Err(error),
        }
    }
}

/// Whatever became of the discovery, the token request itself was not sent.
fn not_sent(error: Error) -> Error {
    error.got(HowFar::NotSent)
}
