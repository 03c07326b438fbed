//! What a warm call allocates. Exact, and the same in every run.

use allocation_counter::{AllocationInfo, measure};
#[cfg(feature = "dpop")]
use reqwest_bearer::{SigningAlgorithm, SigningKey};
#[cfg(feature = "dpop")]
use reqwest_bearer_benches::dpop::BoundCall;
use reqwest_bearer_benches::{Call, Contender};
use tokio::runtime::Builder;
#[cfg(feature = "dpop")]
use tokio::runtime::Runtime;

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
    #[cfg(feature = "dpop")]
    bound(&runtime, none);
}

/// The same call with a token that is bound to a key, and the parts of it.
#[cfg(feature = "dpop")]
fn bound(runtime: &Runtime, none: &AllocationInfo) {
    let key = SigningKey::generate(SigningAlgorithm::Es256).expect("random numbers");
    let mut call = runtime.block_on(BoundCall::warm(key));
    let signature = measure(|| call.sign_at_once());
    let proof = measure(|| call.prove_at_once());
    let made = measure(|| call.make_at_once());
    for (name, count, zero) in [
        ("signature alone", &signature, None),
        ("proof alone", &proof, None),
        ("ours, bound (DPoP)", &made, Some(none)),
    ] {
        println!(
            "{name:<34} {:>12} {:>10} {:>8} {:>10}",
            count.count_total,
            count.count_total - zero.map_or(0, |none| none.count_total),
            count.bytes_total,
            count.bytes_total - zero.map_or(0, |none| none.bytes_total),
        );
    }
}
