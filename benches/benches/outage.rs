//! Ten thousand users with expired tokens, an authorization server that hangs, and its mending.

use std::time::{Duration, Instant, SystemTime};

use reqwest_bearer::{
    ClientAuthentication, Subject, Timeouts, TokenEndpoint, TokenSet, UserSessions,
};
use reqwest_bearer_benches::token_server::{ANSWERS_AFTER, TokenServer};
use reqwest_bearer_benches::users::session;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

const USERS: usize = 10_000;
const AT_ONCE: usize = 16;
const ATTEMPT: Duration = Duration::from_secs(2);
const OUTAGE: Duration = Duration::from_secs(20);

fn main() {
    // A8
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(outage());
}

/// What one user met until there was a token.
#[derive(Default)]
struct Met {
    /// Of those that failed: after the mend a call waits for its turn.
    longest_call: Duration,
    errors: usize,
    without_retry_at: usize,
    served_at: Option<Instant>,
}

async fn outage() {
    let server = TokenServer::start(false).await;
    let client = ClientAuthentication::client_secret_basic("client", "secret");
    let endpoint = TokenEndpoint::builder(client)
        .token_url(server.url())
        .requests_at_once(AT_ONCE)
        .attempt_timeout(ATTEMPT)
        .build()
        .expect("the settings can work");
    let users = UserSessions::builder(&endpoint)
        .cache_capacity(2 * USERS)
        // After the mend the queue is longer than the usual 30 s.
        .timeouts(Timeouts::new().wait(Duration::from_secs(600)))
        .build()
        .expect("the settings can work");
    for number in 0..USERS {
        let expired = TokenSet::new("expired")
            .with_refresh_token(format!("refresh-{number}"))
            .with_expires_at(SystemTime::now());
        let signed_in = users.sign_in(&session(number), expired).await;
        signed_in.expect("the memory takes it");
    }

    let began = Instant::now();
    let mut callers = JoinSet::new();
    for number in 0..USERS {
        callers.spawn(until_served(users.clone(), session(number)));
    }
    tokio::time::sleep(ATTEMPT + ATTEMPT / 2).await;
    let first_wave = server.requests();
    tokio::time::sleep(OUTAGE.saturating_sub(began.elapsed())).await;
    let in_outage = server.requests();
    let mended = Instant::now();
    server.mend();
    let mut all = Vec::new();
    while let Some(met) = callers.join_next().await {
        all.push(met.expect("no caller panics"));
    }

    let longest = all.iter().map(|met| met.longest_call).max();
    let served = all.iter().filter_map(|met| met.served_at);
    let first = served.clone().min().expect("all are served");
    let last = served.max().expect("all are served");
    let without_retry_at: usize = all.iter().map(|met| met.without_retry_at).sum();
    let errors: usize = all.iter().map(|met| met.errors).sum();
    let ideal = ANSWERS_AFTER * u32::try_from(USERS.div_ceil(AT_ONCE)).expect("it is small");
    println!(
        "{USERS} users, a server that hangs for {OUTAGE:?}, attempts of {ATTEMPT:?}, {AT_ONCE} at \
         once; then it answers in {ANSWERS_AFTER:?}"
    );
    println!(
        "longest wait of a call that failed: {:.2?}",
        longest.unwrap_or_default()
    );
    println!("errors: {errors}, without `retry_at`: {without_retry_at}");
    println!("token requests in the first wave: {first_wave}, in the whole outage: {in_outage}");
    println!(
        "from the mend to the first token: {:.2?}, to the last user's: {:.2?} (ideal {ideal:.2?})",
        first.saturating_duration_since(mended),
        last.saturating_duration_since(mended)
    );
    assert_eq!(without_retry_at, 0);
    assert!(first_wave <= AT_ONCE + 1, "{first_wave} in the first wave");
}

/// Calls, and calls again when the error says that it is worth it.
async fn until_served(users: UserSessions, subject: Subject) -> Met {
    let users = users.for_subject(&subject);
    let mut met = Met::default();
    loop {
        let began = Instant::now();
        let Err(error) = users.token().await else {
            met.served_at = Some(Instant::now());
            return met;
        };
        met.longest_call = met.longest_call.max(began.elapsed());
        met.errors += 1;
        let pause = match error.retry_at() {
            Some(at) => at.duration_since(SystemTime::now()).unwrap_or_default(),
            None => {
                met.without_retry_at += 1;
                Duration::from_secs(1)
            }
        };
        tokio::time::sleep(pause).await;
    }
}
