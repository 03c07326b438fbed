//! A named client whose API knows it by its certificate (RFC 8705).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Extensions, StatusCode};
use reqwest::{Client, ClientBuilder, Request, Response, Url};
use reqwest_middleware::{Middleware, Next};

use crate::error::Error;
use crate::mtls::{CertifiedClients, ClientCertificate, presenting, refusal};
use crate::named::builder::NamedClientBuilder;
use crate::named::http::{BuilderFn, Http, Redirects};
use crate::source::handle::Handle;

type Answer<'call> =
    Pin<Box<dyn Future<Output = reqwest_middleware::Result<Response>> + Send + 'call>>;

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

/// Sends each request by the client of the certificate of now, in place of the one below it.
pub(super) struct ByCertificate {
    clients: CertifiedClients<Client>,
    builder: BuilderFn,
    redirects: Redirects,
    tokens: Handle,
}

impl ByCertificate {
    /// # Errors
    /// If there is a client already, or the one with a certificate in memory cannot be built.
    pub(super) fn new(
        certificate: ClientCertificate,
        http: Http,
        redirects: Redirects,
        tokens: &Handle,
    ) -> Result<Self, Error> {
        let builder: BuilderFn = match http {
            Http::Default => Arc::new(Client::builder),
            Http::Function(builder) => builder,
            // It can have one certificate at most.
            _ => {
                return Err(Error::settings(
                    "each client certificate needs an HTTP client of its own, and one is given; give \
                     `http_from_fn` in its place",
                ));
            }
        };
        let builds = builder.clone();
        let clients = CertifiedClients::new(certificate, move |identity| {
            redirects.build(presenting(builds(), identity))
        });
        clients.build_what_is_in_memory()?;
        Ok(Self {
            clients,
            builder,
            redirects,
            tokens: tokens.clone(),
        })
    }

    /// The client that stands where each chain of middleware has one.
    ///
    /// # Errors
    /// If none can be built, with a certificate or without.
    pub(super) fn never_asked(&self) -> Result<Client, Error> {
        self.redirects.build((self.builder)())
    }

    async fn send(&self, request: Request) -> reqwest_middleware::Result<Response> {
        let certificate = self.clients.certificate();
        let seen = certificate.seen().await;
        let seen = seen.map_err(|error| self.failed(error))?;
        if let Some(fault) = seen.fault_to_tell() {
            self.tokens
                .telemetry()
                .client_certificate_unreadable(&fault);
        }
        let client = self.clients.presenting(&seen.presented);
        let client = client.map_err(|error| self.failed(error))?;
        let answer = client.execute(request).await;
        let is_refused = match &answer {
            Ok(answer) => answer.status() == StatusCode::UNAUTHORIZED,
            Err(error) => refusal(error).is_some(),
        };
        if is_refused {
            certificate.doubt(&seen);
        }
        Ok(answer?)
    }

    fn failed(&self, error: Error) -> reqwest_middleware::Error {
        let error = error.of_token_source(&self.tokens.telemetry().source);
        reqwest_middleware::Error::middleware(error)
    }
}

impl Middleware for ByCertificate {
    fn handle<'middleware, 'extensions, 'chain, 'call>(
        &'middleware self,
        request: Request,
        _extensions: &'extensions mut Extensions,
        _next: Next<'chain>,
    ) -> Answer<'call>
    where
        'middleware: 'call,
        'extensions: 'call,
        'chain: 'call,
    {
        Box::pin(self.send(request))
    }
}

/// # Errors
/// If one of the URLs is plain http, where nothing is presented.
pub(super) fn check_https<'url>(urls: impl IntoIterator<Item = &'url str>) -> Result<(), Error> {
    for url in urls {
        if Url::parse(url).is_ok_and(|url| url.scheme() != "https") {
            return Err(Error::settings(
                "the client has a certificate, which is presented at TLS, and one of its origins is plain \
                 http; use https, or leave the certificate out where something else presents it",
            ));
        }
    }
    Ok(())
}
