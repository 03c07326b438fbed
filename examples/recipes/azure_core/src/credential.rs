//! Gives the clients of Azure's services the tokens of a source, by the scopes that each of them names.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::time::OffsetDateTime;
use azure_core::{Error, Result, error::ErrorKind};
use reqwest_bearer::{BearerTokenProvider, TokenParameters, TokenSource};

/// One for all clients of a program.
///
/// A client keeps the token until five minutes before its end. It tells of no 401: [`TokenPolicy`] does.
///
/// [`TokenPolicy`]: crate::TokenPolicy
#[derive(Clone, Debug)]
pub struct SourceCredential(TokenSource);

impl SourceCredential {
    /// With the tokens of this source.
    pub fn new(source: impl Into<TokenSource>) -> Self {
        Self(source.into())
    }

    /// The tokens for a client that names these scopes, such as `https://vault.azure.net/.default`.
    pub fn for_scopes(&self, scopes: &[&str]) -> TokenSource {
        let parameters = TokenParameters::new().scope(scopes.join(" "));
        self.0.with_parameters(parameters)
    }
}

#[async_trait]
impl TokenCredential for SourceCredential {
    async fn get_token(
        &self,
        scopes: &[&str],
        _: Option<TokenRequestOptions<'_>>,
    ) -> Result<AccessToken> {
        let token = self
            .for_scopes(scopes)
            .bearer_token()
            .await
            .map_err(error)?;
        // Of a token without an end it is asked again for each request, which costs next to nothing.
        let end = token.expires_at().unwrap_or(UNIX_EPOCH);
        Ok(AccessToken::new(token.expose().to_owned(), date(end)))
    }
}

pub(crate) fn error(error: reqwest_bearer::Error) -> Error {
    Error::with_error(ErrorKind::Credential, error, "no token for the request")
}

fn date(end: SystemTime) -> OffsetDateTime {
    let since = end.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    OffsetDateTime::UNIX_EPOCH + since
}
