//! F: users and stores, as a program sees them: several token sources stand for several processes.

#![expect(clippy::unwrap_used, reason = "a helper of a test may fail it")]

#[path = "../support/mod.rs"]
mod support;

mod breaker;
mod claims;
mod doubt;
mod fleet;
mod kept_fresh;
mod outage;
mod records;
mod renamed;
mod rotation;
mod sessions;
mod shutdown;
mod sign_ins;
mod sign_outs;
mod silent_store;
mod store_calls;
mod subjects;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest_bearer::{
    Error, ErrorKind, Event, NamedUserClient, RefreshReason, Revocation, Subject, TestClock,
    UserSessions,
};
use support::api::Api;
use support::login::{Login, id_token};
use support::store::{FragileStore, Mode};

/// A login server, an API that takes its tokens, one store, and a clock.
struct World {
    clock: TestClock,
    login: Login,
    api: Api,
    store: FragileStore,
    events: Arc<Mutex<Vec<Event>>>,
}

impl World {
    async fn new() -> Self {
        let clock = TestClock::new();
        let login = Login::start().await;
        let owners = login.owners();
        let api = Api::that_takes(move |token| owners(token).is_some()).await;
        Self {
            store: FragileStore::new(&clock),
            clock,
            login,
            api,
            events: Arc::default(),
        }
    }

    /// A token source as one process has it.
    fn process(&self) -> UserSessions {
        self.builder().build().unwrap()
    }

    fn builder(&self) -> reqwest_bearer::UserSessionsBuilder {
        let events = self.events.clone();
        UserSessions::builder(&self.login.endpoint())
            .store(self.store.clone())
            .clock(&self.clock)
            .jitter(0.0)
            .on_event(move |event| events.lock().unwrap().push(event.clone()))
    }

    fn client(&self, source: &UserSessions) -> NamedUserClient {
        self.api.user_client(source)
    }

    /// Signs the user in; the subject is the user's name, and so is what the id token says.
    async fn sign_in(&self, source: &UserSessions, user: &str) -> Subject {
        let subject = subject(user);
        let tokens = self.login.sign_in(user, self.clock.system_time());
        let tokens = tokens.with_id_token(id_token(user));
        source.sign_in(&subject, tokens).await.unwrap();
        subject
    }

    /// A call that has found its token expired, once its token request is under way.
    async fn refresh_under_way(&self, source: &UserSessions, subject: &Subject) -> Waiting {
        self.advance(601);
        self.login.hold();
        let waiting = tokio::spawn({
            let (source, subject) = (source.clone(), subject.clone());
            async move { token(&source, &subject).await }
        });
        self.login.until_held(1).await;
        waiting
    }

    /// A refresh whose answer comes when the store has become so.
    async fn refresh_while_store_is(&self, mode: Mode, source: &UserSessions, subject: &Subject) {
        let waiting = self.refresh_under_way(source, subject).await;
        self.store.be(mode);
        self.login.release();
        waiting.await.unwrap().unwrap();
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// Why token requests were made, so far.
    fn reasons(&self) -> Vec<RefreshReason> {
        let events = self.events.lock().unwrap();
        let reasons = events.iter().filter_map(|event| match event {
            Event::TokenRequest { reason, .. } => Some(*reason),
            _ => None,
        });
        reasons.collect()
    }

    /// Returns when so many token requests have ended, answered or not: until then sockets are at
    /// work, for which the time must stand still.
    async fn until_ended(&self, token_requests: usize) {
        support::until(async || self.reasons().len() >= token_requests).await;
    }

    /// What becomes of a call whose attempts fail: time passes between them only, since a socket is
    /// at work in each.
    async fn repeated(&self, source: &UserSessions, subject: &Subject) -> Result<String, Error> {
        let call = tokio::spawn({
            let (source, subject) = (source.clone(), subject.clone());
            async move { token(&source, &subject).await }
        });
        let mut ended = self.reasons().len();
        while !call.is_finished() {
            ended += 1;
            support::until(async || self.reasons().len() >= ended || call.is_finished()).await;
            // The pauses are 0.16 s and 0.32 s.
            support::time_passes(&self.clock, Duration::from_millis(400)).await;
        }
        call.await.unwrap()
    }

    fn count_events(&self, counts: impl Fn(&Event) -> bool) -> usize {
        let events = self.events.lock().unwrap();
        events.iter().filter(|event| counts(event)).count()
    }
}

type Waiting = tokio::task::JoinHandle<Result<String, Error>>;

fn subject(id: &str) -> Subject {
    Subject::new(id).unwrap()
}

async fn token(source: &UserSessions, subject: &Subject) -> Result<String, Error> {
    let token = support::soon(source.for_subject(subject).token()).await?;
    Ok(token.expose().to_owned())
}

async fn kind(source: &UserSessions, subject: &Subject) -> ErrorKind {
    token(source, subject).await.unwrap_err().kind()
}

/// Signs the user out; says what the authorization server made of it.
async fn revocation(source: &UserSessions, subject: &Subject) -> Revocation {
    let sign_out = support::soon(source.sign_out(subject)).await.unwrap();
    support::soon(sign_out.outcome()).await
}

/// Returns when no token request of this user is under way.
async fn until_landed(source: &UserSessions, subject: &Subject) {
    let handle = source.for_subject(subject);
    support::until(async || !handle.status().is_refreshing()).await;
}

/// Calls until this is the token.
async fn until_token(source: &UserSessions, subject: &Subject, expected: &str) {
    support::until(async || token(source, subject).await.unwrap() == expected).await;
}
