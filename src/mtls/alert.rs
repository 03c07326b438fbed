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
        if let Some(rustls::Error::AlertReceived(alert)) = error.downcast_ref() {
            return clause(*alert);
        }
        // An error of I/O shows the source of what it has in it, and not that itself.
        let within = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        next = match within {
            Some(within) => Some(within),
            None => error.source(),
        };
    }
    None
}

fn clause(alert: AlertDescription) -> Option<&'static str> {
    Some(match alert {
        AlertDescription::CertificateRequired | AlertDescription::NoCertificate => "wants one",
        AlertDescription::BadCertificate => "calls it bad",
        AlertDescription::UnsupportedCertificate => "does not know its kind",
        AlertDescription::CertificateRevoked => "says that it is revoked",
        AlertDescription::CertificateExpired => "says that it has expired",
        AlertDescription::CertificateUnknown => "does not know it",
        AlertDescription::UnknownCA => "does not know who vouches for it",
        // Of another authority by the same name, or the key is not its own.
        AlertDescription::DecryptError => "cannot verify it",
        AlertDescription::AccessDenied => "does not let it in",
        _ => return None,
    })
}
