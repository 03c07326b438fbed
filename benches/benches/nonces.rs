//! A nonce that changes under load, over loopback: how many requests are sent once more for it, and that it
//! refreshes no token.
//!
//! Fails if a token was refreshed, if a call failed, or if a change cost more resends than there were calls
//! under way.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use reqwest_bearer::DpopKey;
use reqwest_bearer_benches::dpop::{bound_client, bound_source};
use reqwest_bearer_benches::dpop_server::DpopServer;
use reqwest_bearer_benches::median;
use reqwest_middleware::ClientWithMiddleware;
use tokio::runtime::Builder;
use tokio::task::JoinSet;

const CHANGES: usize = 20;
/// Between two changes each caller makes so many calls, so that a call meets one change at most.
const CALLS_BETWEEN: usize = 5;
/// Calls under way at any time.
const AT_ONCE: [usize; 3] = [1, 64, 1_000];

#[derive(Default)]
struct Calls {
    answered: AtomicUsize,
    failed: AtomicUsize,
    is_over: AtomicBool,
}

impl Calls {
    /// Waits until so many more have ended.
    async fn more(&self, calls: usize) {
        let ended = || self.answered.load(Ordering::Relaxed) + self.failed.load(Ordering::Relaxed);
        let enough = ended() + calls;
        while ended() < enough {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
}

fn main() -> ExitCode {
    // G2, H6
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    println!(
        "{:<18} {:>8} {:>8} {:>26} {:>10} {:>10}",
        "calls under way", "calls", "failed", "resends a change: median", "the most", "refreshes"
    );
    let reached = AT_ONCE.map(|at_once| runtime.block_on(load(at_once)));
    println!("goal: no refresh, no failed call, no more resends than calls under way");
    if reached == [true; AT_ONCE.len()] {
        ExitCode::SUCCESS
    } else {
        println!("missed");
        ExitCode::FAILURE
    }
}

/// Runs so many calls at once, one after the other; says whether the goal was reached.
async fn load(at_once: usize) -> bool {
    let server = DpopServer::start();
    let key = DpopKey::generate().expect("random numbers");
    let source = bound_source(&server, &key);
    let client = bound_client(&server.api(), source.clone()).build();
    source.token().await.expect("the server is up");
    let url = format!("{}/v1/orders/42", server.api());
    let calls = Arc::new(Calls::default());
    let mut callers = JoinSet::new();
    for _ in 0..at_once {
        callers.spawn(call(client.clone(), url.clone(), Arc::clone(&calls)));
    }
    let mut resends = Vec::new();
    calls.more(at_once * CALLS_BETWEEN).await;
    for _ in 0..CHANGES {
        let before = server.demands();
        server.change_nonce();
        calls.more(at_once * CALLS_BETWEEN).await;
        resends.push(server.demands() - before);
    }
    calls.is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = callers.join_next().await {
        ended.expect("no call panics");
    }
    let [answered, failed] =
        [&calls.answered, &calls.failed].map(|count| count.load(Ordering::Relaxed));
    let refreshes = server.token_requests() - 1;
    let most = resends.iter().copied().max().unwrap_or_default();
    #[expect(clippy::cast_precision_loss, reason = "the counts are far below 2^52")]
    let counts: Vec<f64> = resends.iter().map(|resends| *resends as f64).collect();
    println!(
        "{at_once:<18} {answered:>8} {failed:>8} {:>26} {most:>10} {refreshes:>10}",
        median(&counts)
    );
    refreshes == 0 && failed == 0 && (1..=at_once).contains(&most)
}

async fn call(client: ClientWithMiddleware, url: String, calls: Arc<Calls>) {
    while !calls.is_over.load(Ordering::Relaxed) {
        let count = match client.get(&url).send().await {
            Ok(answer) if answer.status() == 200 => &calls.answered,
            _ => &calls.failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}
