//! A token that something else keeps fresh in a file.

use std::path::PathBuf;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::error::{Error, ErrorKind, HowFar};
use crate::grant::{Grant, GrantRequest};
use crate::parameters::TokenParameters;
use crate::secret::Secret;
use crate::token::{TokenResponse, bearer_header};

/// As good as an interval of nothing.
const SHORTEST: Duration = Duration::from_millis(1);

/// The token in a file, such as a projected service account token of Kubernetes.
///
/// It is read again at intervals, and when an API refuses the token.
#[derive(Clone, Debug)]
pub struct TokenFile {
    path: PathBuf,
    reload_interval: Duration,
}

impl TokenFile {
    /// The token in this file, without the white space around it.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            reload_interval: Duration::from_secs(60),
        }
    }

    /// How long a token is used before the file is read again. The reading happens behind a
    /// request that is sent with the present token. Kubernetes replaces a token of one hour after
    /// 48 minutes, so there is time. With an interval of nothing it is read behind each request.
    /// Default: 60 s.
    #[must_use]
    pub fn reload_interval(mut self, interval: Duration) -> Self {
        // A hint of nothing would be none: a server that sends one says nothing by it.
        self.reload_interval = interval.max(SHORTEST);
        self
    }

    /// A file that is being replaced can be away or cut short for an instant, so every fault may
    /// mend itself.
    fn fault(&self, fault: &str) -> Error {
        let path = self.path.display();
        Error::new(
            ErrorKind::Unavailable,
            format!("the token file {path} {fault}"),
        )
        .got(HowFar::NotSent)
    }
}

impl Grant for TokenFile {
    fn name(&self) -> &str {
        "token_file"
    }

    /// Where sources share a store, the token of one file never passes for that of another. In the
    /// form that escapes what is no text, so that no two paths look the same.
    fn parameters(&self) -> TokenParameters {
        TokenParameters::new().extra("path", format!("{:?}", self.path))
    }

    async fn obtain(&self, _request: GrantRequest) -> Result<TokenResponse, Error> {
        let text = tokio::fs::read_to_string(&self.path)
            .await
            .map(Zeroizing::new)
            .map_err(|error| self.fault("cannot be read").with_source(error))?;
        let token = Secret::new(text.trim());
        if token.expose().is_empty() {
            return Err(self.fault("is empty"));
        }
        if bearer_header(&token).is_err() {
            return Err(self.fault("holds a blank, a control character or one outside of ASCII, which no header can carry"));
        }
        Ok(TokenResponse::bearer(token).with_refresh_in(self.reload_interval))
    }
}
