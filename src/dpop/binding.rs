//! What a token is bound to, and what its sendings need.

use std::fmt;
use std::sync::Arc;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use reqwest::Url;

use crate::clock::{Clock, Moment};
use crate::clock_skew::{ClockSkew, ClockSkews};
use crate::dpop::key::DpopKey;
use crate::dpop::nonces::{Nonce, Nonces};
use crate::dpop::proof::{Sending, ath};
use crate::error::Error;
use crate::secret::Secret;

/// The header of a proof.
pub(crate) const DPOP_HEADER: HeaderName = HeaderName::from_static("dpop");

/// The key of one bound token, and the nonces of the servers that it goes to. Cheap to clone, and as small as
/// a pointer, since each token has room for one.
#[derive(Clone)]
pub(crate) struct Binding(Arc<Parts>);

struct Parts {
    key: DpopKey,
    /// What proofs say of the token.
    ath: String,
    nonces: Nonces,
    skews: ClockSkews,
    clock: Clock,
}

/// A proof for one sending, and the nonce that is in it.
pub(crate) struct Proof {
    pub(crate) header: HeaderValue,
    pub(crate) nonce: Option<Nonce>,
}

impl Binding {
    pub(crate) fn new(
        key: DpopKey,
        token: &Secret,
        (nonces, skews): (Nonces, ClockSkews),
        clock: Clock,
    ) -> Self {
        Self(Arc::new(Parts {
            key,
            ath: ath(token.expose()),
            nonces,
            skews,
            clock,
        }))
    }

    pub(crate) fn key(&self) -> &DpopKey {
        &self.0.key
    }

    /// A proof for a sending of the token, with this nonce or else the newest one of the server.
    ///
    /// # Errors
    /// If the key cannot sign.
    pub(crate) async fn prove(
        &self,
        method: &Method,
        url: &Url,
        nonce: Option<Nonce>,
    ) -> Result<Proof, Error> {
        let nonce = nonce.or_else(|| self.0.nonces.of(url));
        let sending = Sending {
            method,
            url,
            ath: Some(&self.0.ath),
            nonce: nonce.as_deref(),
            now: self.0.skews.date_for(url, self.0.clock.now()),
        };
        let header = self.0.key.proof(&sending).await?;
        Ok(Proof { header, nonce })
    }

    /// Takes note of the nonce that an answer of this URL gives.
    pub(crate) fn learn(&self, url: &Url, headers: &HeaderMap) {
        self.0.nonces.learn(url, headers);
    }

    /// Takes note of the date of an answer of this URL that refuses a proof, to a request that was sent at
    /// `sent`. Says whether the next proof is dated otherwise.
    pub(crate) fn learn_date(&self, url: &Url, headers: &HeaderMap, sent: Moment) -> bool {
        self.0.skews.learn(url, headers, sent, self.0.clock.now())
    }

    /// What was learnt of a server's clock, once.
    pub(crate) fn untold_skew(&self) -> Option<ClockSkew> {
        self.0.skews.untold()
    }
}

impl fmt::Debug for Binding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Binding").field(self.key()).finish()
    }
}
