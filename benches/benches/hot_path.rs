//! What a warm call costs, in instructions and in time, over a middleware that does nothing.
//!
//! The program runs itself under callgrind, once for each contender and number of calls. Fails if ours
//! misses the goal in instructions, which are exact; time is only shown.

use std::process::ExitCode;
use std::time::Instant;

use reqwest_bearer_benches::{Call, Contender, in_turn, instructions_per_call, median};
use tokio::runtime::Builder;

/// At most this share of what the constant header with the copy costs.
const GOAL: f64 = 1.25;
const ROUNDS: usize = 51;
const CALLS_PER_ROUND: u32 = 20_000;

fn main() -> ExitCode {
    // G2
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, contender, calls] = &arguments[..]
        && flag == "--calls"
    {
        make_calls(contender, calls);
        return ExitCode::SUCCESS;
    }
    let times = nanoseconds();
    let counts: Vec<u64> = Contender::ALL.into_iter().map(instructions).collect();
    println!(
        "{:<34} {:>12} {:>10} {:>10} {:>8}",
        "per call", "instructions", "over none", "of limit", "ns"
    );
    let none = of(&counts, Contender::DoNothing);
    let limit = of(&counts, Contender::ConstantHeaderAndCopy) - none;
    for (contender, (count, time)) in Contender::ALL.into_iter().zip(counts.iter().zip(times)) {
        let over = count - none;
        println!(
            "{:<34} {count:>12} {over:>10} {:>10.3} {time:>8.0}",
            contender.name(),
            ratio(over, limit)
        );
    }
    let reached = ratio(of(&counts, Contender::Ours) - none, limit);
    println!("goal: ours at most {GOAL} of the limit, which is the constant header + copy");
    if reached <= GOAL {
        ExitCode::SUCCESS
    } else {
        println!("missed: {reached:.3}");
        ExitCode::FAILURE
    }
}

fn of(counts: &[u64], contender: Contender) -> u64 {
    counts[contender as usize]
}

#[expect(clippy::cast_precision_loss, reason = "the counts are far below 2^52")]
fn ratio(over: u64, limit: u64) -> f64 {
    over as f64 / limit as f64
}

fn warm(contender: Contender) -> Call {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(Call::warm(contender))
}

/// What the program does under callgrind.
fn make_calls(contender: &str, calls: &str) {
    let contender = Contender::ALL
        .into_iter()
        .find(|known| known.name() == contender)
        .expect("the name of a contender");
    let calls: u64 = calls.parse().expect("a number");
    let mut call = warm(contender);
    for _ in 0..calls {
        call.make_at_once();
    }
}

fn instructions(contender: Contender) -> u64 {
    instructions_per_call(&["--calls", contender.name()])
}

fn nanoseconds() -> Vec<f64> {
    let mut calls = Contender::ALL.map(warm);
    let rounds = in_turn(&mut calls, ROUNDS, |call| {
        let began = Instant::now();
        for _ in 0..CALLS_PER_ROUND {
            call.make_at_once();
        }
        began.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS_PER_ROUND)
    });
    rounds.iter().map(|figures| median(figures)).collect()
}
