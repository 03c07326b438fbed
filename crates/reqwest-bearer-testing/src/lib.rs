//! Tests for programs that use [`reqwest_bearer`]: a fake authorization server and a fake API on real
//! sockets of this machine, and the contracts that stores and grants are held to.
//!
//! - [`FakeAuthorizationServer`] issues tokens as a strict server does, and does at a test's word what
//!   servers do on bad days: it refuses, is slow, down or odd. It says what it saw.
//! - [`FakeApi`] takes its valid tokens, and answers 401 to all others.
//! - [`Answer`] is what either answers when a test tells it to, [`Gate`] what makes it slow,
//!   [`SeenRequest`] what it saw.
//! - [`skip_pauses`] moves a [`TestClock`](reqwest_bearer::TestClock) over the pauses of a call, and
//!   [`hold_time`] keeps tokio's paused time from running ahead of sockets.
//! - [`StoreContract`] and [`GrantContract`] hold a [`TokenStore`](reqwest_bearer::TokenStore) or a
//!   [`Grant`](reqwest_bearer::Grant) of your own to what the crate's own are held to.
//!
//! Functions that wait panic when nothing comes: that is how a test fails. The servers never do.

mod answer;
mod api;
mod contract;
mod control;
mod gate;
mod given_up;
#[expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "what a grant does not do fails the test that asks for it"
)]
mod grant_contract;
mod held_time;
mod http_server;
mod limit;
mod pauses;
mod seen;
mod server;
#[expect(
    clippy::unwrap_used,
    reason = "what a store does not do fails the test that asks for it"
)]
mod store_contract;
mod time;

pub use answer::Answer;
pub use api::FakeApi;
pub use contract::BrokenPromise;
pub use gate::Gate;
pub use grant_contract::GrantContract;
pub use held_time::{HeldTime, hold_time};
pub use pauses::skip_pauses;
pub use seen::SeenRequest;
pub use server::FakeAuthorizationServer;
pub use store_contract::StoreContract;

// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
