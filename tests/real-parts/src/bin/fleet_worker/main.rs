//! One process of a web back end: calls an API for its users at a steady rate, and writes down how
//! each call ended, until its standard input is closed. What it is to do stands in its argument
//! ([`Orders`]).

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use real_parts::BASIC;
use real_parts::fleet::{Call, Line, Orders, Place, now};
use reqwest_bearer::reqwest;
use reqwest_bearer::reqwest::header::HeaderValue;
use reqwest_bearer::{
    ClientAuthentication, ClientCredentials, Error, Event, FileStore, NamedClient, Protection,
    RedisStore, RefreshTokenGrant, Subject, TokenEndpoint, TokenSource, TokenStore,
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
    let source = match &orders.store {
        Place::Redis(url) => {
            let store = RedisStore::open(url, Protection::plain_text()).expect("a URL of Redis");
            source(&orders, &log, store)
        }
        Place::File(path) => {
            let store = FileStore::new(path).expect("the path of a file");
            source(&orders, &log, store)
        }
    };
    let api = NamedClient::new("api", &orders.api, &source).expect("the API's URL");

    let mut calls = JoinSet::new();
    tokio::select! {
        () = load(&orders, &api, &log, &mut calls) => {}
        () = until_told_to_end() => {}
    }
    let mut unanswered = 0;
    while let Some(answered) = calls.join_next().await {
        unanswered += usize::from(!answered.expect("a call does not panic"));
    }
    let shutdown = source.shutdown().await;
    log.write(&Line::Ended {
        at: now(),
        unanswered,
        error: shutdown.err().map(|error| kind(&error)),
    });
}

/// The tokens of the users, or of the application itself. The token endpoint is told which process
/// asks.
fn source(orders: &Orders, log: &Arc<Log>, store: impl TokenStore) -> TokenSource {
    let client = ClientAuthentication::client_secret_basic(BASIC.id, BASIC.secret);
    let name = format!("fleet-worker/{}", std::process::id());
    let endpoint = TokenEndpoint::builder(client)
        .issuer(&orders.issuer)
        .attempt_timeout(Duration::from_secs_f64(orders.token_request_timeout))
        .http(reqwest::Client::builder().user_agent(name))
        .build()
        .expect("an issuer");
    let builder = if orders.users.is_empty() {
        TokenSource::builder(ClientCredentials::new(endpoint))
    } else {
        TokenSource::builder(RefreshTokenGrant::for_users(endpoint))
    };
    let telling = log.clone();
    builder
        .attempt_timeout(Duration::from_secs_f64(orders.token_request_timeout))
        .store(Watched::new(store, log.clone(), orders.clone()))
        .on_event(move |event| tell(&telling, event))
        .build()
        .expect("settings that work")
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
async fn load(orders: &Orders, api: &NamedClient, log: &Arc<Log>, calls: &mut JoinSet<bool>) {
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

async fn call(api: NamedClient, user: Option<String>) -> Call {
    let at = now();
    let api = match &user {
        Some(user) => api.for_subject(&Subject::new(user).expect("a user's name")),
        None => api,
    };
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
