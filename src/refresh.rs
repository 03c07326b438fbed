//! What happens behind the calls: a flight from its start to its landing.

mod admission;
mod attempt;
mod backend;
mod check;
mod ending;
mod failure;
mod flight;
mod identity;
mod issue;
mod landing;
mod local;
mod protocol;
pub(crate) mod revocation;
mod run;
mod shared;
pub(crate) mod start;
mod write_back;

pub(crate) use crate::refresh::landing::adopt;
pub(crate) use crate::refresh::write_back::offer as offer_unsaved;
