//! Throughput of many tasks on two threads that share one client and its token.
//!
//! Twice: with an answer that costs nothing, where only the chain is measured, and with one that
//! comes over a loopback connection, as the nearest API's would. Shown, not judged: time is noisy.

use std::time::Instant;

use reqwest_bearer_benches::{Call, Contender, in_turn, median, server};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinSet;

const CONTENDERS: [Contender; 4] = [
    Contender::ConstantHeader,
    Contender::ConstantHeaderAndCopy,
    Contender::HandWritten,
    Contender::Ours,
];

fn main() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    for tasks in [8, 64] {
        let calls = CONTENDERS.map(|contender| runtime.block_on(Call::warm(contender)));
        compare("canned answer", &runtime, calls, tasks, 100_000, 101);
    }
    // In threads of its own, which the calls' two do not have to share.
    let address = server::start();
    for tasks in [8, 64] {
        let calls = CONTENDERS
            .map(|contender| runtime.block_on(Call::warm_over_sockets(contender, address)));
        compare("loopback", &runtime, calls, tasks, 4_000, 201);
    }
}

fn compare(
    answer: &str,
    runtime: &Runtime,
    mut calls: [Call; 4],
    tasks: usize,
    calls_per_round: usize,
    rounds: usize,
) {
    let figures = in_turn(&mut calls, rounds, |call| {
        let began = Instant::now();
        runtime.block_on(share(call, tasks, calls_per_round / tasks));
        began.elapsed().as_secs_f64()
    });
    println!("{answer}, {tasks} tasks, {rounds} rounds of {calls_per_round} calls");
    println!(
        "{:<34} {:>12} {:>14} {:>14}",
        "", "calls/s", "of constant", "of const.+copy"
    );
    for (contender, seconds) in CONTENDERS.into_iter().zip(&figures) {
        println!(
            "{:<34} {:>12.0} {:>14.3} {:>14.3}",
            contender.name(),
            f64::from(u32::try_from(calls_per_round).expect("it is small")) / median(seconds),
            throughput(&figures[0], seconds),
            throughput(&figures[1], seconds),
        );
    }
}

/// The median over the rounds: what falls on a whole round falls on both sides of its ratio.
fn throughput(limit: &[f64], own: &[f64]) -> f64 {
    let ratios: Vec<f64> = limit
        .iter()
        .zip(own)
        .map(|(limit, own)| limit / own)
        .collect();
    median(&ratios)
}

async fn share(call: &Call, tasks: usize, calls_per_task: usize) {
    let mut running = JoinSet::new();
    for _ in 0..tasks {
        let mut call = call.share();
        running.spawn(async move {
            for _ in 0..calls_per_task {
                call.make().await;
                // A network would let the others run here.
                tokio::task::yield_now().await;
            }
        });
    }
    while let Some(done) = running.join_next().await {
        done.expect("no call panics");
    }
}
