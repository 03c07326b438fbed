//! Any status and body as the answer of a token endpoint.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reqwest_bearer::fuzzing::token_answer(data));
