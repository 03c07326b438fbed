//! Any bytes as a discovery document.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reqwest_bearer::fuzzing::discovery_document(data));
