//! What a flight comes to, before it lands.

use crate::clock::Moment;
use crate::error::Error;
use crate::session::record::RecordToken;
use crate::token::TokenResponse;

/// What a flight brings.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// The answer to a token request.
    Issued(Answer),
    /// A token that another process had got, and that the store kept.
    Found(RecordToken),
}

/// A token set that has arrived.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) response: TokenResponse,
    /// The instant before the request was sent: the lifetime counts from here (B8).
    pub(crate) asked: Moment,
    /// Why a later one, which was asked for besides, did not come.
    pub(crate) in_vain: Option<Ending>,
}

/// Why a flight brings nothing.
#[derive(Debug)]
pub(crate) enum Ending {
    /// A token request has failed, or what it needs: the failure is waited out (B5, B6).
    Failed(Error),
    /// The authorization server is left alone because it fails for others (A8): the pause is theirs, and
    /// grows with their failures.
    Barred(Error),
    /// What is known without a request: another look costs the server nothing, and a user may sign in at
    /// any moment.
    Known(Error),
    /// The session is another one by now: another look tells more.
    Superseded,
    /// All callers have given up, and nothing has been sent (A7).
    Abandoned,
}

/// How a store gets what arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Saving {
    /// Now, and the lease is given back with it: it is the last answer of the flight.
    AndRelease,
    /// Now, and the flight goes on.
    Only,
    /// When the store can be asked again (F4).
    Later,
}

/// What became of the tokens that a flight brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Committed {
    /// They are where they are safe.
    Safe,
    /// The store did not take them; a task of its own offers them again, with the lease.
    Unsaved,
    /// Another version of the record was there: they are not to be used.
    Overtaken,
}

/// The user signed out, or stayed away for so long that the session has left the store.
pub(crate) fn session_is_gone() -> Error {
    Error::sign_in_required("the session is gone: the user signed out, or did not use it for long")
}
