//! A grant in this process that does what a test says, one request at a time if need be.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest_bearer::{
    Error, GrantFn, GrantRequest, TestClock, TokenResponse, TokenSource, TokenSourceBuilder,
};
use tokio::sync::watch;

use super::soon;

/// Issues `token-1`, `token-2`, ... of 600 s, unless it was told otherwise.
#[derive(Clone)]
pub(crate) struct Issuer(Arc<State>);

struct State {
    requests: watch::Sender<usize>,
    /// Requests up to this number are answered.
    answered: watch::Sender<usize>,
    lifetime: Mutex<Duration>,
    script: Mutex<VecDeque<Answer>>,
    otherwise: Mutex<Option<Answer>>,
    asked: Mutex<Vec<GrantRequest>>,
}

/// What the issuer does with one request.
#[derive(Clone)]
pub(crate) enum Answer {
    Respond(Box<TokenResponse>),
    Fail(Error),
    Panic,
    Hang,
}

impl Issuer {
    pub(crate) fn new() -> Self {
        Self(Arc::new(State {
            requests: watch::Sender::new(0),
            answered: watch::Sender::new(usize::MAX),
            lifetime: Mutex::new(Duration::from_secs(600)),
            script: Mutex::default(),
            otherwise: Mutex::default(),
            asked: Mutex::default(),
        }))
    }

    /// The lifetime of the tokens from now on.
    pub(crate) fn lifetime(&self, seconds: f64) -> &Self {
        *self.0.lifetime.lock().unwrap() = Duration::from_secs_f64(seconds);
        self
    }

    /// The next request that has no answer yet gets this one.
    pub(crate) fn then(&self, answer: impl Into<Answer>) -> &Self {
        self.0.script.lock().unwrap().push_back(answer.into());
        self
    }

    /// All requests that have no answer yet get this one.
    pub(crate) fn always(&self, answer: impl Into<Answer>) -> &Self {
        *self.0.otherwise.lock().unwrap() = Some(answer.into());
        self
    }

    /// All requests get tokens again.
    pub(crate) fn mend(&self) -> &Self {
        *self.0.otherwise.lock().unwrap() = None;
        self
    }

    /// Requests that come from now on wait until they are released.
    pub(crate) fn hold(&self) -> &Self {
        self.0.answered.send_replace(self.requests());
        self
    }

    /// One of the waiting requests goes on, or the next one that comes.
    pub(crate) fn release_one(&self) -> &Self {
        self.0.answered.send_modify(|answered| *answered += 1);
        self
    }

    pub(crate) fn release(&self) -> &Self {
        self.0.answered.send_replace(usize::MAX);
        self
    }

    /// How many requests came so far.
    pub(crate) fn requests(&self) -> usize {
        *self.0.requests.borrow()
    }

    /// Returns when so many requests have come.
    pub(crate) async fn until_requests(&self, count: usize) {
        let mut requests = self.0.requests.subscribe();
        soon(requests.wait_for(|seen| *seen >= count))
            .await
            .unwrap();
    }

    /// What the requests were.
    pub(crate) fn asked(&self) -> Vec<GrantRequest> {
        self.0.asked.lock().unwrap().clone()
    }

    pub(crate) fn grant(&self) -> GrantFn {
        let issuer = self.clone();
        GrantFn::new("scripted", move |request| {
            let issuer = issuer.clone();
            async move { issuer.answer(request).await }
        })
    }

    /// A source without jitter whose time is the clock's.
    pub(crate) fn source(&self, clock: &TestClock) -> TokenSource {
        self.builder(clock).build().unwrap()
    }

    pub(crate) fn builder(&self, clock: &TestClock) -> TokenSourceBuilder {
        TokenSource::builder(self.grant()).clock(clock).jitter(0.0)
    }

    async fn answer(&self, request: GrantRequest) -> Result<TokenResponse, Error> {
        self.0.asked.lock().unwrap().push(request);
        let answer = self.0.script.lock().unwrap().pop_front();
        let mut number = 0;
        self.0.requests.send_modify(|requests| {
            *requests += 1;
            number = *requests;
        });
        let mut answered = self.0.answered.subscribe();
        answered.wait_for(|last| number <= *last).await.unwrap();
        let answer = answer.or_else(|| self.0.otherwise.lock().unwrap().clone());
        match answer {
            None => Ok(TokenResponse::bearer(format!("token-{number}"))
                .with_expires_in(*self.0.lifetime.lock().unwrap())),
            Some(Answer::Respond(response)) => Ok(*response),
            Some(Answer::Fail(error)) => Err(error),
            Some(Answer::Panic) => panic!("on purpose"),
            Some(Answer::Hang) => pending().await,
        }
    }
}

impl From<TokenResponse> for Answer {
    fn from(response: TokenResponse) -> Self {
        Self::Respond(Box::new(response))
    }
}

impl From<Error> for Answer {
    fn from(error: Error) -> Self {
        Self::Fail(error)
    }
}

/// A failure that is not repeated within a flight.
pub(crate) fn failure() -> Error {
    Error::protocol("scripted failure")
}
