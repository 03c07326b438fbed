//! Where a client secret or an assertion is read from, afresh for every attempt.

use std::any::Any;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::{Delivery, Error, ErrorKind};
use crate::secret::Secret;

/// A client secret or an assertion: a value, a function or a file.
///
/// Functions and files are asked for every token request, so that a secret can be rotated while
/// the process runs, and no assertion is sent twice.
///
/// ```
/// use std::convert::Infallible;
/// use reqwest_bearer::{ClientAuthentication, Secret, SecretSource};
///
/// // A value:
/// ClientAuthentication::client_secret_basic("my-client", "s3cr3t");
/// // A file, such as a mounted secret of Kubernetes:
/// let file = SecretSource::file("/run/secrets/client-secret");
/// ClientAuthentication::client_secret_basic("my-client", file);
/// // A function, such as one that signs an assertion:
/// let signer = SecretSource::from_fn(|| async { Ok::<_, Infallible>(Secret::new("a.b.c")) });
/// ClientAuthentication::client_assertion("my-client", signer);
/// ```
#[derive(Clone)]
pub struct SecretSource(Origin);

type Reading = Pin<Box<dyn Future<Output = Result<Secret, Error>> + Send>>;

#[derive(Clone)]
enum Origin {
    Value(Secret),
    Function(Arc<dyn Fn() -> Reading + Send + Sync>),
    File(Arc<Path>),
}

impl SecretSource {
    /// A function that is called for every attempt.
    ///
    /// An [`Error`] of this crate that it returns keeps its kind; any other becomes the source of
    /// an error of the kind [`ErrorKind::Unavailable`], so its text must hold no secret.
    /// For a function that is not `async`, return [`std::future::ready`].
    #[must_use]
    pub fn from_fn<F, Fut, E>(read: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Secret, E>> + Send + 'static,
        E: StdError + Send + Sync + 'static,
    {
        Self(Origin::Function(Arc::new(move || {
            let reading = read();
            Box::pin(async move { reading.await.map_err(unreadable) })
        })))
    }

    /// A file that is read for every attempt. White space at its end is not part of the secret.
    ///
    /// While it is missing or empty, requests fail with [`ErrorKind::Unavailable`]: a file that is
    /// being replaced can be away for an instant.
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Origin::File(Arc::from(path.into())))
    }

    /// Whether this is a value, and one without a character.
    pub(crate) fn is_empty_value(&self) -> bool {
        matches!(&self.0, Origin::Value(secret) if secret.expose().is_empty())
    }

    /// The secret as it is now. Nothing has been sent yet, so an error may always be repeated.
    pub(crate) async fn read(&self) -> Result<Secret, Error> {
        let secret = match &self.0 {
            Origin::Value(secret) => secret.clone(),
            Origin::Function(read) => read().await?,
            Origin::File(path) => read_file(path).await?,
        };
        if secret.expose().is_empty() {
            return Err(not_sent("the client secret or assertion is empty"));
        }
        Ok(secret)
    }
}

impl From<Secret> for SecretSource {
    fn from(secret: Secret) -> Self {
        Self(Origin::Value(secret))
    }
}

impl From<&str> for SecretSource {
    fn from(secret: &str) -> Self {
        Secret::new(secret).into()
    }
}

impl From<String> for SecretSource {
    fn from(secret: String) -> Self {
        Secret::new(secret).into()
    }
}

impl fmt::Debug for SecretSource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            Origin::Value(_) => "[secret]",
            Origin::Function(_) => "[secret from a function]",
            Origin::File(_) => "[secret from a file]",
        })
    }
}

async fn read_file(path: &Path) -> Result<Secret, Error> {
    let shown = path.display();
    let text = tokio::fs::read_to_string(path)
        .await
        .map(Zeroizing::new)
        .map_err(|error| not_sent(format!("the file {shown} cannot be read")).with_source(error))?;
    let secret = text.trim_end();
    if secret.is_empty() {
        return Err(not_sent(format!("the file {shown} is empty")));
    }
    Ok(Secret::new(secret))
}

fn unreadable<E: StdError + Send + Sync + 'static>(error: E) -> Error {
    match (&error as &dyn Any).downcast_ref::<Error>() {
        Some(own) => own.clone().delivery(Delivery::NotSent),
        None => not_sent("the client secret or assertion cannot be read").with_source(error),
    }
}

fn not_sent(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, message).delivery(Delivery::NotSent)
}
