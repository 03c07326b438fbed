//! What outlives a call: the records of sessions, what is known of their refresh tokens, who owns them in
//! this process, and the store that keeps them.

pub(crate) mod doubt;
mod guarded;
pub(crate) mod hook;
pub(crate) mod lease;
mod looks;
pub(crate) mod owner;
pub(crate) mod record;
pub(crate) mod reload;
pub(crate) mod retries;
mod silence;
pub(crate) mod state;
pub(crate) mod store;
pub(crate) mod succession;
pub(crate) mod unsaved;
mod wire;
