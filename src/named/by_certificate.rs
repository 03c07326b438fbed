//! The innermost link of a chain of middleware, where its API knows the client by a certificate.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use http::{Extensions, StatusCode};
use reqwest::{Client, Request, Response, Url};
use reqwest_middleware::{Middleware, Next};

use crate::error::Error;
use crate::mtls::{CertifiedClients, ClientCertificate, presenting, refusal};
use crate::named::http::{BuilderFn, Http, Redirects};
use crate::source::handle::Handle;

type Answer<'call> =
    Pin<Box<dyn Future<Output = reqwest_middleware::Result<Response>> + Send + 'call>>;

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
