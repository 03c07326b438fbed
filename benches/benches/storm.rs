//! Users whose tokens have expired, all called at once: a restart, a night, a rotation of keys.
//!
//! `storm` for 1,000 and 20,000 users; `storm -- 100000` for so many (five minutes). Each once by one
//! process, and 20,000 by four that share the store.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use reqwest_bearer::{
    ClientAuthentication, Protection, RedisStore, Timeouts, TokenEndpoint, TokenSet, UserSessions,
};
use reqwest_bearer_benches::token_server::{ANSWERS_AFTER, TokenServer};
use reqwest_bearer_benches::users::session;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

const AT_ONCE: usize = 16;

fn main() {
    // G4, F3
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    if let Ok(orders) = std::env::var("STORM") {
        let [redis, token_url, users] = orders.split(' ').collect::<Vec<_>>()[..] else {
            panic!("three orders");
        };
        let count = users.parse().expect("a number");
        runtime.block_on(call_all(&users_at(redis, token_url, count), count));
        return;
    }
    let asked: Vec<usize> = std::env::args()
        .filter_map(|arg| arg.parse().ok())
        .collect();
    let sizes = match asked[..] {
        [] => vec![(1_000, 1), (20_000, 1), (20_000, 4)],
        _ => asked.into_iter().map(|users| (users, 1)).collect(),
    };
    for (users, processes) in sizes {
        runtime.block_on(storm(users, processes));
    }
}

async fn storm(count: usize, processes: usize) {
    let redis = Redis::start().await;
    let server = TokenServer::start(true).await;
    let users = users_at(&redis.url(), &server.url(), count);
    sign_in(&users, count).await;
    let before = redis.calls().await;
    let began = Instant::now();
    let mut others: Vec<Child> = (1..processes)
        .map(|_| {
            Command::new(std::env::current_exe().expect("it runs"))
                .env("STORM", format!("{} {} {count}", redis.url(), server.url()))
                .spawn()
                .expect("it can be run again")
        })
        .collect();
    call_all(&users, count).await;
    for other in &mut others {
        assert!(other.wait().expect("it ends").success());
    }
    let took = began.elapsed();
    let requests = server.requests();
    assert_eq!(requests, count, "one token request a user");
    let ideal = ANSWERS_AFTER.mul_f64(count as f64 / (AT_ONCE * processes) as f64);
    println!(
        "{count} users, {processes} process(es), {AT_ONCE} at once in each: {took:.1?}, ideal \
         {ideal:.1?}: {:.2} of it; {:.2} store calls a token request, all processes; {} MiB",
        ideal.as_secs_f64() / took.as_secs_f64(),
        (redis.calls().await - before) as f64 / requests as f64,
        peak_memory()
    );
}

fn users_at(redis: &str, token_url: &str, count: usize) -> UserSessions {
    let client = ClientAuthentication::client_secret_basic("client", "secret");
    let endpoint = TokenEndpoint::builder(client)
        .token_url(token_url)
        .requests_at_once(AT_ONCE)
        .build()
        .expect("the settings can work");
    UserSessions::builder(&endpoint)
        .store(RedisStore::open(redis, Protection::plain_text()).expect("it is a URL"))
        .cache_capacity(2 * count)
        // The callers wait as long as the queue is.
        .timeouts(Timeouts::new().wait(Duration::from_secs(600)))
        .build()
        .expect("the settings can work")
}

async fn sign_in(users: &UserSessions, count: usize) {
    let mut signing_in = JoinSet::new();
    for worker in 0..64 {
        let users = users.clone();
        signing_in.spawn(async move {
            for number in (worker..count).step_by(64) {
                let expired = TokenSet::new("expired")
                    .with_refresh_token(format!("refresh-{number}"))
                    .with_expires_at(SystemTime::now());
                let signed_in = users.sign_in(&session(number), expired).await;
                signed_in.expect("the store takes it");
            }
        });
    }
    while let Some(done) = signing_in.join_next().await {
        done.expect("no sign-in panics");
    }
}

async fn call_all(users: &UserSessions, count: usize) {
    let mut calls = JoinSet::new();
    for number in 0..count {
        let users = users.for_subject(&session(number));
        calls.spawn(async move { users.token().await.map(drop) });
    }
    while let Some(outcome) = calls.join_next().await {
        outcome.expect("no call panics").expect("there is a token");
    }
}

/// In MiB, of this process so far.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let kib = line.and_then(|line| line.split_ascii_whitespace().nth(1));
    kib.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

/// A Redis of one's own, which ends with this.
struct Redis {
    port: u16,
    server: Child,
}

impl Redis {
    async fn start() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("a free port").port();
        let server = Command::new("redis-server")
            .args([
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--port",
                &port.to_string(),
            ])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed");
        while TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Self { port, server }
    }

    fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// How many scripts it has run: each call of the store is one.
    async fn calls(&self) -> u64 {
        let address = ("127.0.0.1", self.port);
        let mut connection = TcpStream::connect(address).await.expect("it answers");
        let asked = connection.write_all(b"INFO commandstats\r\nQUIT\r\n");
        asked.await.expect("it answers");
        let mut answer = String::new();
        let read = connection.read_to_string(&mut answer);
        read.await.expect("it answers");
        let calls = answer.split_once("cmdstat_eval:calls=");
        let number = calls.and_then(|(_, rest)| rest.split(',').next());
        number.and_then(|number| number.parse().ok()).unwrap_or(0)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}
