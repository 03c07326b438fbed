//! What the callers of a flight hear when it ends.

use crate::access_token::AccessToken;
use crate::error::Error;

/// What a flight ends with.
pub(crate) type Outcome = Result<AccessToken, NoToken>;

/// Why a flight has brought no token.
#[derive(Clone, Debug)]
pub(crate) enum NoToken {
    /// The user has signed out, or in again: what the flight was to renew is not there any more. Another
    /// look tells more.
    Superseded,
    Failed(Error),
}

impl NoToken {
    /// The error of a caller who does not look again.
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::Superseded => superseded(),
            Self::Failed(error) => error,
        }
    }
}

/// The error of a call whose user has gone while it waited.
pub(crate) fn superseded() -> Error {
    Error::sign_in_required(
        "the user signed out, or another one signed in, while the request was under way",
    )
}
