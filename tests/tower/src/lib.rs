//! A gRPC service on a real server of tonic, and its client: what the tests of the tower layer call.
//!
//! Written by hand, as `tonic-prost-build` would generate it from
//!
//! ```proto
//! service Orders {
//!     rpc Get(Order) returns (Order);
//!     rpc Follow(stream Order) returns (stream Order);
//! }
//! ```

#![expect(
    clippy::unwrap_used,
    clippy::missing_panics_doc,
    reason = "what cannot go on in a test may end it"
)]

// Compiles the examples of the page, whose clients the crate itself knows nothing of.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/TOWER.md")]
struct Page;

mod certificates;
mod client;
mod server;

pub use certificates::Certificates;
pub use client::OrdersClient;
pub use server::{OrdersServer, Refuses};

/// The one message.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Order {
    /// What is ordered.
    #[prost(string, tag = "1")]
    pub item: String,
}

impl Order {
    /// An order of this.
    pub fn of(item: impl Into<String>) -> Self {
        Self { item: item.into() }
    }
}
