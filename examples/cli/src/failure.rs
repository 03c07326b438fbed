//! What went wrong, in words for the user and a code for scripts.

use std::error::Error as StdError;
use std::fmt;
use std::process::ExitCode;

use reqwest_bearer::{Error, ErrorKind};

/// Scripts tell by this one that somebody has to sign in.
const SIGN_IN_REQUIRED: u8 = 4;

pub(crate) struct Failure(Box<dyn StdError>);

impl Failure {
    pub(crate) fn is_sign_in_required(&self) -> bool {
        self.own()
            .is_some_and(|error| error.kind() == ErrorKind::SignInRequired)
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.is_sign_in_required() {
            ExitCode::from(SIGN_IN_REQUIRED)
        } else {
            ExitCode::FAILURE
        }
    }

    /// What the crate has to say, wherever it stands among the causes.
    fn own(&self) -> Option<&Error> {
        Error::find_in(&*self.0)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_sign_in_required() {
            return formatter.write_str("You are not signed in. Please run: cli login");
        }
        write!(formatter, "error: {}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(formatter, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl<E: Into<Box<dyn StdError>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}
