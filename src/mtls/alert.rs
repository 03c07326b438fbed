//! What a server says at TLS of a client that it does not take.

use std::error::Error as StdError;
use std::io;

use rustls::AlertDescription;

/// The word of a server that has refused the certificate, or the lack of one (RFC 8446 section 6.2): in
/// the handshake, or in TLS 1.3 right after it, when the request may already be under way. It has read
/// nothing of it then.
pub(crate) fn refusal(error: &(dyn StdError + 'static)) -> Option<&'static str> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(rustls::Error::AlertReceived(alert)) = of_rustls(error) {
            return clause(*alert);
        }
        next = error.source();
    }
    None
}

/// As it is, or in an error of I/O, which shows the source of what it has in it, and not that itself.
fn of_rustls<'error>(error: &'error (dyn StdError + 'static)) -> Option<&'error rustls::Error> {
    let inner = error
        .downcast_ref::<io::Error>()
        .and_then(io::Error::get_ref);
    match inner {
        Some(inner) => inner.downcast_ref(),
        None => error.downcast_ref(),
    }
}

fn clause(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::CertificateRequired => "wants one",
        AlertDescription::NoCertificate => "wants one",
        AlertDescription::BadCertificate => "calls it bad",
        AlertDescription::UnsupportedCertificate => "does not know its kind",
        AlertDescription::CertificateRevoked => "says that it is revoked",
        AlertDescription::CertificateExpired => "says that it has expired",
        AlertDescription::CertificateUnknown => "does not know it",
        AlertDescription::UnknownCA => "does not know who vouches for it",
        AlertDescription::AccessDenied => "does not let it in",
        _ => return None,
    })
}
