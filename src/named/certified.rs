//! The certificate by which the API of a named client knows it (RFC 8705).

use std::sync::Arc;

use reqwest::ClientBuilder;

use crate::mtls::ClientCertificate;
use crate::named::builder::NamedClientBuilder;
use crate::named::http::Http;

impl NamedClientBuilder {
    /// Presents a certificate at TLS (RFC 8705 section 3): to an API whose tokens are bound to it. Give a
    /// clone of the one that the [authorization server](crate::ClientAuthentication::tls_client_auth) is
    /// shown, so that a new one is used at both from the same moment; a token that was bound to the one
    /// before is refused once by the API, and got anew.
    ///
    /// The client is built here, by [`http_from_fn`](Self::http_from_fn) if that is set, for each
    /// certificate that comes. It follows no redirect to another origin; all origins are https.
    /// Default: none.
    ///
    /// ```
    /// # fn build(grant: impl reqwest_bearer::Grant) -> Result<(), reqwest_bearer::Error> {
    /// use reqwest_bearer::{ClientCertificate, NamedClient};
    ///
    /// let certificate = ClientCertificate::files("/run/tls/tls.crt", "/run/tls/tls.key");
    /// let accounts = NamedClient::builder("accounts", "https://api.bank.example/v2", grant)
    ///     .client_certificate(&certificate)
    ///     .build()?;
    /// # Ok(()) }
    /// ```
    pub fn client_certificate(mut self, certificate: impl Into<ClientCertificate>) -> Self {
        self.certificate = Some(certificate.into());
        self
    }

    /// What [`http`](Self::http) is, where there is a [certificate](Self::client_certificate): the function
    /// is called for each one that comes, and gives a builder with the same settings each time. TLS is
    /// rustls's then, and `identity` ours.
    /// Default: as for `http`.
    pub fn http_from_fn(
        mut self,
        builder: impl Fn() -> ClientBuilder + Send + Sync + 'static,
    ) -> Self {
        self.http = Http::Function(Arc::new(builder));
        self
    }
}
