//! `examples/shared_worker.rs` as it stands there, in three processes.

use std::process::{Output, Stdio};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use real_parts::BASIC;
use real_parts::fleet::now;
use real_parts::shared_store::Kind;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::{LIFETIME, World, duration, run_for, turn};

const WORKERS: usize = 3;
/// A worker calls once a second.
const PACE: f64 = 1.0;
const END_LIMIT: Duration = Duration::from_secs(20);

fn start(world: &World, api: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_shared_worker"))
        .env("REDIS", format!("redis://{}", world.store))
        .env("STORE_KEYS", format!("test:{}", STANDARD.encode([7; 32])))
        .env("ISSUER", world.issuer().url())
        .env("CLIENT_ID", BASIC.id)
        .env("CLIENT_SECRET", BASIC.secret)
        .env("ORDERS", api)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("the program was built along with the test")
}

/// Ends it as Ctrl-C does.
async fn interrupt(worker: Child) -> Output {
    let pid = worker.id().expect("nobody has waited for it");
    let command = format!("kill -INT {pid}");
    let status = Command::new("sh").args(["-c", &command]).status().await;
    assert!(status.is_ok_and(|status| status.success()), "{command}");
    let output = tokio::time::timeout(END_LIMIT, worker.wait_with_output()).await;
    output.expect("Ctrl-C ends it").expect("it is our child")
}

/// The calls and the token requests that a worker says it has made.
fn figures(output: &Output) -> (usize, usize) {
    let text = String::from_utf8_lossy(&output.stdout);
    let figures = text
        .trim()
        .strip_suffix(" token requests of my own")
        .and_then(|text| text.split_once(" calls, "))
        .and_then(|(calls, requests)| Some((calls.parse().ok()?, requests.parse().ok()?)));
    figures.unwrap_or_else(|| panic!("{text}"))
}

#[tokio::test]
async fn the_shared_worker_of_the_examples_makes_one_token_request_for_each_lifetime() {
    // F3, B1
    let _turn = turn().await;
    let world = World::start_with(Kind::Redis, 0).await;
    let api = world.issuer().api();
    let began_at = now();
    let workers: Vec<_> = (0..WORKERS).map(|_| start(&world, &api)).collect();
    run_for(duration().as_secs_f64()).await;
    let mut calls = Vec::new();
    let mut own_requests = Vec::new();
    for worker in workers {
        let output = interrupt(worker).await;
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {complaints}", output.status);
        assert_eq!(complaints, "");
        let (made, asked) = figures(&output);
        calls.push(made);
        own_requests.push(asked);
    }
    let until_the_last_ended = (now() - began_at) / 1000.0;

    let requests = world
        .issuer()
        .count_token_requests("client_credentials")
        .await;
    println!("{calls:?} calls, {own_requests:?} token requests; the server counts {requests}");
    assert_eq!(own_requests.iter().sum::<usize>(), requests);
    let answered = world.issuer().api_requests().await;
    // Ctrl-C may end a call whose answer is on its way.
    let counted = calls.iter().sum::<usize>();
    assert!((counted..=counted + WORKERS).contains(&answered.len()));
    assert!(answered.iter().all(|request| request.status == 200));
    // A token serves for at least three quarters of its life (B1); and whoever calls once it has
    // expired asks for the next one.
    let seconds = duration().as_secs_f64();
    let least = 1 + ((seconds - PACE) / (f64::from(LIFETIME) + PACE)) as usize;
    let most = 1 + (until_the_last_ended / (f64::from(LIFETIME) * 0.75 - 0.05)) as usize;
    assert!((least..=most).contains(&requests), "{least} to {most}");
    for made in calls {
        assert!(made as f64 > 0.5 * seconds / PACE, "{made} calls");
    }
    // Whoever reads Redis does not get the token.
    let written = world.shared.everything_written().await;
    for token in world.issuer().issued_tokens().await {
        let found = written
            .windows(token.len())
            .any(|bytes| bytes == token.as_bytes());
        assert!(!found, "a token is in Redis as it is");
    }
}

#[tokio::test]
async fn the_shared_worker_of_the_examples_can_be_interrupted_while_its_api_hangs() {
    let _turn = turn().await;
    let world = World::start_with(Kind::Redis, 0).await;
    let silent = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let api = format!("http://{}", silent.local_addr().expect("it is bound"));
    let worker = start(&world, &api);
    let called = tokio::time::timeout(END_LIMIT, silent.accept()).await;
    let _connection = called.expect("the worker calls").expect("a connection");
    let output = interrupt(worker).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(figures(&output), (0, 1));
}
