#![doc = include_str!("../README.md")]

#[cfg(not(any(feature = "postgres", feature = "sqlite")))]
compile_error!("reqwest-bearer-sqlx needs one of its features `postgres` and `sqlite`");

mod builder;
mod database;
mod records;
mod report;
mod statements;
mod store;
mod sweep;
mod table;

// Its pools are in our signatures.
pub use sqlx;

pub use builder::SqlxStoreBuilder;
pub use store::SqlxStore;
