//! Why a command brought nothing.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::error::Error;
use crate::store::redis::report::report;

/// Why a command brought nothing.
pub(super) enum Failure {
    /// There is no connection.
    Unconnected(Error),
    /// There is none any more, and the command may have been carried out.
    Broken(RedisError),
    /// Redis said no.
    Refused(RedisError),
    /// Redis said nothing.
    TooLate,
}

impl Failure {
    /// What the error means that came in place of an answer.
    pub(super) fn of_answer(error: RedisError) -> Self {
        match is_broken(&error) {
            true => Self::Broken(error),
            false => Self::Refused(error),
        }
    }

    /// Whether a cluster was asked for keys of two slots at once.
    pub(super) fn is_cross_slot(&self) -> bool {
        let Self::Refused(error) = self else {
            return false;
        };
        error.kind() == ErrorKind::Server(ServerErrorKind::CrossSlot)
    }

    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Unconnected(error) => error,
            Self::Broken(error) | Self::Refused(error) => report(&error),
            Self::TooLate => Error::store("Redis did not answer in time"),
        }
    }
}

/// What Redis itself says leaves the connection whole, but for what a server says that another one may have
/// replaced: `READONLY`, it has become a replica; `NOREPLICAS`, it is told to write nothing without replicas,
/// and they have left it. The way to Redis may lead to the new master already.
fn is_broken(error: &RedisError) -> bool {
    match error.kind() {
        ErrorKind::Server(ServerErrorKind::ReadOnly) => true,
        ErrorKind::Extension => error.code() == Some("NOREPLICAS"),
        ErrorKind::Server(_) | ErrorKind::UnexpectedReturnType => false,
        _ => true,
    }
}
