//! What a flight brings.

use crate::clock::Moment;
use crate::error::Error;
use crate::kept::KeptToken;
use crate::token::TokenResponse;

/// What a flight brings.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// The answer to a token request.
    Issued(Answer),
    /// A token that another process had got, and that the store kept.
    Kept(KeptToken),
}

/// A token set that has arrived.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: TokenResponse,
    /// The instant before the request was sent: the lifetime counts from here (B8).
    pub(crate) asked: Moment,
    /// Why a later one, which was asked for besides, did not come.
    pub(crate) in_vain: Option<Error>,
}
