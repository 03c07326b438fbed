//! Where a client secret or an assertion is read from, afresh for every attempt.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::endpoint::assertion::AssertionContext;
use crate::error::{Error, ErrorKind, HowFar};
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
    ///
    /// A secret with a control character in it, such as the line break at its end, is not sent:
    /// requests fail with [`ErrorKind::Settings`].
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
    /// being replaced can be away for an instant. With a control character in the midst of it they
    /// fail with [`ErrorKind::Settings`].
    #[must_use]
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Origin::File(Arc::from(path.into())))
    }

    /// The secret, if this is a value. Functions and files are looked at when they are read.
    pub(crate) fn value(&self) -> Option<&Secret> {
        match &self.0 {
            Origin::Value(secret) => Some(secret),
            Origin::Function(_) | Origin::File(_) => None,
        }
    }

    /// Whether this is a value, and one without a character.
    pub(crate) fn is_empty_value(&self) -> bool {
        self.value()
            .is_some_and(|secret| secret.expose().is_empty())
    }

    /// What [`control_fault`] finds in a value.
    pub(crate) fn value_fault(&self) -> Option<&'static str> {
        self.value()
            .and_then(|secret| control_fault(secret.expose()))
    }

    /// The secret as it is now. Nothing has been sent yet, so an error may always be repeated.
    pub(crate) async fn read(&self) -> Result<Secret, Error> {
        let secret = match &self.0 {
            Origin::Value(secret) => secret.clone(),
            Origin::Function(read) => read().await?,
            Origin::File(path) => read_file(path).await?,
        };
        checked(secret)
    }
}

/// A function that signs assertions, each for one request.
#[derive(Clone)]
pub(crate) struct AssertionFn(Arc<dyn Fn(AssertionContext) -> Reading + Send + Sync>);

impl AssertionFn {
    pub(crate) fn new<F, Fut, E>(sign: F) -> Self
    where
        F: Fn(AssertionContext) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Secret, E>> + Send + 'static,
        E: StdError + Send + Sync + 'static,
    {
        Self(Arc::new(move |context| {
            let signing = sign(context);
            Box::pin(async move { signing.await.map_err(unreadable) })
        }))
    }

    pub(crate) async fn call(&self, context: AssertionContext) -> Result<Secret, Error> {
        checked((self.0)(context).await?)
    }
}

impl fmt::Debug for AssertionFn {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("[assertion from a function]")
    }
}

impl From<Secret> for SecretSource {
    fn from(secret: Secret) -> Self {
        Self(Origin::Value(secret))
    }
}

impl From<&Secret> for SecretSource {
    fn from(secret: &Secret) -> Self {
        secret.clone().into()
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

/// So that `&std::env::var("CLIENT_SECRET")?` will do.
impl From<&String> for SecretSource {
    fn from(secret: &String) -> Self {
        Secret::new(secret).into()
    }
}

impl From<Box<str>> for SecretSource {
    fn from(secret: Box<str>) -> Self {
        Secret::new(secret).into()
    }
}

impl From<Cow<'_, str>> for SecretSource {
    fn from(secret: Cow<'_, str>) -> Self {
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

/// What is wrong with a client id, a secret or an assertion in which there is a control character: no
/// server has issued such a one (RFC 6749 appendices A.1 and A.2). A clause for a message, without
/// anything of the text.
///
/// Mostly it is the line break at the end of an environment variable or of a mounted secret, which
/// no page of a server shows, and which servers answer with nothing more than `invalid_client`.
pub(crate) fn control_fault(text: &str) -> Option<&'static str> {
    let is_line_break = |letter| matches!(letter, '\r' | '\n');
    if !text.contains(char::is_control) {
        return None;
    }
    if text
        .trim_end_matches(is_line_break)
        .contains(char::is_control)
    {
        return Some(
            "has a control character in it, such as a tab or a line break, which none may have (RFC \
             6749 appendix A); give it as the authorization server issued it",
        );
    }
    Some(
        "ends with a line break, which is not part of it; trim it, as is done with what is read \
         from a file",
    )
}

/// What was read, if it can be sent.
fn checked(secret: Secret) -> Result<Secret, Error> {
    if secret.expose().is_empty() {
        return Err(not_sent("the client secret or assertion is empty"));
    }
    if let Some(fault) = control_fault(secret.expose()) {
        let message = format!("the client secret or assertion that was read {fault}");
        return Err(Error::settings(message).got(HowFar::NotSent));
    }
    Ok(secret)
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
        Some(own) => own.clone().got(HowFar::NotSent),
        None => not_sent("the client secret or assertion cannot be read").with_source(error),
    }
}

fn not_sent(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::Unavailable, message).got(HowFar::NotSent)
}

#[cfg(test)]
mod tests {
    use std::error::Error as _;

    use super::SecretSource;
    use crate::error::{Error, ErrorKind, HowFar};
    use crate::secret::Secret;

    fn scratch(name: &str) -> std::path::PathBuf {
        let name = format!("reqwest-bearer-{}-{name}", std::process::id());
        std::env::temp_dir().join(name)
    }

    #[tokio::test]
    async fn a_file_is_read_each_time_without_the_white_space_at_its_end() {
        // E4
        let path = scratch("rotated");
        let source = SecretSource::file(&path);
        for (text, secret) in [
            ("one\n", "one"),
            (" two \r\n\n", " two"),
            ("three", "three"),
        ] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(source.read().await.unwrap().expose(), secret);
        }
        std::fs::remove_file(&path).unwrap();
    }

    #[tokio::test]
    async fn a_file_that_is_away_or_empty_may_be_asked_again() {
        // E4, D6
        let path = scratch("empty");
        let source = SecretSource::file(&path);
        let missing = source.read().await.expect_err("missing");
        std::fs::write(&path, " \n").unwrap();
        let empty = source.read().await.expect_err("empty");
        std::fs::write(&path, b"canary\xff").unwrap();
        let binary = source.read().await.expect_err("binary");
        std::fs::remove_file(&path).unwrap();
        for error in [missing, empty, binary] {
            assert_eq!(error.kind(), ErrorKind::Unavailable);
            assert_eq!(error.how_far(), HowFar::NotSent);
            assert!(error.to_string().contains(&path.display().to_string()));
            assert!(!format!("{error:?}").contains("canary"));
        }
    }

    #[tokio::test]
    async fn a_function_keeps_the_kind_of_its_error() {
        // E4
        let own = SecretSource::from_fn(|| async { Err::<Secret, _>(Error::rejected("no")) });
        let error = own.read().await.expect_err("refused");
        assert_eq!(
            (error.kind(), error.how_far()),
            (ErrorKind::Rejected, HowFar::NotSent)
        );
        let foreign = SecretSource::from_fn(|| async { Err::<Secret, _>(std::fmt::Error) });
        let error = foreign.read().await.expect_err("failed");
        assert_eq!(
            (error.kind(), error.how_far()),
            (ErrorKind::Unavailable, HowFar::NotSent)
        );
        assert!(error.source().is_some());
        let empty = SecretSource::from_fn(|| async { Ok::<_, Error>(Secret::new("")) });
        assert!(empty.read().await.is_err());
    }

    #[test]
    fn a_source_does_not_show_itself() {
        // D6
        assert_eq!(format!("{:?}", SecretSource::from("canary")), "[secret]");
    }
}
