//! Two small APIs on loopback, one of which calls the other for whoever calls it.

mod incoming;
pub(crate) mod orders;
pub(crate) mod stock;
