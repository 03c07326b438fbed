//! Where an issuer's endpoints are: fetched when first needed, kept for a day.

use std::sync::{Arc, Mutex, PoisonError};

use reqwest::Url;

use crate::clock::Clock;
use crate::endpoint::document::{Document, Issuer, Naming};
use crate::endpoint::kept::{Kept, Outcome};
use crate::endpoint::transport::Transport;
use crate::error::{Error, ErrorKind};
use crate::origin::same_origin;

/// The discovery of one issuer, shared by all clones of its endpoint.
#[derive(Debug)]
pub(crate) struct Discovery {
    issuer: Issuer,
    transport: Transport,
    clock: Clock,
    kept: Arc<Kept<Document>>,
    /// That of the other document, once it has been needed.
    other: Mutex<Option<Arc<Self>>>,
}

impl Discovery {
    pub(crate) fn new(issuer: Issuer, transport: Transport, clock: Clock) -> Self {
        let place = issuer.place().clone();
        Self {
            issuer,
            transport,
            kept: Arc::new(Kept::new("discovery document", place, clock.clone())),
            clock,
            other: Mutex::default(),
        }
    }

    pub(crate) fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    /// The issuer's document: the kept one, or the outcome of the one fetch that is under way.
    ///
    /// # Errors
    /// As the fetch failed; for a while after that the same error at once.
    pub(crate) async fn document(self: &Arc<Self>) -> Outcome<Document> {
        let fetch = || {
            let own = Arc::clone(self);
            async move { own.issuer.fetch(&own.transport, &own.clock).await }
        };
        self.kept.get(fetch).await
    }

    /// The token endpoint, if it has been found, otherwise where it is looked for.
    pub(crate) fn server(&self) -> Url {
        match self.kept.found() {
            Some(document) => document.token_endpoint.clone(),
            None => self.issuer.place().clone(),
        }
    }

    /// The issuer as the settings name it, unless the document that was found names another, be it by one
    /// `/` alone. None is fetched for that.
    pub(crate) fn issuer_to_name(&self) -> Option<String> {
        let named = self.issuer.name()?;
        let found = self.kept.found();
        let agrees = found.is_none_or(|document| document.issuer == named);
        agrees.then(|| named.to_owned())
    }

    /// Where tokens are revoked, by clients with a certificate or without.
    ///
    /// # Errors
    /// As for [`endpoint_of_either`](Self::endpoint_of_either).
    pub(crate) async fn revocation_endpoint(
        self: &Arc<Self>,
        by_certificate: bool,
    ) -> Result<Option<Url>, Error> {
        let named = |document: &Document| document.revocation_endpoint_for(by_certificate).cloned();
        self.endpoint_of_either(by_certificate, named).await
    }

    /// Where a device asks for its codes (RFC 8628 section 3.1), likewise.
    ///
    /// # Errors
    /// As for [`endpoint_of_either`](Self::endpoint_of_either).
    pub(crate) async fn device_endpoint(
        self: &Arc<Self>,
        by_certificate: bool,
    ) -> Result<Option<Url>, Error> {
        let named = |document: &Document| document.device_endpoint_for(by_certificate).cloned();
        self.endpoint_of_either(by_certificate, named).await
    }

    /// An endpoint that the document names, or else another document of the same issuer, which is asked for
    /// when that is needed and not before. There it has to be at the origin of the token endpoint, which is
    /// where our client authentication belongs.
    ///
    /// # Errors
    /// If a document cannot be had; that there is no other one is no error.
    async fn endpoint_of_either(
        self: &Arc<Self>,
        by_certificate: bool,
        named: impl Fn(&Document) -> Option<Url>,
    ) -> Result<Option<Url>, Error> {
        let document = self.document().await?;
        let known = named(&document);
        let place = match (known, &document.other_place) {
            (None, Some(place)) => place.clone(),
            (known, _) => return Ok(known),
        };
        let other = self.other(&document.issuer, place)?;
        // Boxed, since it is a future of this very kind.
        match Box::pin(other.document()).await {
            Ok(other) => {
                let token_endpoint = document.token_endpoint_for(by_certificate);
                Ok(named(&other).filter(|url| same_origin(url, token_endpoint)))
            }
            Err(error) if error.kind() == ErrorKind::Protocol => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn other(&self, issuer: &str, place: Url) -> Result<Arc<Self>, Error> {
        let mut other = self.other.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = other.as_ref().filter(|known| known.issuer.text() == issuer) {
            return Ok(known.clone());
        }
        let plain_http = self.issuer.plain_http();
        let issuer = Issuer::at(place, Some(issuer), Naming::Exactly, plain_http)?;
        let discovery = Self::new(issuer, self.transport.clone(), self.clock.clone());
        Ok(other.insert(Arc::new(discovery)).clone())
    }
}
