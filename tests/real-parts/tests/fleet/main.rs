//! F2 to F6: a fleet of real processes, real Redis and Postgres, and the real `oidc-provider`, which ends a whole
//! family of refresh tokens when one of them is used twice.
//!
//! Each test runs its load for 12 s, or for as many seconds as the environment variable
//! `FLEET_SECONDS` says. The tests print their figures: `cargo test -p real-parts --test fleet --
//! --nocapture`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use real_parts::fleet::{Call, Line, Orders, Place, Tokens, now};
use real_parts::shared_store::{self, Kind, SharedStore};
use real_parts::{AuthorizationServer, Folder, Issuer, Worker};
use reqwest_bearer::{
    AuthorizationCode, DpopKey, Subject, TokenEndpoint, TokenSet, TokenStore, UserSessions,
};
use serde_json::json;
use tokio::sync::{Mutex, MutexGuard};

mod application;
mod cluster;
mod example;
mod file;
mod full_disk;
mod hanging;
mod keys;
mod killed;
mod load;
mod lost_lease;
mod outage;

#[path = "../../../support/http_server.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod http_server;

/// What `expires_in` says. oidc-provider counts whole seconds; so that it keeps its word, it is told
/// to be a second late.
const LIFETIME: u32 = 6;
const USERS: usize = 30;
const PROCESSES: usize = 8;
/// Less than an access token lives, so that a nonce lasts for one refresh of a user at the most.
const NONCE_LIFETIME: u32 = 5;
/// How long the server takes the nonce before: what `provider/nonces.js` says, in milliseconds.
const NONCE_GRACE: f64 = 1000.0;
/// Of the whole fleet: each user's page makes some eight calls a second.
const CALLS_PER_SECOND: f64 = 240.0;
/// How long after the orders were given the first user comes, in milliseconds.
const FIRST_USER_AFTER: f64 = 1000.0;

fn duration() -> Duration {
    let seconds = std::env::var("FLEET_SECONDS").map_or(12, |text| {
        text.parse().expect("FLEET_SECONDS is a number of seconds")
    });
    Duration::from_secs(seconds)
}

/// Loads would disturb each other, so the tests of this file take turns.
async fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// Lets the load run on. The time is the load's, and nothing is waited for.
async fn run_for(seconds: f64) {
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
}

/// The servers of one test, and its users.
struct World {
    server: AuthorizationServer,
    shared: SharedStore,
    /// Where the processes find the store: there, or behind a proxy.
    store: SocketAddr,
    folder: Folder,
    users: Vec<String>,
    /// The key of each user's session, where the tokens are bound.
    keys: BTreeMap<String, DpopKey>,
}

impl World {
    /// With users who have signed in, and of whom the store has nothing but a refresh token.
    async fn start(kind: Kind) -> Self {
        Self::start_as(kind, Tokens::Bearer).await
    }

    /// The same, and bound tokens need proofs with a nonce that changes while the load runs, at the
    /// authorization server and at the API at different times.
    async fn start_as(kind: Kind, tokens: Tokens) -> Self {
        let mut world = Self::start_with(kind, USERS).await;
        if tokens == Tokens::Bound {
            let key = |user: &String| (user.clone(), DpopKey::generate().expect("random numbers"));
            world.keys = world.users.iter().map(key).collect();
        }
        world.sign_all_in(&world.source().await).await;
        world
    }

    /// With so many users who have yet to sign in.
    async fn start_with(kind: Kind, users: usize) -> Self {
        let settings = json!({
            "accessTokenTtl": LIFETIME,
            "clockTolerance": 1,
            "dpopNonceSeconds": NONCE_LIFETIME,
        });
        let server = AuthorizationServer::start_with(settings).await;
        let shared = SharedStore::start(kind).await;
        Self {
            server,
            store: shared.address(),
            shared,
            folder: Folder::new(),
            users: (0..users).map(|number| format!("user-{number}")).collect(),
            keys: BTreeMap::new(),
        }
    }

    async fn sign_all_in(&self, source: &UserSessions) {
        for user in &self.users {
            let tokens = self.sign_in(user).await;
            let signed_in = source.sign_in(&subject(user), tokens).await;
            signed_in.expect("the store is there");
        }
    }

    fn issuer(&self) -> &Issuer {
        &self.server.root
    }

    fn tokens(&self) -> Tokens {
        if self.keys.is_empty() {
            Tokens::Bearer
        } else {
            Tokens::Bound
        }
    }

    /// A call with a proof costs a signature here and its check at the API, on the same machine.
    fn calls_per_second(&self) -> f64 {
        match self.tokens() {
            Tokens::Bearer => CALLS_PER_SECOND,
            Tokens::Bound => CALLS_PER_SECOND / 2.0,
        }
    }

    /// The calls of the fleet that say something about it. A call that lasts long, on a machine that has too
    /// much to do, may be given a nonce that is over when it comes back with it, and is sent once more for one
    /// alone (H6): such a one is left out if it failed, and counted.
    fn judged(&self, fleet: &Fleet) -> (Vec<Call>, usize) {
        let outlasted = |call: &Call| !call.succeeded() && call.took > NONCE_GRACE;
        let is_bound = self.tokens() == Tokens::Bound;
        let (left_out, judged): (Vec<_>, Vec<_>) = fleet
            .calls()
            .into_iter()
            .partition(|call| is_bound && !call.wants_sign_in() && outlasted(call));
        (judged, left_out.len())
    }

    fn endpoint(&self) -> TokenEndpoint {
        let client = self.tokens().authentication();
        TokenEndpoint::discover(self.issuer().url(), client).expect("an issuer on this machine")
    }

    /// The token source of the process that users sign in at: the test's own.
    async fn source(&self) -> UserSessions {
        match self.shared.place(self.shared.address()) {
            Place::Redis(url) => self.source_with(shared_store::redis(&url)),
            Place::Cluster(urls) => self.source_with(shared_store::cluster(&urls).await),
            Place::Postgres(url) => self.source_with(shared_store::postgres(&url)),
            Place::File(_) => unreachable!("no server keeps a file"),
        }
    }

    fn source_with(&self, store: impl TokenStore) -> UserSessions {
        let users = UserSessions::builder(&self.endpoint()).store(store);
        self.tokens().of(users).build().expect("settings that work")
    }

    /// Without the access token, so that a user's first call needs a refresh.
    async fn sign_in(&self, user: &str) -> TokenSet {
        let (client, scope) = (self.tokens().client().id, "openid offline_access");
        let key = self.keys.get(user);
        let signed_in = match key {
            Some(key) => {
                let sign_in = self
                    .issuer()
                    .sign_in_bound(client, user, scope, key.thumbprint());
                sign_in.await
            }
            None => self.issuer().sign_in(client, user, scope).await,
        };
        let mut code = AuthorizationCode::new(signed_in.code)
            .redirect_uri(signed_in.redirect_uri)
            .code_verifier(signed_in.code_verifier);
        if let Some(key) = key {
            code = code.dpop(key);
        }
        let tokens = code.exchange(&self.endpoint()).await;
        let tokens = tokens.expect("the server takes its own code");
        let refresh_token = tokens
            .refresh_token()
            .expect("offline_access was asked for");
        let alone = TokenSet::from_refresh_token(refresh_token.expose());
        match key {
            Some(key) => alone.with_dpop_key(key),
            None => alone,
        }
    }

    /// What each of `processes` processes is to do, so that together they make all the calls. The
    /// users come one after the other within one lifetime, so that their refreshes are spread as
    /// evenly as those of a real crowd, and a count of them does not hang on the last moment.
    fn orders(&self, processes: usize) -> Orders {
        Orders {
            issuer: self.issuer().url().to_owned(),
            api: match self.tokens() {
                Tokens::Bearer => self.issuer().api(),
                Tokens::Bound => self.issuer().api_apart().to_owned(),
            },
            store: self.shared.place(self.store),
            users: self.users.clone(),
            tokens: self.tokens(),
            calls_per_second: self.calls_per_second() / processes as f64,
            first_user_at: now() + FIRST_USER_AFTER,
            next_user_after: f64::from(LIFETIME) * 1000.0 / self.users.len().max(1) as f64,
            abort_before_save: 0.0,
            abort_until: now() + duration().as_secs_f64() * 1000.0,
            token_request_timeout: 10.0,
            log: PathBuf::new(),
        }
    }

    fn fleet(&self, processes: usize) -> Fleet {
        self.fleet_with(processes, self.orders(processes))
    }

    fn fleet_with(&self, processes: usize, orders: Orders) -> Fleet {
        let mut fleet = Fleet {
            orders,
            folder: self.folder.path().to_owned(),
            longest_file: None,
            workers: Vec::new(),
        };
        for _ in 0..processes {
            fleet.add(0.0);
        }
        fleet
    }
}

/// The processes that have been started, dead ones included.
struct Fleet {
    folder: PathBuf,
    orders: Orders,
    /// What a process that is started can write, in bytes: the disk is full for it.
    longest_file: Option<usize>,
    workers: Vec<Worker>,
}

impl Fleet {
    /// Starts one more process.
    fn add(&mut self, abort_before_save: f64) -> usize {
        let number = self.workers.len();
        let orders = Orders {
            abort_before_save,
            log: self.folder.join(format!("{number}.jsonl")),
            ..self.orders.clone()
        };
        let program = env!("CARGO_BIN_EXE_fleet_worker");
        self.workers.push(match self.longest_file {
            None => Worker::start(program, orders),
            Some(bytes) => Worker::start_with_longest_file(program, orders, bytes),
        });
        number
    }

    /// Ends those that still run, which is to be in order.
    async fn stop(&mut self) {
        let running: Vec<_> = self
            .workers
            .iter_mut()
            .filter_map(|worker| worker.ended().is_none().then_some(worker))
            .collect();
        let mut ending = Vec::new();
        for worker in running {
            worker.tell_to_end();
            ending.push(worker);
        }
        for worker in ending {
            worker.until_ended().await;
        }
        for line in self.lines() {
            if let Line::Ended {
                unanswered, error, ..
            } = line
            {
                assert_eq!(
                    (unanswered, error),
                    (0, None),
                    "calls hang, or tokens are unsaved"
                );
            }
        }
    }

    fn lines(&self) -> Vec<Line> {
        self.workers.iter().flat_map(Worker::lines).collect()
    }

    /// The longest that an answered token request was away, in milliseconds. We count a token's life
    /// from before the request was sent (B8), the server from when it came: no further apart than
    /// this, however busy the machine is.
    fn longest_token_request(&self) -> f64 {
        let lines = self.lines().into_iter();
        let times = lines.filter_map(|line| match line {
            Line::TokenRequest {
                took, error: None, ..
            } => Some(took),
            _ => None,
        });
        times.fold(0.0, f64::max)
    }

    /// All calls that have ended, in the order of their beginning.
    fn calls(&self) -> Vec<Call> {
        let lines = self.lines().into_iter();
        let calls = lines.filter_map(|line| match line {
            Line::Call(call) => Some(call),
            _ => None,
        });
        let mut calls: Vec<_> = calls.collect();
        calls.sort_by(|one, other| one.at.total_cmp(&other.at));
        calls
    }
}

fn subject(user: &str) -> Subject {
    Subject::new(user).expect("a name")
}

/// The value below which this share of the values lie.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let last = values.len().saturating_sub(1);
    values
        .get((last as f64 * share).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}
