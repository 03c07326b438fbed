//! What a warm call allocates. Exact, and the same in every run.

use allocation_counter::{AllocationInfo, measure};
use reqwest_bearer_benches::{Call, Contender};
use tokio::runtime::Builder;

fn main() {
    // G2
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let counts = Contender::ALL.map(|contender| {
        let mut call = runtime.block_on(Call::warm(contender));
        measure(|| call.make_at_once())
    });
    let none = &counts[Contender::DoNothing as usize];
    println!(
        "{:<34} {:>12} {:>10} {:>8} {:>10}",
        "per call", "allocations", "over none", "bytes", "over none"
    );
    for (contender, count) in Contender::ALL.into_iter().zip(&counts) {
        let AllocationInfo {
            count_total,
            bytes_total,
            ..
        } = count;
        println!(
            "{:<34} {count_total:>12} {:>10} {bytes_total:>8} {:>10}",
            contender.name(),
            count_total - none.count_total,
            bytes_total - none.bytes_total
        );
    }
}
