//! Who refused a token.

use std::sync::Arc;

use reqwest::Url;

use crate::origin::Origin;

/// An API, or the user, by hand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refuser {
    /// Shared, and so as small as a pointer: each token has room for one (G3).
    Api(Arc<Origin>),
    ByHand,
}

impl Refuser {
    /// The API at this URL.
    pub(crate) fn at(url: &Url) -> Self {
        // Whatever answers a request is at an http or https URL.
        Origin::of(url).map_or(Self::ByHand, |origin| Self::Api(Arc::new(origin)))
    }

    /// Whether it is the API at this URL.
    pub(crate) fn is_at(&self, url: &Url) -> bool {
        match self {
            Self::Api(origin) => origin.matches(url),
            Self::ByHand => false,
        }
    }
}
