//! How a source wants its tokens bound.

use crate::dpop::binding::Binding;
use crate::dpop::key::DpopKey;
use crate::error::{Error, HowFar};

/// Whose keys a source's tokens are bound to, and whether it takes anything but bound tokens.
#[derive(Clone, Debug)]
pub(crate) struct DpopSetting {
    pub(crate) keys: Keys,
    pub(crate) is_required: bool,
}

/// Whose keys they are.
#[derive(Clone, Debug)]
#[cfg_attr(
    not(feature = "dpop"),
    expect(dead_code, reason = "without the feature nobody asks for keys")
)]
pub(crate) enum Keys {
    /// One of the process, for an application's own tokens.
    OfProcess(DpopKey),
    /// One for each user's session, in its record: a key that all users share would bind nobody's token to
    /// a session.
    OfSessions,
}

impl DpopSetting {
    /// The key of the process, if there is one.
    pub(crate) fn of_process(&self) -> Option<&DpopKey> {
        match &self.keys {
            Keys::OfProcess(key) => Some(key),
            Keys::OfSessions => None,
        }
    }

    /// The key for the tokens of a session that has this one, if it has one.
    ///
    /// # Errors
    /// If there is none, and has to be: the session began before keys were required. Nothing is lost of
    /// it, in case they are not required again.
    pub(crate) fn key<'key>(
        &'key self,
        of_session: Option<&'key DpopKey>,
    ) -> Result<Option<&'key DpopKey>, Error> {
        let key = self.of_process().or(of_session);
        if key.is_none() && self.is_required {
            return Err(Error::sign_in_required(
                "the session has no DPoP key, and bound tokens are required; the user has to sign in \
                 again",
            )
            .got(HowFar::NotSent));
        }
        Ok(key)
    }

    /// Whether a token with this binding is what was asked for with `key`. What an answer spent that
    /// brought another one is spent.
    ///
    /// # Errors
    /// For a token that is not bound, where it has to be: whoever stole it could use it.
    pub(crate) fn check(
        &self,
        key: Option<&DpopKey>,
        binding: Option<&Binding>,
    ) -> Result<(), Error> {
        match binding {
            Some(binding) if Some(binding.key()) == key => Ok(()),
            None if !self.is_required => Ok(()),
            Some(_) => Err(Error::protocol(
                "the token is bound to another DPoP key than that of the token source, or of the user's \
                 session",
            )
            .got(HowFar::Unusable)),
            None => Err(Error::protocol(
                "the token is a bearer token although a DPoP proof went along, and this source takes none; see \
                 that the server knows this client as one with DPoP, or say `offer_dpop`",
            )
            .got(HowFar::Unusable)),
        }
    }
}
