//! What the two programs share.

pub mod dashboard;
pub mod flaky_store;
pub mod servers;
pub mod traces;
pub mod worker;
