//! Any status and body as the answer of a token endpoint, and anything that a hook may make of it.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| reqwest_bearer::fuzzing::translated_answer(data));
