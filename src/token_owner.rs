//! Whose a token is.

use crate::subject::Subject;

/// Whose token a [`Grant`](crate::Grant) is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TokenOwner {
    /// The application itself.
    Application,
    /// One of its users ([`UserSessions`](crate::UserSessions)).
    User(Subject),
}
