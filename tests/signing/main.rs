//! Keys, and requests that are signed with them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test may fail it"
)]

mod keys;
