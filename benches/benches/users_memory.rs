//! What a user costs in memory, besides the texts of the tokens: signed in, and cached.
//!
//! Exact: every byte that is asked for is counted. What an allocator adds to each piece is not; the
//! bench `users` shows the whole process. Fails if a cached user misses the goal.

use std::process::ExitCode;

use allocation_counter::{AllocationInfo, measure};
use reqwest_bearer::{MemoryStore, UserSessions};
use reqwest_bearer_benches::token_text;
use reqwest_bearer_benches::users::{letters_of_tokens, session, token_set, user_sessions};
use tokio::runtime::{Builder, Runtime};

/// In bytes.
const GOAL: i64 = 1024;
const SESSIONS: usize = 1_000_000;
/// The capacity of a cache is twice as much.
const CACHED: usize = 5_000;

fn main() -> ExitCode {
    // G3
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let store = MemoryStore::new();
    sign_in(&runtime, &store, 0..1);
    let sessions = bytes(|| sign_in(&runtime, &store, 1..SESSIONS));
    println!(
        "a session in the memory store: {} bytes besides the tokens' {}",
        each(sessions, SESSIONS - 1) - letters(letters_of_tokens()),
        letters_of_tokens()
    );

    // A process that has signed nobody in: what it caches, the store had before.
    let source = user_sessions(store.clone());
    use_tokens(&runtime, &source, 0..1);
    let half = bytes(|| use_tokens(&runtime, &source, 1..CACHED));
    let other_half = bytes(|| use_tokens(&runtime, &source, CACHED..2 * CACHED));
    let header = "Bearer ".len() + token_text().len();
    let besides = |bytes, users| each(bytes, users) - letters(header);
    println!(
        "a cached user: {} bytes besides the header's {header} ({} for the first half of them)",
        besides(other_half, CACHED),
        besides(half, CACHED - 1),
    );
    let reached = besides(half + other_half, 2 * CACHED - 1);
    println!("goal: at most {GOAL} bytes on the average; reached: {reached}");
    if reached <= GOAL {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// What `work` has allocated and not given back.
fn bytes(work: impl FnOnce()) -> i64 {
    let AllocationInfo { bytes_current, .. } = measure(work);
    bytes_current
}

fn each(bytes: i64, number: usize) -> i64 {
    bytes / letters(number)
}

fn letters(number: usize) -> i64 {
    i64::try_from(number).expect("it is small")
}

/// Through sources that are gone afterwards, so that the sessions alone are left.
fn sign_in(runtime: &Runtime, store: &MemoryStore, numbers: std::ops::Range<usize>) {
    let source = user_sessions(store.clone());
    for number in numbers {
        let signed_in = runtime.block_on(source.sign_in(&session(number), token_set()));
        signed_in.expect("the memory takes it");
    }
}

fn use_tokens(runtime: &Runtime, source: &UserSessions, numbers: std::ops::Range<usize>) {
    for number in numbers {
        let token = runtime.block_on(source.for_subject(&session(number)).token());
        token.expect("the user is signed in");
    }
}
