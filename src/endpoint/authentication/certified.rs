//! Clients that are known by a certificate, or whose tokens are bound to one (RFC 8705).

use crate::endpoint::authentication::{ClientAuthentication, Method};
use crate::mtls::ClientCertificate;

impl ClientAuthentication {
    /// A certificate that an authority vouches for, whose subject the server knows the client by (RFC 8705
    /// section 2.1). It goes into the TLS handshake; the body has the client id alone.
    ///
    /// Where the discovery document has `mtls_endpoint_aliases` (section 5), those are asked.
    ///
    /// ```
    /// use reqwest_bearer::{ClientAuthentication, ClientCertificate};
    ///
    /// let certificate = ClientCertificate::files("/run/tls/tls.crt", "/run/tls/tls.key");
    /// let client = ClientAuthentication::tls_client_auth("my-client", certificate);
    /// ```
    #[must_use]
    pub fn tls_client_auth(
        client_id: impl Into<String>,
        certificate: impl Into<ClientCertificate>,
    ) -> Self {
        Self::new(client_id, Method::Tls("tls_client_auth")).client_certificate(certificate)
    }

    /// A certificate that the server knows itself, such as by the client's JWK set (RFC 8705 section 2.2);
    /// nobody need vouch for it.
    #[must_use]
    pub fn self_signed_tls_client_auth(
        client_id: impl Into<String>,
        certificate: impl Into<ClientCertificate>,
    ) -> Self {
        let method = Method::Tls("self_signed_tls_client_auth");
        Self::new(client_id, method).client_certificate(certificate)
    }

    /// Presents a certificate at TLS besides, for tokens that are bound to it (RFC 8705 sections 3 and 4):
    /// of a public client, or of one that proves who it is in another way.
    ///
    /// The refresh tokens of a public client are bound to it, too (section 4): when another takes its
    /// place, its users sign in again.
    /// Default: none.
    #[must_use]
    pub fn client_certificate(mut self, certificate: impl Into<ClientCertificate>) -> Self {
        self.certificate = Some(certificate.into());
        self
    }

    /// What it presents at TLS, if anything.
    pub(crate) fn certificate(&self) -> Option<&ClientCertificate> {
        self.certificate.as_ref()
    }

    /// Whether another client presents the same at TLS.
    pub(crate) fn has_certificate_of(&self, other: &Self) -> bool {
        match (&self.certificate, &other.certificate) {
            (None, None) => true,
            (Some(own), Some(other)) => own.is(other),
            _ => false,
        }
    }
}
