//! What a call sees: the access tokens of this process, and what happened to each. No I/O, and no store.

pub(crate) mod claims;
pub(crate) mod cooldowns;
pub(crate) mod entry;
pub(crate) mod history;
pub(crate) mod limiter;
pub(crate) mod map;
pub(crate) mod outcome;
pub(crate) mod policy;
pub(crate) mod rejection;
