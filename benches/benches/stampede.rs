//! Ten thousand callers that find the token expired.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::FutureExt;
use reqwest_bearer::{BearerTokenMiddleware, GrantFn, TestClock, TokenResponse, TokenSource};
use reqwest_bearer_benches::{Canned, ORIGIN, client, median, token_text};
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tokio::runtime::Builder;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, unconstrained};

const CALLERS: u32 = 10_000;
const ROUNDS: usize = 21;
const LIFETIME: Duration = Duration::from_secs(60);

fn main() {
    // A1
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let rounds: Vec<Round> = (0..ROUNDS).map(|_| runtime.block_on(stampede())).collect();
    let most = rounds.iter().map(|round| round.requests).max();
    let milliseconds: Vec<f64> = rounds.iter().map(|round| round.milliseconds).collect();
    println!("{CALLERS} callers at an expiry, {ROUNDS} rounds");
    println!(
        "token requests, at most: {}",
        most.expect("there are rounds")
    );
    println!(
        "from the token's arrival to the last caller's start: median {:.1} ms, worst {:.1} ms",
        median(&milliseconds),
        milliseconds.iter().copied().fold(0.0, f64::max)
    );
    assert_eq!(most, Some(1), "one token request an expiry");
}

struct Round {
    requests: usize,
    milliseconds: f64,
}

async fn stampede() -> Round {
    let clock = TestClock::new();
    let requests = Arc::new(AtomicUsize::new(0));
    let gate = Arc::new(Semaphore::new(1));
    let arrival = Arc::new(watch::Sender::new(Instant::now()));
    let source = TokenSource::builder(gated(&requests, &gate, &arrival))
        .clock(&clock)
        .build()
        .expect("the settings can work");
    source.warm_up().await.expect("the gate is open");
    clock.advance(LIFETIME);
    let requests_before = requests.load(Ordering::Relaxed);

    let chain = BearerTokenMiddleware::for_origin(ORIGIN, &source).expect("it is an origin");
    let client = ClientBuilder::new(client())
        .with(chain)
        .with(Canned)
        .build();
    let begun = Arc::new(Semaphore::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let (client, begun) = (client.clone(), begun.clone());
        callers.spawn(async move {
            let mut call = pin!(start(client));
            // From its first poll on it waits for the token.
            assert!(unconstrained(call.as_mut()).now_or_never().is_none());
            begun.add_permits(1);
            call.await
        });
    }
    let all = begun.acquire_many(CALLERS).await;
    all.expect("it is never closed").forget();
    gate.add_permits(1);
    let mut last = Instant::now();
    while let Some(started) = callers.join_next().await {
        last = last.max(started.expect("no caller panics"));
    }
    Round {
        requests: requests.load(Ordering::Relaxed) - requests_before,
        milliseconds: last.duration_since(*arrival.borrow()).as_secs_f64() * 1e3,
    }
}

/// Says when the request, with its token, had got through the whole chain.
async fn start(client: ClientWithMiddleware) -> Instant {
    let response = client
        .get(format!("{ORIGIN}/v1/orders/42"))
        .send()
        .await
        .expect("there is a token");
    assert_eq!(response.status(), 200);
    Instant::now()
}

/// A grant that answers when the gate opens.
fn gated(
    requests: &Arc<AtomicUsize>,
    gate: &Arc<Semaphore>,
    arrival: &Arc<watch::Sender<Instant>>,
) -> GrantFn {
    let (requests, gate, arrival) = (requests.clone(), gate.clone(), arrival.clone());
    GrantFn::new("gated", move |_| {
        let (requests, gate, arrival) = (requests.clone(), gate.clone(), arrival.clone());
        async move {
            requests.fetch_add(1, Ordering::Relaxed);
            let open = gate.acquire().await.expect("the gate is never closed");
            open.forget();
            arrival.send_replace(Instant::now());
            Ok(TokenResponse::bearer(token_text()).with_expires_in(LIFETIME))
        }
    })
}
