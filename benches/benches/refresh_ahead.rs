//! Constant load over many expiries, with an authorization server that is slow.
//!
//! Fails if a call waited for a token after the first one, or if none was refreshed. A call waited
//! if it was not ready at once: behind the canned answer there is nothing else to wait for.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use reqwest_bearer::{BearerTokenMiddleware, GrantFn, TokenResponse};
use reqwest_bearer_benches::{Canned, ORIGIN, client, token_text};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::runtime::Builder;
use tokio::time::MissedTickBehavior;

const LOAD: Duration = Duration::from_secs(50);
const LIFETIME: Duration = Duration::from_secs(2);
const SLOWNESS: Duration = Duration::from_millis(200);
/// 2,000 calls a second.
const CALLS_PER_TICK: usize = 10;
const TICK: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    // B3
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    // Side by side, so that a neighbour's load falls on both.
    let (short, endless) = runtime.block_on(async {
        let short = tokio::spawn(load(Some(LIFETIME)));
        let endless = tokio::spawn(load(None));
        (
            short.await.expect("no call panics"),
            endless.await.expect("no call panics"),
        )
    });
    println!(
        "{:<34} {:>8} {:>15} {:>8} {:>9} {:>9} {:>9}",
        "50 s", "calls", "token requests", "waited", "median us", "p99.9 us", "worst us"
    );
    short.print("tokens of 2 s, got in 0.2 s");
    endless.print("a token that never expires");
    if short.waited == 0 && short.requests > 10 {
        ExitCode::SUCCESS
    } else {
        println!("goal missed: no call waits for a token");
        ExitCode::FAILURE
    }
}

struct Figures {
    requests: usize,
    waited: usize,
    micros: Vec<f64>,
}

impl Figures {
    fn print(&self, name: &str) {
        let at = |share: usize| self.micros[(self.micros.len() - 1) * share / 1000];
        println!(
            "{name:<34} {:>8} {:>15} {:>8} {:>9.1} {:>9.1} {:>9.1}",
            self.micros.len(),
            self.requests,
            self.waited,
            at(500),
            at(999),
            at(1000)
        );
    }
}

async fn load(lifetime: Option<Duration>) -> Figures {
    let requests = Arc::new(AtomicUsize::new(0));
    let bearer = BearerTokenMiddleware::for_origin(ORIGIN, slow(lifetime, &requests));
    let client = ClientBuilder::new(client())
        .with(bearer.expect("it is an origin"))
        .with(Canned)
        .build();
    call(&client).await;
    let mut figures = Figures {
        requests: 0,
        waited: 0,
        micros: Vec::new(),
    };
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let began = Instant::now();
    while began.elapsed() < LOAD {
        ticks.tick().await;
        for _ in 0..CALLS_PER_TICK {
            let sent = Instant::now();
            let mut calling = Box::pin(call(&client));
            if calling.as_mut().now_or_never().is_none() {
                figures.waited += 1;
                calling.await;
            }
            figures.micros.push(sent.elapsed().as_secs_f64() * 1e6);
        }
    }
    figures.micros.sort_unstable_by(f64::total_cmp);
    figures.requests = requests.load(Ordering::Relaxed);
    figures
}

async fn call(client: &ClientWithMiddleware) {
    let response = client.get(format!("{ORIGIN}/v1/orders/42")).send().await;
    assert_eq!(response.expect("there is a token").status(), 200);
}

fn slow(lifetime: Option<Duration>, requests: &Arc<AtomicUsize>) -> GrantFn {
    let requests = requests.clone();
    GrantFn::new("slow", move |_| {
        // Another token each time, as a server issues them.
        let number = requests.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::time::sleep(SLOWNESS).await;
            let token = TokenResponse::bearer(format!("{}.{number}", token_text()));
            Ok(match lifetime {
                Some(lifetime) => token.with_expires_in(lifetime),
                None => token,
            })
        }
    })
}
