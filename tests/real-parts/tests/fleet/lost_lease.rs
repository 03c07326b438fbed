//! A lease that runs out under its holder: the process is stopped (SIGSTOP) while its token request
//! is under way and goes on later, or Redis is away and it cannot save what came.
//!
//! The server is a scripted one: it has to hold an answer back, and it must not detect reuse, since
//! one that does would rightly end the family here. Nobody can tell a process that is stopped from
//! one that is dead.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use real_parts::fleet::{Line, Orders, Place, Tokens, now};
use real_parts::{Folder, RedisServer, Worker};
use reqwest_bearer::{
    ClientAuthentication, Protection, RedisStore, Subject, TokenEndpoint, TokenSet, UserSessions,
};
use serde_json::json;
use tokio::sync::{Semaphore, watch};

use crate::http_server::{HttpServer, Reply, Seen};

/// More than a lease of 10 s and a refresh take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A token endpoint that issues `access-1` and `refresh-1`, `access-2` and `refresh-2`, and so on,
/// whatever refresh token is sent, and holds the first answer back; and an API that takes them all.
#[derive(Clone)]
struct Script(Arc<State>);

struct State {
    /// What was issued so far: who asked, with which refresh token.
    issued: watch::Sender<Vec<(String, String)>>,
    /// Who sent which access token to the API.
    seen: watch::Sender<Vec<String>>,
    door: Semaphore,
    expiries: Mutex<BTreeMap<String, f64>>,
}

impl Script {
    fn new() -> Self {
        Self(Arc::new(State {
            issued: watch::Sender::default(),
            seen: watch::Sender::default(),
            door: Semaphore::new(0),
            expiries: Mutex::default(),
        }))
    }

    async fn answer(self, seen: Seen) -> Option<Reply> {
        match seen.path.as_str() {
            "/.well-known/openid-configuration" => Some(discovery(&seen)),
            "/token" => Some(self.token(&seen).await),
            _ => Some(self.api(&seen)),
        }
    }

    async fn token(&self, seen: &Seen) -> Reply {
        let sent = seen.field("refresh_token").expect("a refresh");
        let mut number = 0;
        self.0.issued.send_modify(|issued| {
            issued.push((header(seen, "user-agent"), sent));
            number = issued.len();
        });
        let access_token = format!("access-{number}");
        let expires_at = now() + 6000.0;
        let expiries = &self.0.expiries;
        expiries
            .lock()
            .unwrap()
            .insert(access_token.clone(), expires_at);
        if number == 1 {
            self.0.door.acquire().await.expect("never closed").forget();
        }
        Reply::new(200).json(&json!({
            "access_token": access_token,
            "refresh_token": format!("refresh-{number}"),
            "token_type": "Bearer",
            "expires_in": 6,
        }))
    }

    fn api(&self, seen: &Seen) -> Reply {
        let token = seen.token().unwrap_or_default();
        let expiry = self.0.expiries.lock().unwrap().get(&token).copied();
        self.0.seen.send_modify(|seen| seen.push(token));
        match expiry {
            Some(expiry) if now() < expiry => Reply::new(200).json(&json!({ "sub": "alice" })),
            _ => Reply::new(401).header("www-authenticate", r#"Bearer error="invalid_token""#),
        }
    }
}

fn discovery(seen: &Seen) -> Reply {
    let issuer = format!("http://{}", header(seen, "host"));
    Reply::new(200).json(&json!({
        "issuer": issuer,
        "token_endpoint": format!("{issuer}/token"),
    }))
}

fn header(seen: &Seen, name: &str) -> String {
    let value = seen.headers.get(name).map(|value| value.to_str());
    value.expect("it is sent").expect("ASCII").to_owned()
}

/// Waits until `happened`, or says what did not.
async fn until<T>(changes: &watch::Sender<T>, what: &str, happened: impl FnMut(&T) -> bool) {
    let mut changes = changes.subscribe();
    let waiting = tokio::time::timeout(PATIENCE, changes.wait_for(happened)).await;
    let _ = waiting.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"));
}

#[tokio::test]
async fn a_holder_that_was_stopped_past_its_lease_writes_nothing_and_its_tokens_are_used_by_nobody()
{
    // F3
    let world = World::start().await;
    let script = &world.script;

    let mut stopped = world.worker("stopped.jsonl");
    until(&script.0.issued, "a token request", |issued| {
        issued.len() == 1
    })
    .await;
    stopped.pause();
    let stopped_at = now();
    let mut other = world.worker("other.jsonl");
    until(&script.0.seen, "a call by the other one", |seen| {
        !seen.is_empty()
    })
    .await;
    let waited = (now() - stopped_at) / 1000.0;
    // The answer is there when it goes on.
    script.0.door.add_permits(1);
    stopped.resume();
    let resumed_at = now();
    let goes_on = async {
        loop {
            let lines = stopped.lines();
            let mut calls = lines.iter().filter_map(|line| match line {
                Line::Call(call) => Some(call),
                _ => None,
            });
            if calls
                .by_ref()
                .filter(|call| call.at > resumed_at + 8000.0)
                .count()
                > 3
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(PATIENCE, goes_on)
        .await
        .expect("the process that was stopped makes calls again, past another refresh");
    for worker in [&mut stopped, &mut other] {
        worker.tell_to_end();
        worker.until_ended().await;
    }

    let issued = script.0.issued.borrow().clone();
    let seen = script.0.seen.borrow().clone();
    println!(
        "the other one got its token {waited:.1} s after the stop; {} token requests, {} calls",
        issued.len(),
        seen.len()
    );
    let own = format!("fleet-worker/{}", stopped.pid());
    assert_eq!(issued[0], (own, "refresh-0".to_owned()));
    assert_eq!(
        issued[1],
        (
            format!("fleet-worker/{}", other.pid()),
            "refresh-0".to_owned()
        )
    );
    // From then on there is one line of descent, and it is the other one's.
    for (number, (_, sent)) in issued.iter().enumerate().skip(2) {
        assert_eq!(*sent, format!("refresh-{number}"));
    }
    assert!(
        issued.len() >= 3,
        "the tokens were refreshed after that: {issued:?}"
    );
    assert!(
        !seen.contains(&"access-1".to_owned()),
        "a late token was used"
    );
    let written = String::from_utf8_lossy(&world.redis.everything_written()).into_owned();
    assert!(written.contains("\"refresh-2\"") && !written.contains("\"refresh-1\""));
    assert!(!written.contains("\"access-1\""));
    // Nobody noticed anything but the wait.
    for line in stopped.lines().into_iter().chain(other.lines()) {
        if let Line::Call(call) = line {
            assert!(call.succeeded(), "{call:?}");
        }
    }
}

#[tokio::test]
async fn what_redis_could_not_take_is_saved_and_not_spent_again_when_redis_comes_back() {
    // F2, F3: the outage outlives the lease, so another process can take it.
    let mut world = World::start().await;
    let mut holder = world.worker("holder.jsonl");
    until(&world.script.0.issued, "a token request", |issued| {
        issued.len() == 1
    })
    .await;
    world.redis.stop();
    world.script.0.door.add_permits(1);
    until(
        &world.script.0.seen,
        "a call with the unsaved token",
        |seen| !seen.is_empty(),
    )
    .await;
    // Longer than the lease, and than the token: the other one has nothing, and asks at once.
    tokio::time::sleep(Duration::from_secs(11)).await;
    let mut other = world.worker("other.jsonl");
    world.redis.start_again().await;
    let back_at = now();
    let third = "access-3".to_owned();
    until(&world.script.0.seen, "two further refreshes", |seen| {
        seen.contains(&third)
    })
    .await;
    for worker in [&mut holder, &mut other] {
        worker.tell_to_end();
        worker.until_ended().await;
    }

    let issued = world.script.0.issued.borrow().clone();
    for (number, (_, sent)) in issued.iter().enumerate() {
        assert_eq!(
            *sent,
            format!("refresh-{number}"),
            "each is spent once: {issued:?}"
        );
    }
    let lines: Vec<_> = [&holder, &other]
        .into_iter()
        .flat_map(Worker::lines)
        .collect();
    let mut recovered = 0.0_f64;
    for line in lines {
        if let Line::Call(call) = line
            && !call.succeeded()
        {
            assert!(
                call.transient && call.error.as_deref() == Some("Store"),
                "{call:?}"
            );
            recovered = recovered.max(call.at + call.took - back_at);
        }
    }
    println!(
        "the last call failed {:.1} s after Redis was back",
        recovered / 1000.0
    );
}

/// A scripted server, a Redis, and Alice, who has signed in.
struct World {
    script: Script,
    http: HttpServer,
    redis: RedisServer,
    folder: Folder,
}

impl World {
    async fn start() -> Self {
        let script = Script::new();
        let answering = script.clone();
        let http = HttpServer::start(move |seen| answering.clone().answer(seen)).await;
        let redis = RedisServer::start_persistent().await;
        sign_alice_in(http.url(), &redis).await;
        Self {
            script,
            http,
            redis,
            folder: Folder::new(),
        }
    }

    fn worker(&self, log: &str) -> Worker {
        let orders = Orders {
            issuer: self.http.url().to_owned(),
            api: format!("{}/api", self.http.url()),
            store: Place::Redis(self.redis.url()),
            users: vec!["alice".to_owned()],
            tokens: Tokens::Bearer,
            calls_per_second: 10.0,
            first_user_at: 0.0,
            next_user_after: 0.0,
            abort_before_save: 0.0,
            abort_until: 0.0,
            // The answer is to count, not the time that it took.
            token_request_timeout: 60.0,
            log: self.folder.join(log),
        };
        Worker::start(env!("CARGO_BIN_EXE_fleet_worker"), orders)
    }
}

async fn sign_alice_in(issuer: &str, redis: &RedisServer) {
    let client = ClientAuthentication::client_secret_basic("basic-client", "basic-secret");
    let endpoint = TokenEndpoint::discover(issuer, client).expect("a URL");
    let store = RedisStore::open(redis.url(), Protection::plain_text()).expect("a URL of Redis");
    let source = UserSessions::builder(&endpoint)
        .store(store)
        .build()
        .expect("settings that work");
    let tokens = TokenSet::from_refresh_token("refresh-0");
    let alice = Subject::new("alice").expect("a name");
    source.sign_in(&alice, tokens).await.expect("Redis is up");
}
