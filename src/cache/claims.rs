//! What came of the claims that an API demanded: they are asked for once in place of each token (K28).

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::error::Error;

/// The last claims that were asked for.
#[derive(Debug, Default)]
pub(crate) struct AskedClaims(Option<Box<Asked>>);

#[derive(Debug)]
struct Asked {
    /// Of the token that lacks them.
    generation: u64,
    /// Which claims, as a hash.
    about: u64,
    /// Why there is no token with them, as soon as the authorization server has answered.
    in_vain: Option<Error>,
}

impl AskedClaims {
    /// Whether these are the last ones that were asked for in place of the token of this generation.
    pub(crate) fn are(&self, generation: u64, claims: &str) -> bool {
        self.0
            .as_ref()
            .is_some_and(|asked| asked.generation == generation && asked.about == digest(claims))
    }

    /// Why asking for them again would be in vain.
    pub(crate) fn in_vain(&self) -> Option<&Error> {
        self.0.as_ref()?.in_vain.as_ref()
    }

    /// They are asked for now.
    pub(crate) fn begin(&mut self, generation: u64, claims: &str) {
        self.0 = Some(Box::new(Asked {
            generation,
            about: digest(claims),
            in_vain: None,
        }));
    }

    /// They are not asked for any more: unless the authorization server has answered, they may be again.
    pub(crate) fn end(&mut self) {
        if self.in_vain().is_none() {
            self.0 = None;
        }
    }

    /// The authorization server has answered, and the token is the same as before.
    pub(crate) fn end_in_vain(&mut self, why: Error) {
        if let Some(asked) = &mut self.0 {
            asked.in_vain = Some(why);
        }
    }
}

fn digest(claims: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    claims.hash(&mut hasher);
    hasher.finish()
}
