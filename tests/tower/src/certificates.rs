//! A certificate for a server on loopback, and who vouches for it.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// All in PEM.
pub struct Certificates {
    /// Who vouches for the server: no machine trusts it by itself.
    pub authority: String,
    /// The server's.
    pub certificate: String,
    /// The private key of that.
    pub key: String,
}

impl Certificates {
    /// Of a server named `localhost`.
    pub fn for_localhost() -> Self {
        let mut authority = CertificateParams::new(Vec::new()).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let own_key = KeyPair::generate().unwrap();
        let authority = CertifiedIssuer::self_signed(authority, own_key).unwrap();
        let key = KeyPair::generate().unwrap();
        let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        let certificate = server.signed_by(&key, &authority).unwrap();
        Self {
            authority: authority.pem(),
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        }
    }
}
