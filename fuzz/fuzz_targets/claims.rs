//! Any text as the claims of a challenge.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reqwest_bearer::fuzzing::claims(data));
