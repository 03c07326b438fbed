//! What a warm call through the tower layer costs in instructions, over a service that does nothing.
//!
//! No goal of its own: the middleware's is in `hot_path`, and both doors have one way behind them.

use reqwest_bearer_benches::instructions_per_call;
use reqwest_bearer_benches::layered::{Layered, LayeredCall};
use tokio::runtime::Builder;

fn main() {
    // G2, J2
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name, calls] = &arguments[..]
        && flag == "--calls"
    {
        make_calls(name, calls);
        return;
    }
    let counts = Layered::ALL.map(|layered| instructions_per_call(&["--calls", layered.name()]));
    println!(
        "{:<34} {:>12} {:>10}",
        "per call", "instructions", "over none"
    );
    for (layered, count) in Layered::ALL.into_iter().zip(counts) {
        println!(
            "{:<34} {count:>12} {:>10}",
            layered.name(),
            count - counts[0]
        );
    }
}

/// What the program does under callgrind.
fn make_calls(name: &str, calls: &str) {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let known = Layered::ALL.into_iter().find(|known| known.name() == name);
    let mut call = runtime.block_on(LayeredCall::warm(known.expect("the name of a contender")));
    let calls: u64 = calls.parse().expect("a number");
    for _ in 0..calls {
        call.make_at_once();
    }
}
