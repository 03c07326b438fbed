//! HTTP clients that present a certificate: made anew for each that comes.

use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use reqwest::{ClientBuilder, Identity};

use crate::error::Error;
use crate::mtls::certificate::{ClientCertificate, Presented};

/// Clients with the certificate of now. Those of the one before go, with the connections that know them by
/// it and what TLS would resume, once their last request has ended.
pub(crate) struct CertifiedClients<C> {
    certificate: ClientCertificate,
    build: Box<dyn Fn(Identity) -> Result<C, Error> + Send + Sync>,
    built: ArcSwapOption<(Presented, C)>,
    /// Held while one is built, so that a thousand calls build one.
    building: Mutex<()>,
}

/// A builder whose client presents this certificate. By rustls, which alone can take it in PEM.
pub(crate) fn presenting(builder: ClientBuilder, identity: Identity) -> ClientBuilder {
    builder.tls_backend_rustls().identity(identity)
}

impl<C: Clone> CertifiedClients<C> {
    pub(crate) fn new(
        certificate: ClientCertificate,
        build: impl Fn(Identity) -> Result<C, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            certificate,
            build: Box::new(build),
            built: ArcSwapOption::empty(),
            building: Mutex::default(),
        }
    }

    pub(crate) fn certificate(&self) -> &ClientCertificate {
        &self.certificate
    }

    /// Builds the clients at once if the certificate is in memory, so that what is wrong with them is told
    /// where they are set.
    ///
    /// # Errors
    /// If they cannot be built.
    pub(crate) fn build_what_is_in_memory(&self) -> Result<(), Error> {
        match self.certificate.in_memory() {
            Some(seen) => self.presenting(&seen.presented).map(drop),
            None => Ok(()),
        }
    }

    /// The clients that present this.
    ///
    /// # Errors
    /// If they cannot be built.
    pub(crate) fn presenting(&self, presented: &Presented) -> Result<C, Error> {
        if let Some(client) = self.known(presented) {
            return Ok(client);
        }
        let _building = self.building.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = self.known(presented) {
            return Ok(client);
        }
        let client = (self.build)(presented.identity())?;
        self.built
            .store(Some(Arc::new((presented.clone(), client.clone()))));
        Ok(client)
    }

    fn known(&self, presented: &Presented) -> Option<C> {
        let built = self.built.load();
        let (of, client) = &**built.as_ref()?;
        of.is(presented).then(|| client.clone())
    }
}

/// Without the client inside, which shows its default headers.
impl<C> std::fmt::Debug for CertifiedClients<C> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CertifiedClients")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}
