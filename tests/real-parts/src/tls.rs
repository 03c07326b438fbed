//! TLS before servers that speak none, by certificates that only those trust who are told to.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rcgen::{
    BasicConstraints, Certificate, CertificateParams, CertifiedIssuer, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{
    DEFAULT_VERSIONS, RootCertStore, ServerConfig, SupportedProtocolVersion,
};

/// The versions of TLS that a server speaks.
pub type Versions = &'static [&'static SupportedProtocolVersion];

/// Vouches for servers on loopback, and for clients. No machine trusts it by itself.
pub struct CertificateAuthority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its private key, both in PEM.
#[derive(Clone)]
pub struct Certified {
    /// The certificate.
    pub certificate: String,
    /// Its private key, as PKCS#8.
    pub key: String,
    /// `x5t#S256` of the certificate (RFC 8705 section 3.1).
    pub thumbprint: String,
    der: Vec<u8>,
}

impl Certified {
    /// A certificate of a client that nobody vouches for.
    pub fn self_signed(name: &str) -> Self {
        let key = KeyPair::generate().expect("there is randomness");
        let certificate = client(name).self_signed(&key).expect("it can sign");
        Self::new(&certificate, &key)
    }

    fn new(certificate: &Certificate, key: &KeyPair) -> Self {
        Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            thumbprint: thumbprint(certificate.der()),
            der: certificate.der().to_vec(),
        }
    }

    /// Its public key, on P-256, with the certificate (RFC 7517 section 4.7).
    pub fn jwk(&self) -> Value {
        let key = KeyPair::from_pem(&self.key).expect("it is a key");
        // An uncompressed point (SEC 1 section 2.3.3).
        let (x, y) = key.public_key_raw()[1..].split_at(32);
        let [x, y] = [x, y].map(|half| URL_SAFE_NO_PAD.encode(half));
        json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "x5c": [STANDARD.encode(&self.der)] })
    }

    /// Both in one text.
    pub fn pem(&self) -> String {
        format!("{}{}", self.certificate, self.key)
    }
}

/// Without its key.
impl fmt::Debug for Certified {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.thumbprint)
    }
}

/// `x5t#S256` of a certificate (RFC 8705 section 3.1).
pub fn thumbprint(certificate: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(Sha256::digest(certificate))
}

/// The parameters of the certificate of a client.
fn client(name: &str) -> CertificateParams {
    let mut own = CertificateParams::new([]).expect("it names no host");
    own.distinguished_name = DistinguishedName::new();
    own.distinguished_name.push(DnType::CommonName, name);
    own.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    own
}

impl CertificateAuthority {
    /// A new one, which nobody knows yet.
    pub fn new() -> Self {
        let mut own = CertificateParams::new([]).expect("it names no host");
        own.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // With a name of its own: OpenSSL takes a certificate whose issuer has the same one for one
        // that signed itself.
        let name = "an authority of the test's own";
        own.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("there is randomness");
        Self(CertifiedIssuer::self_signed(own, key).expect("it can sign"))
    }

    /// Its own certificate in PEM, for whoever is to trust it.
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A certificate for a server on loopback.
    pub fn server(&self) -> Certified {
        let host = Ipv4Addr::LOCALHOST.to_string();
        self.certify(&CertificateParams::new([host]).expect("it is an address"))
    }

    /// A certificate for a client of this name.
    pub fn client(&self, name: &str) -> Certified {
        self.certify(&client(name))
    }

    fn certify(&self, params: &CertificateParams) -> Certified {
        let key = KeyPair::generate().expect("there is randomness");
        let certificate = params.signed_by(&key, &self.0).expect("it can sign");
        Certified::new(&certificate, &key)
    }

    fn server_on_loopback(&self) -> ServerConfig {
        let clients = WebPkiClientVerifier::no_client_auth();
        self.server_with(clients, DEFAULT_VERSIONS)
    }

    /// TLS of a server on loopback that asks its clients for a certificate of this authority, and takes
    /// those that have none, or not.
    pub fn server_for_clients(&self, takes_others: bool, versions: Versions) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots
            .add(self.0.der().clone())
            .expect("it is a certificate");
        let verifier = WebPkiClientVerifier::builder(Arc::new(roots));
        let verifier = if takes_others {
            verifier.allow_unauthenticated()
        } else {
            verifier
        };
        self.server_with(verifier.build().expect("there is a root"), versions)
    }

    fn server_with(
        &self,
        clients: Arc<dyn ClientCertVerifier>,
        versions: Versions,
    ) -> ServerConfig {
        let own = self.server();
        let certificate = CertificateDer::from(own.der);
        let key = PrivateKeyDer::from_pem_slice(own.key.as_bytes()).expect("it is a key");
        ServerConfig::builder_with_protocol_versions(versions)
            .with_client_cert_verifier(clients)
            .with_single_cert(vec![certificate], key)
            .expect("the key belongs to the certificate")
    }
}

impl Default for CertificateAuthority {
    fn default() -> Self {
        Self::new()
    }
}

/// Without its key.
impl fmt::Debug for CertificateAuthority {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("CertificateAuthority")
    }
}

/// Takes TLS connections on loopback, and passes on what is said there to one server. It ends with
/// this.
#[derive(Debug)]
pub struct TlsProxy {
    address: SocketAddr,
    served: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl TlsProxy {
    /// A proxy before the server at this address, with a certificate by `authority`.
    pub async fn before(server: SocketAddr, authority: &CertificateAuthority) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("loopback has free ports");
        let address = listener.local_addr().expect("it is bound");
        let acceptor = TlsAcceptor::from(Arc::new(authority.server_on_loopback()));
        let served = Arc::new(AtomicUsize::new(0));
        let counted = served.clone();
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, counted) = (acceptor.clone(), counted.clone());
                tokio::spawn(async move {
                    // A client that does not trust the certificate goes away here.
                    let Ok(mut client) = acceptor.accept(client).await else {
                        return;
                    };
                    counted.fetch_add(1, Ordering::SeqCst);
                    if let Ok(mut server) = TcpStream::connect(server).await {
                        // An error ends the connection, which is all that it means here.
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        Self {
            address,
            served,
            task,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many connections have come whose clients took the certificate.
    pub fn served(&self) -> usize {
        self.served.load(Ordering::SeqCst)
    }
}

impl Drop for TlsProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}
