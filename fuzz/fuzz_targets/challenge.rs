//! Any bytes as `WWW-Authenticate` header lines.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reqwest_bearer::fuzzing::challenge(data));
