//! The client's own certificate, by which it is known at TLS (RFC 8705).

mod alert;
mod certificate;
mod clients;
mod pem;

pub use certificate::ClientCertificate;

pub(crate) use alert::refusal;

pub(crate) use clients::{CertifiedClients, presenting};
