//! TLS before servers that speak none, by certificates that only those trust who are told to.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

/// Vouches for servers on loopback. No machine trusts it by itself.
pub struct CertificateAuthority(CertifiedIssuer<'static, KeyPair>);

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

    fn server_on_loopback(&self) -> ServerConfig {
        let host = Ipv4Addr::LOCALHOST.to_string();
        let server = CertificateParams::new([host]).expect("it is an address");
        let key = KeyPair::generate().expect("there is randomness");
        let certificate = server.signed_by(&key, &self.0).expect("it can sign");
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        ServerConfig::builder()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
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
