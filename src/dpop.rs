//! Tokens that are bound to a key, so that whoever steals one cannot use it: DPoP (RFC 9449).

mod binding;
mod key;
mod nonces;
mod proof;
mod proof_id;
mod session_key;
mod setting;

pub use key::DpopKey;

pub(crate) use binding::{Binding, DPOP_HEADER, Proof};
pub(crate) use nonces::{Nonce, Nonces, next_nonce};
pub(crate) use proof::Sending;
pub(crate) use session_key::SessionKey;
pub(crate) use setting::{DpopSetting, Keys};

/// The scheme of the `Authorization` header, and of challenges (RFC 9449 section 7.1).
pub(crate) const DPOP: &str = "DPoP";

/// What a server says that refuses a proof (RFC 9449 sections 5 and 7.1).
pub(crate) const INVALID_DPOP_PROOF: &str = "invalid_dpop_proof";

/// What a server says that wants a nonce in the proof, or another one (RFC 9449 sections 8 and 9).
pub(crate) const USE_DPOP_NONCE: &str = "use_dpop_nonce";
