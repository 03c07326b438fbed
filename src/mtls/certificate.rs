//! A client certificate and its private key, in memory or in files that may be replaced.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use reqwest::Identity;
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::clock::{Clock, Due};
use crate::error::{Error, ErrorKind, HowFar};
use crate::mtls::pem;
use crate::signer::files::{LastGood, Texts};

/// How long what the files had in them serves calls of an API before they are read again.
const LOOKED_AT_EVERY: Duration = Duration::from_secs(10);

/// Longer than this no request waits for the files.
const PATIENCE: Duration = Duration::from_secs(1);

/// A certificate by which this client is known at TLS, with its private key (RFC 8705), as PEM: that of the
/// client first, then those that vouch for it; the key as PKCS#8, SEC 1 or PKCS#1, not encrypted.
///
/// Files may be replaced while the process runs, the certificate and the key one after the other: they
/// are read for each token request, and at most every 10 s for the calls of an API, at once where it
/// has answered 401. With new ones comes a new pool of connections, so that no request goes by a
/// connection of the old ones. While they are away, half written or do not belong together, those
/// before serve, and that is told by
/// [`Event::ClientCertificateUnreadable`](crate::Event::ClientCertificateUnreadable).
///
/// Cheap to clone. Give clones of one to the authorization server and to the API whose tokens are bound to
/// it, so that both change at the same moment:
///
/// ```
/// use reqwest_bearer::{
///     ClientAuthentication, ClientCertificate, ClientCredentials, NamedClient, TokenEndpoint,
/// };
///
/// # fn main() -> Result<(), reqwest_bearer::Error> {
/// let certificate = ClientCertificate::files("/run/tls/tls.crt", "/run/tls/tls.key");
/// let client = ClientAuthentication::tls_client_auth("my-client", &certificate);
/// let endpoint = TokenEndpoint::discover("https://login.example.com", client)?;
/// let orders = NamedClient::builder("orders", "https://api.example.com", ClientCredentials::new(endpoint))
///     .client_certificate(&certificate)
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct ClientCertificate(Arc<Shared>);

struct Shared {
    origin: Origin,
    /// What was read last.
    seen: ArcSwapOption<Seen>,
    clock: Clock,
}

enum Origin {
    Memory(Arc<Seen>),
    Files {
        certificate: PathBuf,
        /// If it has a file of its own.
        key: Option<PathBuf>,
        last_good: LastGood<Presented>,
        /// Held while the files are read, so that a thousand calls read them once.
        reading: Mutex<()>,
    },
}

/// What goes into the handshake. Of two that are the same `Arc` nothing has changed.
#[derive(Clone)]
pub(crate) struct Presented(Arc<Identity>);

/// What the files had in them at one time, and until when no call reads them again.
pub(crate) struct Seen {
    pub(crate) presented: Presented,
    until: Due,
    /// What was wrong with them, until somebody has told it.
    fault: ArcSwapOption<Error>,
}

impl ClientCertificate {
    /// The certificates and the private key in one text, in any order.
    ///
    /// # Errors
    /// [`ErrorKind::Settings`] for anything else, without any of the text: a key that is missing, encrypted
    /// or of another certificate, a text that is cut off.
    pub fn from_pem(text: impl AsRef<str>) -> Result<Self, Error> {
        let texts = Texts {
            key: Zeroizing::new(text.as_ref().to_owned()),
            certificates: None,
        };
        let seen = Seen {
            presented: Presented::of(&texts)?,
            until: Due::Never,
            fault: ArcSwapOption::empty(),
        };
        Ok(Self::new(Origin::Memory(Arc::new(seen)), Clock::system()))
    }

    /// The certificates in one file, and the private key in another, as Kubernetes and most agents write
    /// them. Nothing is read before the first request.
    #[must_use]
    pub fn files(certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        Self::of_files(certificate.into(), Some(key.into()), Clock::system())
    }

    /// The certificates and the private key in one file. Nothing is read before the first request.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::of_files(path.into(), None, Clock::system())
    }

    fn of_files(certificate: PathBuf, key: Option<PathBuf>, clock: Clock) -> Self {
        let origin = Origin::Files {
            certificate,
            key,
            last_good: LastGood::default(),
            reading: Mutex::default(),
        };
        Self::new(origin, clock)
    }

    fn new(origin: Origin, clock: Clock) -> Self {
        Self(Arc::new(Shared {
            origin,
            seen: ArcSwapOption::empty(),
            clock,
        }))
    }

    /// Whether they are the same: of two with equal paths each is a certificate of its own.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// That in memory, which never changes.
    pub(crate) fn in_memory(&self) -> Option<&Seen> {
        match &self.0.origin {
            Origin::Memory(seen) => Some(seen),
            Origin::Files { .. } => None,
        }
    }

    /// What the files have in them now, or had when they were last good. A disk that hangs costs a second,
    /// and no request.
    ///
    /// # Errors
    /// If they never were good: what is wrong with them, or that they could not be read in time.
    pub(crate) async fn read(&self) -> Result<Arc<Seen>, Error> {
        let (certificate, key, last_good) = match &self.0.origin {
            Origin::Memory(seen) => return Ok(seen.clone()),
            Origin::Files {
                certificate,
                key,
                last_good,
                ..
            } => (certificate, key.as_ref(), last_good),
        };
        let reading = async {
            match key {
                Some(key) => Texts::read(key, Some(certificate)).await,
                None => Texts::read(certificate, None).await,
            }
        };
        let texts = tokio::select! {
            biased;
            texts = reading => texts,
            () = self.0.clock.sleep(PATIENCE) => Err(Error::new(
                ErrorKind::Timeout,
                "the file of the client certificate could not be read in time",
            )
            .got(HowFar::NotSent)),
        };
        let presented = last_good.after(texts, |texts| {
            Presented::of(texts).map_err(|error| in_file(certificate, &error))
        })?;
        let clock = &self.0.clock;
        let seen = Arc::new(Seen {
            presented,
            until: clock.due(clock.now().later(LOOKED_AT_EVERY)),
            fault: ArcSwapOption::new(last_good.fault().map(Arc::new)),
        });
        self.0.seen.store(Some(seen.clone()));
        Ok(seen)
    }

    /// What the files had in them at most ten seconds ago.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) async fn seen(&self) -> Result<Arc<Seen>, Error> {
        let reading = match &self.0.origin {
            Origin::Memory(seen) => return Ok(seen.clone()),
            Origin::Files { reading, .. } => reading,
        };
        if let Some(seen) = self.fresh() {
            return Ok(seen);
        }
        let _reading = reading.lock().await;
        // Another call may have just read them.
        match self.fresh() {
            Some(seen) => Ok(seen),
            None => self.read().await,
        }
    }

    /// An API has refused what came with this: the next call reads the files, unless somebody has since.
    pub(crate) fn doubt(&self, seen: &Arc<Seen>) {
        if self.in_memory().is_none() {
            self.0.seen.compare_and_swap(seen, None);
        }
    }

    /// What was wrong with the files when they were last read, if those before serve in their place.
    pub(crate) fn fault(&self) -> Option<Error> {
        match &self.0.origin {
            Origin::Memory(_) => None,
            Origin::Files { last_good, .. } => last_good.fault(),
        }
    }

    fn fresh(&self) -> Option<Arc<Seen>> {
        let seen = self.0.seen.load();
        let seen = seen.as_ref()?;
        (!self.0.clock.has_come(seen.until)).then(|| seen.clone())
    }
}

impl Seen {
    /// What was wrong with the files, for the first call that asks.
    pub(crate) fn fault_to_tell(&self) -> Option<Arc<Error>> {
        if self.fault.load().is_none() {
            return None;
        }
        self.fault.swap(None)
    }
}

impl Presented {
    fn of(texts: &Texts) -> Result<Self, Error> {
        pem::identity(texts).map(|identity| Self(Arc::new(identity)))
    }

    pub(crate) fn identity(&self) -> Identity {
        (*self.0).clone()
    }

    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl From<&Self> for ClientCertificate {
    fn from(certificate: &Self) -> Self {
        certificate.clone()
    }
}

fn in_file(path: &Path, error: &Error) -> Error {
    let shown = path.display();
    Error::settings(format!("the certificate file {shown}: {error}")).got(HowFar::NotSent)
}

impl fmt::Debug for ClientCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("ClientCertificate");
        if let Origin::Files {
            certificate, key, ..
        } = &self.0.origin
        {
            shown.field("certificate", certificate);
            if let Some(key) = key {
                shown.field("key", key);
            }
        }
        shown.finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};
    use std::process::Command;
    use std::sync::Arc;
    use std::time::Duration;

    use super::{ClientCertificate, LOOKED_AT_EVERY, PATIENCE};
    use crate::clock::{Clock, TestClock};
    use crate::error::ErrorKind;

    const KEY: &str = include_str!("../../tests/signing/keys/rsa_pkcs8.pem");
    const CERTIFICATE: &str = include_str!("../../tests/signing/keys/certificate.pem");

    /// One file with both, in a folder that goes with this.
    struct File {
        path: PathBuf,
        certificate: ClientCertificate,
        clock: TestClock,
    }

    fn certificate(path: &Path, clock: &TestClock) -> ClientCertificate {
        ClientCertificate::of_files(path.to_owned(), None, Clock::Test(clock.clone()))
    }

    impl File {
        fn new(name: &str) -> Self {
            let own = std::process::id();
            let path = std::env::temp_dir().join(format!("reqwest-bearer-{own}-{name}.pem"));
            std::fs::write(&path, format!("{CERTIFICATE}{KEY}")).unwrap();
            let clock = TestClock::new();
            Self {
                certificate: certificate(&path, &clock),
                path,
                clock,
            }
        }

        fn fault(&self) -> Option<String> {
            self.certificate.fault().map(|fault| fault.to_string())
        }
    }

    impl Drop for File {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.path);
        }
    }

    #[tokio::test]
    async fn calls_read_the_files_every_ten_seconds_or_after_a_doubt() {
        // H3
        let file = File::new("looked-at");
        let first = file.certificate.seen().await.unwrap();
        std::fs::write(&file.path, "nothing").unwrap();
        file.clock
            .advance(LOOKED_AT_EVERY - Duration::from_millis(1));
        let again = file.certificate.seen().await.unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert_eq!(file.fault(), None);
        file.clock.advance(Duration::from_millis(1));
        let later = file.certificate.seen().await.unwrap();
        assert!(file.fault().unwrap().contains("has no private key"));
        assert!(later.presented.is(&first.presented));
        let told = later.fault_to_tell().unwrap().to_string();
        assert!(told.contains("has no private key"), "{told}");
        assert!(later.fault_to_tell().is_none(), "it is told once");
        std::fs::write(&file.path, format!("{KEY}{CERTIFICATE}")).unwrap();
        // A doubt of what has been read anew since is none.
        file.certificate.doubt(&first);
        assert!(file.fault().is_some());
        let same = file.certificate.seen().await.unwrap();
        assert!(Arc::ptr_eq(&later, &same));
        file.certificate.doubt(&later);
        let anew = file.certificate.seen().await.unwrap();
        assert_eq!(file.fault(), None);
        assert!(!anew.presented.is(&first.presented));
    }

    #[tokio::test]
    async fn a_disk_that_hangs_costs_a_second_and_no_request_that_was_possible_before() {
        // H3
        let file = File::new("hangs");
        let before = file.certificate.seen().await.unwrap();
        std::fs::remove_file(&file.path).unwrap();
        let made = Command::new("mkfifo").arg(&file.path).status().unwrap();
        assert!(made.success());
        let late = async { file.clock.advance(PATIENCE) };
        let (read, ()) = tokio::join!(file.certificate.read(), late);
        assert!(read.unwrap().presented.is(&before.presented));
        assert!(file.fault().unwrap().contains("in time"));
        // Whoever reads it goes on: it has a writer, and its end.
        std::fs::write(&file.path, "").unwrap();

        let never = certificate(&file.path, &file.clock);
        let late = async { file.clock.advance(PATIENCE) };
        let (read, ()) = tokio::join!(never.read(), late);
        assert_eq!(read.err().unwrap().kind(), ErrorKind::Timeout);
        std::fs::write(&file.path, "").unwrap();
    }
}
