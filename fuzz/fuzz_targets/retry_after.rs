//! Any bytes as a `Retry-After` header.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reqwest_bearer::fuzzing::retry_after(data));
