//! HTTP clients that present a certificate to the authorization server (RFC 8705 section 2).

use std::sync::Arc;

use reqwest::Identity;

use crate::endpoint::http_clients::{Http, HttpClients, HttpSetting, Ours};
use crate::error::Error;
use crate::mtls::{CertifiedClients, ClientCertificate, presenting};

pub(super) fn build(
    setting: HttpSetting,
    ours: Ours,
    certificate: &ClientCertificate,
) -> Result<Http, Error> {
    match setting {
        HttpSetting::Default => by(certificate, move |identity| {
            HttpClients::ours(|| presenting(ours.builder(), identity.clone()))
        }),
        HttpSetting::Function(builder) => by(certificate, move |identity| {
            HttpClients::theirs(presenting(ours.reach.guard(builder()), identity))
        }),
        HttpSetting::ToBuild(_) => Err(Error::settings(
            "`http` gives a builder for one HTTP client, and each client certificate needs its own; give \
             `http_from_fn`",
        )),
        HttpSetting::Of(Http::Certified(clients)) if clients.certificate().is(certificate) => {
            Ok(Http::Certified(clients))
        }
        HttpSetting::Of(_) => Err(other_certificate()),
    }
}

pub(super) fn other_certificate() -> Error {
    Error::settings(
        "the HTTP client of the other endpoint presents another client certificate, or none; leave \
         `http_client_of` out",
    )
}

fn by(
    certificate: &ClientCertificate,
    build: impl Fn(Identity) -> Result<HttpClients, Error> + Send + Sync + 'static,
) -> Result<Http, Error> {
    let clients = CertifiedClients::new(certificate.clone(), build);
    clients.build_what_is_in_memory()?;
    Ok(Http::Certified(Arc::new(clients)))
}
