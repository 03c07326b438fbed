//! What an access token is cached under: everything that shapes it (D8).

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use papaya::Equivalent;

use crate::parameters::TokenParameters;
use crate::subject::Subject;
use crate::subject_token::SubjectToken;
use crate::token_owner::TokenOwner;

/// Whose token, and narrowed to what. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TokenKey {
    pub(crate) subject: Option<Subject>,
    /// Shared by all the users who ask for nothing in particular.
    pub(crate) parameters: Arc<TokenParameters>,
}

/// The same, to look a token up with.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'call> {
    pub(crate) subject: Option<&'call Subject>,
    pub(crate) parameters: &'call TokenParameters,
    /// What the token is to be exchanged for, whose digest then is the subject: an entry that is made
    /// keeps it.
    pub(crate) subject_token: Option<&'call SubjectToken>,
}

impl TokenKey {
    /// The key of the application's own token.
    pub(crate) fn own() -> Self {
        Self {
            subject: None,
            parameters: Arc::default(),
        }
    }

    /// Whose token it is.
    pub(crate) fn owner(&self) -> TokenOwner {
        match &self.subject {
            Some(subject) => TokenOwner::User(subject.clone()),
            None => TokenOwner::Application,
        }
    }

    pub(crate) fn as_wanted(&self) -> Wanted<'_> {
        Wanted {
            subject: self.subject.as_ref(),
            parameters: &self.parameters,
            subject_token: None,
        }
    }
}

impl Hash for Wanted<'_> {
    /// Of what there is: hashing four times that there is nothing would cost a warm call as much as
    /// hashing its subject.
    fn hash<H: Hasher>(&self, state: &mut H) {
        if let Some(subject) = self.subject {
            subject.hash(state);
        }
        if !self.parameters.is_empty() {
            self.parameters.hash(state);
        }
    }
}

impl Hash for TokenKey {
    /// As [`Wanted`] is hashed, or it would find nothing.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_wanted().hash(state);
    }
}

impl Equivalent<TokenKey> for Wanted<'_> {
    fn equivalent(&self, key: &TokenKey) -> bool {
        self.subject == key.subject.as_ref() && *self.parameters == *key.parameters
    }
}

#[cfg(test)]
mod tests {
    use super::{TokenKey, Wanted};
    use crate::parameters::TokenParameters;
    use crate::subject::Subject;
    use papaya::Equivalent;
    use std::sync::Arc;

    #[test]
    fn whatever_shapes_a_token_tells_its_key_from_all_others() {
        // D8
        let subjects = [None, Subject::new("a").ok(), Subject::new("b").ok()];
        let parameters = [
            TokenParameters::new(),
            TokenParameters::new().scope("a"),
            TokenParameters::new().resource("a"),
        ];
        let mut keys = Vec::new();
        for subject in &subjects {
            for parameters in &parameters {
                keys.push(TokenKey {
                    subject: subject.clone(),
                    parameters: Arc::new(parameters.clone()),
                });
            }
        }
        for (i, one) in keys.iter().enumerate() {
            for (j, other) in keys.iter().enumerate() {
                let wanted: Wanted<'_> = one.as_wanted();
                assert_eq!(wanted.equivalent(other), i == j, "{one:?} {other:?}");
            }
        }
    }
}
