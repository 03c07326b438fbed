//! Any text as a base URL and a path to join to it.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| reqwest_bearer::fuzzing::path_join(text));
