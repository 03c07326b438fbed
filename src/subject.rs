//! The user for whom a token was issued.

use std::fmt;
use std::sync::Arc;

use crate::error::{Error, ErrorKind};

/// In bytes. A session id has some forty, a DID or a distinguished name some hundred.
const LONGEST: usize = 1024;

/// Whose tokens a request goes out with: a session id or a user id.
///
/// **A web back end uses session ids.** One user may be signed in twice, on a phone and on a
/// laptop; with a user id as the subject the second sign-in would replace the first one's tokens,
/// and signing out of one would sign out of both. A user id is right where there is one sign-in
/// for each user: a command-line program, a job that works for its users at night.
///
/// A request's subject comes from, in this order:
///
/// 1. the request: `request.with_extension(subject)`;
/// 2. a handle: [`NamedUserClient::for_subject`](crate::NamedUserClient::for_subject),
///    [`UserSessions::for_subject`](crate::UserSessions::for_subject);
/// 3. the task: [`Subject::run`], which a web framework's middleware sets once for each incoming
///    request.
///
/// A session id is as good as a password, so `Debug` does not show it, no event and no log line
/// has it, and stores know only a digest of it. Cheap to clone.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subject(Arc<str>);

impl Subject {
    /// The subject of this id, taken letter for letter: 1 to 1,024 bytes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSubject`] for an empty or blank id, or one that is too long.
    pub fn new(id: impl AsRef<str>) -> Result<Self, Error> {
        let id = id.as_ref();
        let problem = if id.trim().is_empty() {
            "the subject is empty; without a user there are no tokens"
        } else if id.len() > LONGEST {
            "the subject is longer than 1,024 bytes; use an id, not the data of a user"
        } else {
            return Ok(Self(id.into()));
        };
        Err(Error::new(ErrorKind::InvalidSubject, problem))
    }

    /// A digest in the place of an id.
    pub(crate) fn of_digest(digest: &str) -> Self {
        Self(digest.into())
    }

    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[subject]")
    }
}

#[cfg(test)]
mod tests {
    use super::Subject;
    use crate::error::ErrorKind;

    #[test]
    fn a_subject_has_one_to_a_thousand_and_twenty_four_bytes_and_does_not_show_itself() {
        // F1, D6
        for good in ["a", "auth0|5f7c", " a ", &"x".repeat(1024)] {
            let subject = Subject::new(good).unwrap();
            assert_eq!(subject.as_str(), good);
            assert_eq!(format!("{subject:?}"), "[subject]");
        }
        for bad in ["", " ", "\t\n", &"x".repeat(1025)] {
            let error = Subject::new(bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidSubject, "{bad:?}");
        }
    }
}
