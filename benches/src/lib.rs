//! What the benches share: the contenders, the call that each of them makes, and rounds in turn.

mod call;
mod callgrind;
mod contender;
#[cfg(feature = "dpop")]
pub mod dpop;
#[cfg(feature = "dpop")]
pub mod dpop_server;
#[cfg(feature = "tower")]
pub mod layered;
mod middlewares;
mod rounds;
pub mod server;
pub mod token_server;
pub mod users;

pub use call::{Call, client, grant};
pub use callgrind::instructions_per_call;
pub use contender::Contender;
pub use middlewares::Canned;
pub use rounds::{in_turn, median};

/// Where the calls go, in name only.
pub const ORIGIN: &str = "https://api.example.com";

/// A text as long as a usual JWT: 1 KB.
pub fn token_text() -> String {
    "eyJhbGciOiJFUzI1NiJ9.0123456789".repeat(33)
}
