//! The settings that every door has: where its tokens may go, and how they travel.

use std::fmt;
use std::sync::Arc;

use crate::carrier::{Carrier, CarrierSettings};
use crate::destinations::{Destinations, Elsewhere};
use crate::error::Error;
use crate::outgoing::Bearer;
use crate::source::handle::Handle;

/// The settings, not yet checked.
#[derive(Clone)]
pub(crate) struct BearerSettings {
    pub(crate) tokens: Handle,
    /// The name of the named client that it is for, if it is for one.
    pub(crate) client: Option<Arc<str>>,
    pub(crate) origins: Vec<String>,
    pub(crate) any_origin: bool,
    pub(crate) elsewhere: Elsewhere,
    pub(crate) insecure_http: bool,
    pub(crate) ended_session_is_error: bool,
    pub(crate) carrier: CarrierSettings,
}

/// What is known of a client below, as far as it decides where a header may travel (D3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Redirects {
    /// Nothing: good enough for `Authorization`, which HTTP clients take care of.
    Unknown,
    /// It leaves no origin: good enough for a token in another header.
    AtHome,
    /// It follows none, or is the program's care: good enough for proofs, each of which is for one URL.
    CaredFor,
}

impl BearerSettings {
    pub(crate) fn new(tokens: Handle) -> Self {
        Self {
            tokens,
            client: None,
            origins: Vec::new(),
            any_origin: false,
            elsewhere: Elsewhere::Refused,
            insecure_http: false,
            ended_session_is_error: false,
            carrier: CarrierSettings::default(),
        }
    }

    /// Checks them for a door with this client below.
    ///
    /// # Errors
    /// If no origin was named, or a text is no origin, or one that a token cannot travel to safely; if a
    /// header or a scheme cannot carry a token; what `follows` says, if the header, or a proof, would travel
    /// along redirects; and what is wrong with the grant.
    pub(crate) fn check(
        self,
        redirects: Redirects,
        follows: impl FnOnce(Travelling<'_>) -> Error,
    ) -> Result<Bearer, Error> {
        if let Some(fault) = &self.tokens.fault {
            return Err(self.tokens.named(fault.clone()));
        }
        let origins = (!self.any_origin).then_some(self.origins);
        let destinations = Destinations::new(origins, self.elsewhere, self.insecure_http)?;
        let carrier = self.carrier.check()?;
        if self.tokens.offers_dpop() {
            carrier.check_dpop()?;
            if redirects != Redirects::CaredFor {
                return Err(follows(Travelling::Proof));
            }
        }
        if !carrier.is_dropped_on_redirect() && redirects == Redirects::Unknown {
            return Err(follows(Travelling::Token(&carrier)));
        }
        Ok(Bearer {
            client: self.client,
            ended_session_is_error: self.ended_session_is_error,
            ..Bearer::new(self.tokens, destinations, carrier)
        })
    }
}

/// What would go along with a redirect to another origin.
pub(crate) enum Travelling<'call> {
    Proof,
    /// The token, in the header of this carrier.
    Token(&'call Carrier),
}

impl fmt::Debug for BearerSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the origins, which are not yet checked for passwords.
        formatter
            .debug_struct("BearerSettings")
            .field("source", &self.tokens.name())
            .field("any_origin", &self.any_origin)
            .field("elsewhere", &self.elsewhere)
            .field("insecure_http", &self.insecure_http)
            .finish_non_exhaustive()
    }
}
