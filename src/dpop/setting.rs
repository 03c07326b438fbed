//! How a source wants its tokens bound.

use crate::dpop::binding::Binding;
use crate::dpop::key::DpopKey;
use crate::error::{Error, HowFar};

/// The key that a source offers, and whether it takes anything but bound tokens.
#[derive(Clone, Debug)]
pub(crate) struct DpopSetting {
    pub(crate) key: DpopKey,
    pub(crate) is_required: bool,
}

impl DpopSetting {
    /// Whether a token with this binding is what was wanted. What an answer spent that brought another
    /// one is spent.
    ///
    /// # Errors
    /// For a token that is not bound, where it has to be: whoever stole it could use it.
    pub(crate) fn check(&self, binding: Option<&Binding>) -> Result<(), Error> {
        match binding {
            Some(binding) if *binding.key() == self.key => Ok(()),
            None if !self.is_required => Ok(()),
            Some(_) => Err(Error::protocol(
                "the token is bound to another DPoP key than that of the token source",
            )
            .got(HowFar::Unusable)),
            None => Err(Error::protocol(
                "the token is a bearer token although a DPoP proof went along, and this source takes \
                 none; see that the server knows this client as one with DPoP, or say `offer_dpop`",
            )
            .got(HowFar::Unusable)),
        }
    }
}
