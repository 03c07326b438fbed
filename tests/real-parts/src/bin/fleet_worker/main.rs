//! One process of a web back end: calls an API for its users at a steady rate, and writes down how
//! each call ended, until its standard input is closed. What it is to do stands in its argument
//! ([`Orders`]).

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use real_parts::fleet::{Call, Line, Orders, Place, now};
use real_parts::{BASIC, shared_store};
use reqwest_bearer::reqwest;
use reqwest_bearer::reqwest::header::HeaderValue;
use reqwest_bearer::{
    ClientCredentials, Error, Event, FileStore, NamedClient, NamedUserClient, Subject, Timeouts,
    TokenEndpoint, TokenSource, TokenStore, UserSessions,
};
use serde_json::Value;
use tokio::task::JoinSet;

use crate::log::Log;
use crate::watched::Watched;

mod log;
mod watched;

/// No call waits longer for a token than half a minute (B13); then the API has to answer.
const LONGEST_CALL: Duration = Duration::from_secs(35);

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let argument = std::env::args().nth(1).expect("orders");
    let orders: Orders = serde_json::from_str(&argument).expect("orders in JSON");
    let log = Arc::new(Log::append_to(&orders.log));
    let api = match &orders.store {
        Place::Redis(url) => Api::new(&orders, &log, shared_store::redis(url)),
        Place::Cluster(urls) => Api::new(&orders, &log, shared_store::cluster(urls).await),
        Place::Postgres(url) => Api::new(&orders, &log, shared_store::postgres(url)),
        Place::File(path) => {
            let store = FileStore::new(path).expect("the path of a file");
            Api::new(&orders, &log, store)
        }
    };

    let mut calls = JoinSet::new();
    tokio::select! {
        () = load(&orders, &api, &log, &mut calls) => {}
        () = until_told_to_end() => {}
    }
    let mut unanswered = 0;
    while let Some(answered) = calls.join_next().await {
        unanswered += usize::from(!answered.expect("a call does not panic"));
    }
    let shutdown = api.shutdown().await;
    log.write(&Line::Ended {
        at: now(),
        unanswered,
        error: shutdown.err().map(|error| kind(&error)),
    });
}

/// The API with the tokens of the users, or of the application itself.
#[derive(Clone)]
enum Api {
    OfApplication(NamedClient),
    OfUsers(NamedUserClient),
}

impl Api {
    /// The token endpoint is told which process asks.
    fn new(orders: &Orders, log: &Arc<Log>, store: impl TokenStore) -> Self {
        let name = format!("fleet-worker/{}", std::process::id());
        let limit = Duration::from_secs_f64(orders.token_request_timeout);
        let endpoint = TokenEndpoint::builder(orders.tokens.authentication())
            .issuer(&orders.issuer)
            .attempt_timeout(limit)
            .http(reqwest::Client::builder().user_agent(name))
            .build()
            .expect("an issuer");
        let store = Watched::new(store, log.clone(), orders.clone());
        let telling = log.clone();
        let told = move |event: &Event| tell(&telling, event);
        if orders.users.is_empty() {
            let source = TokenSource::builder(ClientCredentials::new(endpoint))
                .timeouts(Timeouts::new().attempt(limit))
                .store(store)
                .on_event(told)
                .build()
                .expect("settings that work");
            let api = NamedClient::new("api", &orders.api, source);
            Self::OfApplication(api.expect("the API's URL"))
        } else {
            let users = UserSessions::builder(&endpoint)
                .timeouts(Timeouts::new().attempt(limit))
                .store(store)
                .on_event(told);
            let users = orders.tokens.of(users).build().expect("settings that work");
            let api = NamedUserClient::new("api", &orders.api, &users);
            Self::OfUsers(api.expect("the API's URL"))
        }
    }

    async fn shutdown(&self) -> Result<(), Error> {
        match self {
            Self::OfApplication(api) => api.source().shutdown().await,
            Self::OfUsers(api) => api.users().shutdown().await,
        }
    }

    fn of(&self, user: Option<&str>) -> NamedClient {
        match (self, user) {
            (Self::OfApplication(api), _) => api.clone(),
            (Self::OfUsers(api), user) => {
                let name = user.expect("users have names");
                api.for_subject(&Subject::new(name).expect("a user's name"))
            }
        }
    }
}

fn tell(log: &Log, event: &Event) {
    match event {
        Event::TokenRequest {
            reason,
            outcome,
            duration,
            ..
        } => log.write(&Line::TokenRequest {
            at: now(),
            took: duration.as_secs_f64() * 1000.0,
            reason: reason.to_string(),
            error: outcome.as_ref().err().map(kind),
        }),
        Event::StoreFailed { .. } => log.write(&Line::StoreFailed { at: now() }),
        _ => {}
    }
}

/// One call after the other, at an even pace and in turn for each user who has arrived. No call
/// waits for another one.
async fn load(orders: &Orders, api: &Api, log: &Arc<Log>, calls: &mut JoinSet<bool>) {
    let pace = Duration::from_secs_f64(1.0 / orders.calls_per_second);
    // The processes of a fleet do not go in step.
    tokio::time::sleep(pace.mul_f64(fastrand::f64())).await;
    let mut ticks = tokio::time::interval(pace);
    // A tick for nobody is one for the application.
    let arrivals = orders.users.len().max(1);
    let mut turn = fastrand::usize(..arrivals);
    loop {
        ticks.tick().await;
        turn = (turn + 1) % arrivals;
        let arrives_at = orders.first_user_at + turn as f64 * orders.next_user_after;
        if now() < arrives_at {
            continue;
        }
        let user = orders.users.get(turn).cloned();
        let (api, log) = (api.clone(), log.clone());
        calls.spawn(async move {
            let ended = tokio::time::timeout(LONGEST_CALL, call(api, user)).await;
            ended.map(|call| log.write(&Line::Call(call))).is_ok()
        });
        while calls.try_join_next().is_some_and(|answered| {
            assert!(
                answered.expect("a call does not panic"),
                "a call had no outcome within {LONGEST_CALL:?}"
            );
            true
        }) {}
    }
}

async fn call(api: Api, user: Option<String>) -> Call {
    let at = now();
    let api = api.of(user.as_deref());
    let mut call = Call {
        at,
        took: 0.0,
        user: user.unwrap_or_default(),
        status: None,
        owner: None,
        expires_at: None,
        error: None,
        transient: false,
        message: None,
    };
    let mut note = |error: &Error| {
        call.error = Some(kind(error));
        call.transient = error.is_transient();
        call.message = Some(error.to_string());
    };
    match api.get("echo").send().await {
        Ok(answer) => {
            if let Some(reason) = answer.extensions().get::<Error>() {
                note(reason);
            }
            call.status = Some(answer.status().as_u16());
            call.expires_at =
                seconds(answer.headers().get("token-expires-at")).map(|at| at * 1000.0);
            let body: Value = answer.json().await.unwrap_or_default();
            // A token of the application is nobody's.
            call.owner = body["sub"].as_str().map(ToOwned::to_owned).or_else(|| {
                let is_ours = call.user.is_empty() && body["client_id"] == BASIC.id;
                is_ours.then(String::new)
            });
        }
        Err(error) => match Error::find_in(&error) {
            Some(reason) => note(reason),
            None => call.message = Some(format!("{error:?}")),
        },
    }
    call.took = now() - at;
    call
}

fn seconds(header: Option<&HeaderValue>) -> Option<f64> {
    header?.to_str().ok()?.parse().ok()
}

fn kind(error: &Error) -> String {
    format!("{:?}", error.kind())
}

async fn until_told_to_end() {
    let closed = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new()));
    closed
        .await
        .expect("reading does not panic")
        .expect("standard input");
}
